"""spfedrec prepare: raw files to a Dataset."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, training
from spfedrec_cli.cli.output import Cell, Output, counted, duration, facts, table
from spfedrec_cli.cli.stages import staged
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    from spfedrec_cli.data.prepare import CsvSummary, Summary
    from spfedrec_cli.data.raw import Reading
    from spfedrec_cli.data.schema import StepEntry
    from spfedrec_cli.data.subset import Subset

NAME = "prepare"
EXAMPLES = """Examples:

\b
  spfedrec prepare --source sample --output datasets/sample
  spfedrec prepare --source hm --input ~/kaggle/hm.zip --output datasets/hm
  spfedrec prepare --source hm --input ~/kaggle/hm --customers 0.1 --last-weeks 26 --output datasets/hm-tenth
  spfedrec prepare --source movielens --input ~/ml-1m --output datasets/ml-1m
  spfedrec prepare --source table --input sales.csv --columns customer=who,item=sku,time=day --output datasets/shop
  spfedrec prepare --source table --input 2023.csv --input 2024.csv --columns customer=who,item=sku --output datasets/2y
  spfedrec prepare --source table --input us.csv --columns customer=who,item=sku,time=at --drop-missing --output us
  spfedrec prepare --source synthetic --customers 20000 --items 5000 --output datasets/made-up
  spfedrec prepare --source synthetic --customers 1371980 --items 105542 --as csv --output made-up-csv"""

FORMATS = ("dataset", "csv")
RETURNS = ("refuse", "drop")


Source = Annotated[
    str, typer.Option(metavar="NAME", help="What to read: hm, movielens, completejourney, synthetic, sample or table.")
]
To = Annotated[Path, typer.Option(metavar="DIR", help="The Dataset to write; one that is there is replaced.")]
From = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH", help="The folder, .zip archive or file that holds the raw data; table: may be repeated."
    ),
]
Columns = Annotated[
    str | None, typer.Option(metavar="ROLES", help="table only: customer=COLUMN,item=COLUMN,time=COLUMN and more.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="CONDITION", help="Keep rows where it holds: column=value, price>0, code~^[0-9]+$."),
]
DropMissing = Annotated[
    bool, typer.Option("--drop-missing", help="Leave out rows without customer, item or time; they are counted.")
]
Returns = Annotated[
    str | None, typer.Option(metavar="WHAT", help="drop: leave out rows with a quantity of 0 or below; or refuse.")
]
TimeFormat = Annotated[
    str | None,
    typer.Option(metavar="WORDS", help="How times are written: as %d/%m/%Y %H:%M, epoch-s, epoch-ms, excel."),
]
Timezone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Where times were written down, as Europe/Stockholm; else UTC.")
]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of text that is neither UTF-8 nor marked UTF-16: as cp1252.")
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="Files have no header: name columns by number, customer=1,item=2.")
]
Repeats = Annotated[
    bool | None,
    typer.Option("--repeats/--no-repeats", help="Whether bought items stay in the ranking; left out, the data tells."),
]
ItemTable = Annotated[Path | None, typer.Option(metavar="FILE", help="table only: the file of item.* columns.")]
CustomerTable = Annotated[Path | None, typer.Option(metavar="FILE", help="table only: that of customer.* columns.")]
Customers = Annotated[
    str | None,
    typer.Option(metavar="N", help="Keep so many customers, or with a dot a fraction; synthetic: make so many."),
]
Items = Annotated[int | None, typer.Option(metavar="N", min=1, help="Articles to make (synthetic only).")]
First = Annotated[str | None, typer.Option("--from", metavar="DATE", help="Keep purchases from this day on.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Keep purchases up to this day.")]
LastWeeks = Annotated[int | None, typer.Option(metavar="N", min=1, help="Keep the last N times 7 days.")]
MinPurchases = Annotated[int | None, typer.Option(metavar="N", min=1, help="Keep customers who bought so often.")]
MinSales = Annotated[int | None, typer.Option(metavar="N", min=1, help="Keep articles that were bought so often.")]
Channel = Annotated[int | None, typer.Option(metavar="N", min=1, help="Keep this sales channel (hm only).")]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="temporal or leave-one-out; left out, the source's own choice.")
]
Seed = Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of everything drawn; left out, 0.")]
SkipBadRows = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be read, and list them in a file.")
]
As = Annotated[
    str | None, typer.Option("--as", metavar="FORMAT", help="dataset, or csv: in H&M's own files (synthetic only).")
]


def command(
    source: Source,
    output: To,
    input: From = None,
    columns: Columns = None,
    item_table: ItemTable = None,
    customer_table: CustomerTable = None,
    customers: Customers = None,
    items: Items = None,
    first: First = None,
    last: Last = None,
    last_weeks: LastWeeks = None,
    min_purchases: MinPurchases = None,
    min_sales: MinSales = None,
    channel: Channel = None,
    split: Split = None,
    seed: Seed = None,
    repeats: Repeats = None,
    where: Where = None,
    drop_missing: DropMissing = False,
    returns: Returns = None,
    time_format: TimeFormat = None,
    timezone: Timezone = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    skip_bad_rows: SkipBadRows = False,
    format: As = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn raw purchase files into a Dataset.

    A Dataset is a folder of Parquet files, numbered and split by time, that describes itself in dataset.json.
    Nothing is left behind when it fails.
    """
    from spfedrec_cli.data.prepare import prepare, prepare_csv
    from spfedrec_cli.data.raw import Reading

    out = Output(json, quiet)
    common: dict[str, Any] = {"seed": seed or 0, "customers": _amount(customers), "items": items, "split": split}
    common["subset"] = _subset(first, last, last_weeks, channel, min_purchases, min_sales)
    told = (where, drop_missing, returns, time_format, timezone, encoding, no_header)
    how = _reading(columns, item_table, customer_table, *told)
    as_csv = _is_csv(format, skip_bad_rows or how != Reading())
    with staged(out) as tell:
        if as_csv:
            written = prepare_csv(source, input, output, **common, tell=tell)
        else:
            common |= {"skip_bad_rows": skip_bad_rows, "repeats": repeats, "reading": how}
            made = prepare(source, input, output, **common, tell=tell)
    if as_csv:
        _show_csv(out, written)
    else:
        _show(out, made, source)


def _reading(
    columns: str | None,
    item_table: Path | None,
    customer_table: Path | None,
    where: list[str] | None,
    drop_missing: bool,
    returns: str | None,
    time_format: str | None,
    timezone: str | None,
    encoding: str | None,
    no_header: bool,
) -> "Reading":
    from spfedrec_cli.data.raw import Reading
    from spfedrec_cli.data.sources.table import parse_columns

    return Reading(
        columns={} if columns is None else parse_columns(columns),
        item_table=item_table,
        customer_table=customer_table,
        where=tuple(where or ()),
        drop_missing=drop_missing,
        returns=_returns(returns),
        time_format=time_format,
        timezone=timezone,
        encoding=encoding,
        header=not no_header,
    )


def _returns(text: str | None) -> Any:
    if text is None or text in RETURNS:
        return text or RETURNS[0]
    raise InputError(f"--returns {text!r} is unknown", hint=f"choose one of {', '.join(RETURNS)}")


def _subset(first: str | None, last: str | None, *rest: int | None) -> "Subset":
    from spfedrec_cli.data.subset import Subset

    last_weeks, channel, min_purchases, min_sales = rest
    return Subset(
        first=_date("--from", first),
        last=_date("--to", last),
        last_weeks=last_weeks,
        channel=channel,
        min_purchases=min_purchases,
        min_sales=min_sales,
    )


def _show(out: Output, made: "Summary", source: str) -> None:
    for note in made.notes:
        out.say(note)
    steps = [_steps(made.steps)] if made.steps else []
    out.result(_json(made), *steps, facts(f"Dataset {made.dataset}", _facts(made)))
    if made.skipped_rows:
        out.warn(f"{counted(made.skipped_rows, 'row')} could not be read: see {made.dataset / 'skipped-rows.csv'}")
    out.say(f"Next: spfedrec describe {made.dataset}")
    out.say(f"  or: {training(made.dataset, source, made.clients)}")


def _show_csv(out: Output, made: "CsvSummary") -> None:
    value = {"folder": str(made.folder), "rows": made.rows, "seconds": round(made.seconds, 3)}
    rows: list[tuple[str, Cell]] = [("rows", made.rows), ("time", duration(made.seconds))]
    out.result(value, facts(f"Files in {made.folder}", rows))
    out.say(f"Next: spfedrec prepare --source hm --input {made.folder} --output datasets/NAME")


def _is_csv(text: str | None, about_reading: object) -> bool:
    """Raises InputError for another format, and where files that are made are to be read somehow."""
    if text == "csv" and about_reading:
        hint = "leave --columns, --skip-bad-rows and all that says how files are read out"
        raise InputError("Files are written from nothing, so that no row can be bad and no column named", hint=hint)
    if text is None or text in FORMATS:
        return text == "csv"
    raise InputError(f"There is no format {text!r}", hint=f"choose one of {', '.join(FORMATS)}")


def _date(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is not a date", hint="write it as 2020-09-22") from None


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
        "pieces": made.pieces,
        "clients": made.clients,
        "items": made.items,
        "splits": made.splits,
        "seconds": round(made.seconds, 3),
        "steps": [asdict(step) for step in made.steps],
        "skipped_rows": made.skipped_rows,
        "checks": list(made.checks),
        "notes": made.notes,
    }


def _steps(steps: "tuple[StepEntry, ...]") -> Group:
    """What was there before, and what was left after each step."""
    rows: list[list[Cell]] = [[step.step, step.purchases, step.clients, step.items] for step in steps]
    return table("Subset", ["after", "purchases", "clients", "items"], rows)


def _facts(made: "Summary") -> list[tuple[str, str | int]]:
    splits = ", ".join(f"{name} {count:,}" for name, count in made.splits.items())
    return [
        ("purchases", made.purchases),
        *([("pieces", made.pieces)] if made.pieces != made.purchases else []),
        ("clients", made.clients),
        ("items", made.items),
        ("splits", splits),
        ("checked for leaks", "; ".join(made.checks)),
        ("time", duration(made.seconds)),
    ]
