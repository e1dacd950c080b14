"""spfedrec recommend: ranked articles for customers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName, TrainedOn, where
from spfedrec_cli.cli.output import Cell, Output, counted, facts, table
from spfedrec_cli.errors import InputError
from spfedrec_cli.run import find

if TYPE_CHECKING:
    from spfedrec_cli.engine import Recommendation

NAME = "recommend"
EXAMPLES = """Examples:

\b
  spfedrec recommend first --customer 000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318
  spfedrec recommend first --history 0663713001,0541518023 -k 5
  spfedrec recommend first --history 0663713001 --history 0541518023
  spfedrec recommend first --all --output everybody.csv"""

ExcludeSeen = Annotated[
    bool | None,
    typer.Option(
        "--exclude-seen/--include-seen",
        help="Leave out what the customer has bought; left out, where nobody buys an article twice.",
    ),
]
LENGTH = 12
LABELS = ("name", "type", "colour")


def command(
    run: RunName,
    customers: Annotated[
        list[str] | None, typer.Option("--customer", metavar="ID", help="A customer of the Dataset. Repeatable.")
    ] = None,
    history: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B,…",
            help="Articles that somebody bought, oldest first: an id, or several with commas between. Repeatable.",
        ),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every customer; needs --output.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where --all writes: a .parquet or a .csv.")
    ] = None,
    format: Annotated[
        Literal["parquet", "csv", "kaggle"] | None,
        typer.Option(help="What --all writes; left out, what the suffix of --output says, parquet where it has none."),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("-k", metavar="K", min=1, help="Length of the list; left out, 12, or as many as there are."),
    ] = None,
    exclude_seen: ExcludeSeen = None,
    towers_alone: Annotated[
        bool, typer.Option("--towers-alone", help="Leave the run's second stage out, where it has one.")
    ] = False,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rank articles for customers.

    For customers of the Dataset, for somebody with a given history, or for everybody.

    A CSV file is safe to open as a spreadsheet: names that begin like a formula stand behind an apostrophe.
    """
    _exactly_one(customers, history, everybody)
    _only_with_all(everybody, output, format)
    from spfedrec_cli import engine

    out = Output(json, quiet)
    folder, there = find(run), where(dataset)
    how: dict[str, Any] = {"k": k, "exclude_seen": exclude_seen, **there}
    how |= {"second_stage": False} if towers_alone else {}
    if output is not None:
        with out.stages() as tell:
            written = engine.recommend_all(folder, output, format=format, tell=tell, **how)
        value = {"run": str(folder), "output": str(output), "customers_written": written, "k": k}
        out.result(value, facts(f"Recommendations of {folder}", [("customers", written), ("file", str(output))]))
        return
    bought = engine.articles(folder, history, **there) if history else None
    made = engine.recommend(folder, customers=customers, history=bought, **how)
    out.result({"customers": [_json(one) for one in made]}, *(part for one in made for part in _tables(one)))
    for one in made:
        _explain(out, one, k or LENGTH)


def _exactly_one(customers: Sequence[str] | None, history: Sequence[str] | None, everybody: bool) -> None:
    if sum((bool(customers), bool(history), everybody)) != 1:
        hint = "give one of --customer ID, --history A,B or --all --output FILE"
        raise InputError("It is not clear to whom to recommend", hint=hint)


def _only_with_all(everybody: bool, output: Path | None, format: str | None) -> None:
    if everybody and output is None:
        raise InputError("--all writes a file", hint="name it with --output FILE")
    if not everybody and (output is not None or format is not None):
        option = "--output" if output is not None else "--format"
        raise InputError(f"{option} goes with --all", hint="use --json for the recommendations of a few customers")


def _explain(out: Output, one: "Recommendation", asked: int) -> None:
    """What might surprise: nothing to go by, or fewer articles than were asked for."""
    if not one.history:
        out.say(f"Nothing is known that {_who(one)} bought: ranked by everything else that the model knows")
    if one.left_out and len(one.items) < asked:
        bought = counted(one.left_out, "article")
        out.say(f"{counted(len(one.items), 'article')} for {_who(one)}: {bought} bought before and left out")


def _json(one: "Recommendation") -> dict[str, Any]:
    items = [{"article_id": item.article_id, "score": item.score, **_labels(item.labels)} for item in one.items]
    history = [{"article_id": item.article_id, **_labels(item.labels)} for item in one.history]
    return {"customer_id": one.customer_id, "history": history, "items": items}


def _labels(labels: dict[str, str]) -> dict[str, str | None]:
    """name, type and colour, null where the source has none."""
    return {label: labels.get(label) for label in LABELS}


def _who(one: "Recommendation") -> str:
    return f"customer {one.customer_id}" if one.customer_id is not None else "this history"


def _tables(one: "Recommendation") -> list[Group]:
    who = _who(one)
    shown = [label for label in LABELS if any(label in item.labels for item in (*one.items, *one.history))]
    bought = [(item.article_id, *(item.labels.get(label, "") for label in shown)) for item in one.history]
    ranked: list[tuple[Cell, ...]] = [
        (place, item.article_id, *(item.labels.get(label, "") for label in shown), item.score)
        for place, item in enumerate(one.items, 1)
    ]
    past = [table(f"Last purchases of {who}, newest first", ["article", *shown], bought)] if bought else []
    return [*past, table(f"Recommended to {who}", ["", "article", *shown, "score"], ranked)]
