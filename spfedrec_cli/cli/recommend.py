"""spfedrec recommend: ranked articles for customers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName, TrainedOn, where
from spfedrec_cli.cli.output import Output, facts
from spfedrec_cli.cli.ranked import as_json, tables
from spfedrec_cli.cli.stored import explain, recommend_from, refuse
from spfedrec_cli.errors import InputError
from spfedrec_cli.files import reading
from spfedrec_cli.run import find

NAME = "recommend"
EXAMPLES = """Examples:

\b
  spfedrec recommend first --customer 000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318
  spfedrec recommend first --history 0663713001,0541518023 -k 5
  spfedrec recommend first --history 0663713001 --history 0541518023
  spfedrec recommend first --customer ID --where colour=Black,White --where type=Dress --why
  spfedrec recommend first --customers some.txt --output some.csv --active-days 28
  spfedrec recommend first --all --output everybody.csv
  spfedrec recommend exported --customer ID"""

ExcludeSeen = Annotated[
    bool | None,
    typer.Option(
        "--exclude-seen/--include-seen",
        help="Leave out what the customer has bought; left out, where bought items do not stay ranked.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Only articles with this value, or one of several with commas between. Repeatable: all fields must fit.",
    ),
]
ActiveDays = Annotated[
    int | None,
    typer.Option("--active-days", metavar="N", min=1, help="Only articles sold in the last N days of the Dataset."),
]
Customers = Annotated[
    list[str] | None, typer.Option("--customer", metavar="ID", help="A customer of the Dataset. Repeatable.")
]
File = Annotated[Path | None, typer.Option("--customers", metavar="FILE", help="Customers from a file, an id a line.")]
History = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B,…",
        help="Articles that somebody bought, oldest first: an id, or several with commas between. Repeatable.",
    ),
]

Written = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where --all and --customers write: a .parquet or a .csv.")
]
Reasons = Annotated[bool, typer.Option("--why", help="Say of each article why it stands there.")]
Length = Annotated[
    int | None,
    typer.Option("-k", metavar="K", min=1, help="Length of the list; left out, 12, or as many as there are."),
]
TowersAlone = Annotated[
    bool, typer.Option("--towers-alone", help="Leave the run's second stage out, where it has one.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file of --output where it exists.")]


def command(
    run: RunName,
    customers: Customers = None,
    file: File = None,
    history: History = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every customer; needs --output.")] = False,
    output: Written = None,
    format: Annotated[
        Literal["parquet", "csv", "kaggle"] | None,
        typer.Option(help="What is written; left out, what the suffix of --output says, parquet where it has none."),
    ] = None,
    k: Length = None,
    exclude_seen: ExcludeSeen = None,
    conditions: Where = None,
    active_days: ActiveDays = None,
    why: Reasons = False,
    towers_alone: TowersAlone = False,
    force: Force = False,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rank articles for customers.

    For customers of the Dataset, for somebody with a given history, or for everybody.

    A CSV file is safe to open as a spreadsheet: names that begin like a formula stand behind an apostrophe. Where
    writing a file is stopped, the same command goes on with it. RUN may also be a store, as `export --format store`
    writes it, which answers for its customers without torch.
    """
    _exactly_one(customers, file, history, everybody)
    _only_with_a_file(everybody or file is not None, everybody, output, format, why, force)
    out = Output(json, quiet)
    from spfedrec_cli.serving.store import is_store

    if is_store(run):
        refuse({"--history": history, "--all": everybody, "--output": output, "--where": conditions, "--why": why})
        refuse({"--active-days": active_days, "--dataset": dataset})
        recommend_from(out, Path(run), customers or customers_in(file or Path()), k, exclude_seen)
        return
    from spfedrec_cli import engine

    folder, there = find(run), where(dataset)
    how: dict[str, Any] = {"k": k, "exclude_seen": exclude_seen, **there}
    how |= {} if active_days is None else {"active_days": active_days}
    how |= {"where": engine.conditions(folder, conditions, **there)} if conditions else {}
    some = customers_in(file) if file is not None else customers
    how |= {"second_stage": False} if towers_alone else {}
    if output is not None:
        how |= ({} if everybody else {"customers": some}) | ({"force": True} if force else {})
        _write(out, folder, output, format, how)
        return
    bought = engine.articles(folder, history, **there) if history else None
    how |= {"explain": True} if why else {}
    made = engine.recommend(folder, customers=some, history=bought, **how)
    out.result({"customers": [as_json(one) for one in made]}, *(part for one in made for part in tables(one)))
    for one in made:
        explain(out, one, k)


def _write(out: Output, folder: Path, output: Path, format: str | None, how: dict[str, Any]) -> None:
    from spfedrec_cli import engine
    from spfedrec_cli.cli.stages import staged  # with rich's bars, which one list need not load

    with staged(out) as tell:
        written = engine.recommend_all(folder, output, format=format, tell=tell, **how)
    value = {"run": str(folder), "output": str(output), "customers_written": written, "k": how["k"]}
    out.result(value, facts(f"Recommendations of {folder}", [("customers", written), ("file", str(output))]))


def customers_in(file: Path) -> list[str]:
    """The ids in a file, one a line and each as it stands; empty lines count for nothing. Raises InputError where there
    are none."""
    try:
        with reading(file) as stream:
            ids = re.split("\r\n|\n|\r", stream.read().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        problem = f"The file of customers cannot be read: {reason}"
        raise InputError(problem, where=str(file), hint="give a text file with an id on each line") from None
    found = list(dict.fromkeys(id for id in ids if id.strip()))
    if not found:
        raise InputError("The file names no customers", where=str(file), hint="write an id on each line")
    return found


def _exactly_one(
    customers: Sequence[str] | None, file: Path | None, history: Sequence[str] | None, everybody: bool
) -> None:
    if sum((bool(customers), file is not None, bool(history), everybody)) != 1:
        hint = "give one of --customer ID, --customers FILE, --history A,B or --all --output FILE"
        raise InputError("It is not clear to whom to recommend", hint=hint)


def _only_with_a_file(may: bool, must: bool, output: Path | None, format: str | None, why: bool, force: bool) -> None:
    if why and output is not None:
        raise InputError("--why goes with lists that are shown", hint="leave out --output")
    if must and output is None:
        raise InputError("--all writes a file", hint="name it with --output FILE")
    missing = output is None
    wrong = (
        ("--output", output is not None and not may),
        ("--format", format is not None and missing),
        ("--force", force and missing),
    )
    for option, found in wrong:
        if found:
            goes_with = "--all or --customers" if option == "--output" else "--all or --customers and --output"
            problem = f"{option} goes with {goes_with}"
            raise InputError(problem, hint="use --json for the recommendations of a few customers")
