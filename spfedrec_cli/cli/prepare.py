"""spfedrec prepare: raw files to a Dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet
from spfedrec_cli.cli.output import Output, duration, facts
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    from spfedrec_cli.data.prepare import Summary

NAME = "prepare"
EXAMPLES = """Examples:

\b
  spfedrec prepare --source sample --output datasets/sample
  spfedrec prepare --source synthetic --customers 5000 --items 1000 --output datasets/made-up
  spfedrec prepare --source hm --input ~/kaggle/hm --customers 0.1 --output datasets/hm-tenth
  spfedrec prepare --source movielens --input ~/ml-100k --output datasets/ml"""


def command(
    source: Annotated[str, typer.Option(metavar="NAME", help="What to read: hm, movielens, synthetic or sample.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="The Dataset to write; one that is there is replaced.")],
    input: Annotated[Path | None, typer.Option(metavar="PATH", help="The folder of the raw files.")] = None,
    customers: Annotated[
        str | None,
        typer.Option(metavar="N", help="Keep so many customers, or with a dot a fraction; synthetic: make so many."),
    ] = None,
    items: Annotated[int | None, typer.Option(metavar="N", min=1, help="Articles to make (synthetic only).")] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="temporal or leave-one-out; left out, the source's own choice.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything drawn; left out, 0.")] = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn raw purchase files into a Dataset.

    A Dataset is a folder of Parquet files, numbered and split by time, that describes itself in dataset.json.
    Nothing is left behind when it fails.
    """
    from spfedrec_cli.data.prepare import prepare

    out = Output(json, quiet)
    wanted = _amount(customers)
    with out.stages() as tell:
        made = prepare(source, input, output, split=split, seed=seed or 0, customers=wanted, items=items, progress=tell)
    for note in made.notes:
        out.say(note)
    out.result(_json(made), facts(f"Dataset {made.dataset}", _facts(made)))
    out.say(f"Next: spfedrec describe {made.dataset}, or spfedrec train {made.dataset}")


def _amount(text: str | None) -> int | float | None:
    """A number of customers, or with a dot a fraction of them."""
    if text is None:
        return None
    try:
        amount: int | float = float(text) if "." in text else int(text)
    except ValueError:
        hint = "give a number as 500, or a fraction as 0.1"
        raise InputError(f"--customers {text!r} is not a number", hint=hint) from None
    if amount > 0 and not (isinstance(amount, float) and amount > 1):
        return amount
    raise InputError(f"--customers {text} keeps nobody, or more than all", hint="a fraction lies in 0.0 to 1.0")


def _json(made: "Summary") -> dict[str, Any]:
    return {
        "dataset": str(made.dataset),
        "purchases": made.purchases,
        "clients": made.clients,
        "items": made.items,
        "splits": made.splits,
        "seconds": round(made.seconds, 3),
        "notes": made.notes,
    }


def _facts(made: "Summary") -> list[tuple[str, str | int]]:
    splits = ", ".join(f"{name} {count:,}" for name, count in made.splits.items())
    return [
        ("purchases", made.purchases),
        ("clients", made.clients),
        ("items", made.items),
        ("splits", splits),
        ("time", duration(made.seconds)),
    ]
