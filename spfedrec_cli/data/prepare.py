"""Raw tables to a Dataset."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from spfedrec_cli.data.folder import check_output, replacing
from spfedrec_cli.data.hashes import remember
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.number import Catalogue, catalogue
from spfedrec_cli.data.parallel import both
from spfedrec_cli.data.prepared import Made, describe
from spfedrec_cli.data.purchases import merge
from spfedrec_cli.data.raw import Progress, Raw, Reading, Request, Tell, silent
from spfedrec_cli.data.reading.frames import as_table
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.rows import Mask, Rows
from spfedrec_cli.data.schema import CLIENT_ID, ITEM_ID, SPLITS, Manifest, StepEntry
from spfedrec_cli.data.sources import SOURCES, Source
from spfedrec_cli.data.sources.table import check_columns, parse_columns
from spfedrec_cli.data.split import SPLITTERS
from spfedrec_cli.data.subset import Subset, keep
from spfedrec_cli.data.write import write
from spfedrec_cli.errors import InputError, expected, nearest

if TYPE_CHECKING:
    import pandas as pd


T = TypeVar("T")

_OF_COLUMNS = ("--columns", "--item-table", "--customer-table")
_CSV_BYTES = 23 * 109 + 140  # a customer: its purchases, and its own row


@dataclass(frozen=True)
class Summary:
    """What `prepare` made. Splits are purchases, rows of the source; `pieces` sums quantities; notes are sentences."""

    dataset: Path
    purchases: int
    pieces: int
    clients: int
    items: int
    splits: dict[str, int]
    seconds: float
    steps: tuple[StepEntry, ...]
    skipped_rows: int
    checks: tuple[str, ...]
    notes: list[str]


@dataclass(frozen=True)
class CsvSummary:
    """What `prepare_csv` wrote."""

    folder: Path
    rows: int
    seconds: float


def prepare(
    source: "str | pa.Table | pd.DataFrame",
    input: "Path | str | pa.Table | pd.DataFrame | Sequence[Any] | None" = None,
    output: Path | str | None = None,
    split: str | None = None,
    seed: int = 0,
    customers: int | float | None = None,
    items: int | None = None,
    subset: Subset | None = None,
    repeats: bool | None = None,
    skip_bad_rows: bool = False,
    tell: Tell = silent,
    columns: Mapping[str, str] | str | None = None,
    reading: Reading | None = None,
) -> Summary:
    """Reads `source` and writes the Dataset `output`, replacing one that is there.

    In the place of a name and an `input`, `source` may be a table itself, of pandas or Arrow, or a list of tables and
    paths, with its `columns` by role, or as --columns has them. `customers` is the number or, as a float, the
    fraction of buyers to keep (synthetic: the number to make, and `items` likewise); `subset` cuts further. `repeats`
    says whether bought items stay in the ranking; None asks the data. `reading` says how files are read; `tell` is
    called with the progress of each stage. Raises InputError for bad input; then, and on an interrupt, nothing is
    left behind.
    """
    started = time.perf_counter()
    source, input = _given(source, input)
    row = _row(SOURCES, source, "source")
    how, cut = _how(reading or Reading(), columns), subset or Subset()
    expected(cut, Subset, "write it as spfedrec.Subset(customers=500)")
    inputs = _inputs(input)
    _check(source, row, inputs, customers, items, how)
    ordered = row.needs_columns and "time" not in how.columns
    splitter = _row(SPLITTERS, split or ("leave-one-out" if ordered else row.split), "split")
    request = Request(
        inputs=inputs,
        seed=seed,
        customers=_whole(customers) if row.makes else None,
        items=items,
        channel=cut.channel is not None,
        rejects=Rejects(skip_bad_rows),
        tell=tell,
        reading=how,
    )
    if not row.makes and customers is not None:
        cut = replace(cut, customers=customers)
    if output is None:
        raise InputError("There is no output", hint="name the folder of the Dataset with output=")
    output = Path(output)
    check_output(output)
    with replacing(output) as new:
        made = _make(row, replace(request, scratch=new.path), cut)
        tell(Progress("splitting"))
        division = splitter(made.purchases, made.time_unit)
        of = partial(describe, output.resolve().name, source, row, made, division, request, repeats)
        manifest = write(new, made, division, request, of)
    remember({output / name: found for name, found in manifest.files.items()})
    return _summary(output, manifest, time.perf_counter() - started)


def _given(source: Any, input: Any) -> tuple[str, Any]:
    """The source by its name, and its input."""
    if isinstance(source, str):
        return source, input
    if input is not None:
        raise InputError("An input stands behind a table", hint="give both in one list, as prepare([one, other])")
    return "table", source


def _how(reading: Reading, columns: Mapping[str, str] | str | None) -> Reading:
    expected(reading, Reading, "write it as spfedrec.Reading(drop_missing=True)")
    if columns:
        roles = parse_columns(columns) if isinstance(columns, str) else check_columns(columns)
        reading = replace(reading, columns=roles)
    item_table, customer_table = _input(reading.item_table), _input(reading.customer_table)
    return replace(reading, item_table=item_table, customer_table=customer_table)


def _inputs(input: Any) -> tuple[Path | pa.Table, ...]:
    given = input if isinstance(input, list | tuple) else [] if input is None else [input]
    return tuple(map(_input, given))


def _input(one: Any) -> Any:
    """A path or an Arrow table; None where there is none."""
    return Path(one) if isinstance(one, str | PathLike) else None if one is None else as_table(one)


def prepare_csv(
    source: str,
    input: Any,
    output: Path | str,
    seed: int = 0,
    customers: int | float | None = None,
    items: int | None = None,
    subset: Subset | None = None,
    split: str | None = None,
    tell: Tell = silent,
) -> CsvSummary:
    """Writes what `source` makes as the files that its model is served in, into the folder `output`.

    Raises InputError for a source that makes nothing, and for what only a Dataset can have.
    """
    started = time.perf_counter()
    row = _row(SOURCES, source, "source")
    if row.write is None:
        raise InputError(f"The source {source} has its files already", hint="leave --as out")
    if subset or split:
        raise InputError("Files are written whole", hint="cut and split them when they are prepared as a Dataset")
    _check(source, row, _inputs(input), customers, items, Reading())
    output = Path(output)
    check_output(output, row.files)
    with replacing(output) as new:
        new.need(_CSV_BYTES * int(customers or 0))
        rows = row.write(Request((), seed, customers=_whole(customers), items=items, tell=tell), new.path)
    return CsvSummary(output, rows, time.perf_counter() - started)


def _whole(customers: int | float | None) -> int | None:
    return None if customers is None else int(customers)


def _row(table: Mapping[str, T], name: str, what: str) -> T:
    if name in table:
        return table[name]
    near = nearest(name, list(table))
    hint = f"did you mean {near}?" if near else f"choose one of {', '.join(table)}"
    raise InputError(f"There is no {what} {name!r}", hint=hint)


def _check(
    source: str,
    row: Source,
    inputs: Sequence[Path | pa.Table],
    customers: int | float | None,
    items: int | None,
    reading: Reading,
) -> None:
    unused = next((option for option in _said(reading) if option not in row.options), None)
    reads = "knows its own columns" if unused in _OF_COLUMNS else "has nothing to read so"
    example = "give --columns customer=…,item=…,time=… with the names that they have in your file"
    fraction = f"makes its customers: {customers} is a fraction of nothing"
    wrong = [
        (row.needs_input and not inputs, "needs an input", "give its folder or file with --input"),
        (not row.needs_input and inputs, "takes no input", "leave --input out"),
        (not row.needs_columns and any(isinstance(one, pa.Table) for one in inputs), "reads files", "give its path"),
        (len(inputs) > 1 and not row.needs_columns, "takes one input", "give --input once"),
        (not row.makes and items is not None, "has its own items", "leave --items out"),
        (row.makes and isinstance(customers, float), fraction, "give the number of customers to make"),
        (row.needs_columns and not reading.columns, "needs to know its columns", example),
        (unused, reads, f"leave {unused} out"),
    ]
    for is_so, problem, hint in wrong:
        if is_so:
            raise InputError(f"The source {source} {problem}", hint=hint)


def _said(reading: Reading) -> list[str]:
    """What the user says of reading, by the words that say it."""
    names = [field.name for field in fields(Reading) if getattr(reading, field.name) != getattr(Reading(), field.name)]
    return ["--no-header" if name == "header" else f"--{name.replace('_', '-')}" for name in names]


def _make(row: Source, request: Request, subset: Subset) -> Made:
    """Reads, cuts, numbers and sorts. Every column is let go as soon as the next form of it is there."""
    request.tell(Progress("reading"))
    raw = row.read(request)
    rows, raw = Rows.of(raw), raw.without_rows()
    pa.default_memory_pool().release_unused()
    if not len(rows):
        problem = "The input holds no purchases" + (" that can be read" if request.rejects.count else "")
        hint = "; ".join(note for note in raw.notes if " left out: --" in note) or "check that it is the right one"
        hint = "leave --skip-bad-rows out to see what is wrong with the first row" if request.rejects.count else hint
        paths = ", ".join(str(one) for one in request.inputs if isinstance(one, Path))
        raise InputError(problem, where=paths or None, hint=hint)
    request.tell(Progress("choosing", rows=len(rows)))
    unit = raw.time_unit or row.time_unit
    whole = merge(replace(rows, quantity=None))[1] if subset else None
    sold = rows.per_item() > 0
    steps = keep(rows, subset, unit, request.seed)
    request.tell(Progress("numbering clients and items", rows=len(rows)))
    items, clients = _number(raw, rows, row, subset, sold)
    described = (len(raw.items.ids) > 0, len(raw.clients.ids) > 0)
    notes, oracle = raw.notes, raw.oracle
    del raw
    pa.default_memory_pool().release_unused()
    request.tell(Progress("sorting", rows=len(rows)))
    purchases, again = merge(rows)
    return Made(notes, unit, oracle, described, steps, items, clients, purchases, again if whole is None else whole)


def _number(raw: Raw, rows: Rows, row: Source, subset: Subset, sold: Mask) -> list[Catalogue]:
    """Both catalogues, that of items with all that were `sold` before the subset; `rows` have their numbers
    afterwards."""
    item_form, client_form = FORMS[row.item_form], FORMS[row.client_form]
    only_sold, only_buyers = subset.min_sales is not None, bool(subset)
    sold = rows.per_item() > 0 if only_sold else sold
    (items, item), (clients, client) = both(
        lambda: catalogue(ITEM_ID, raw.items, rows.item_ids, sold, item_form, only_sold),
        lambda: catalogue(CLIENT_ID, raw.clients, rows.client_ids, rows.per_client() > 0, client_form, only_buyers),
    )
    rows.renumber(item, client)
    return [items, clients]


def _summary(output: Path, manifest: Manifest, seconds: float) -> Summary:
    counts = manifest.counts
    splits = {name: getattr(counts, name) for name in SPLITS}
    return Summary(
        dataset=output,
        purchases=counts.purchases,
        pieces=counts.pieces,
        clients=counts.clients,
        items=counts.items,
        splits=splits,
        seconds=seconds,
        steps=manifest.steps,
        skipped_rows=manifest.skipped_rows,
        checks=manifest.checks,
        notes=list(manifest.notes),
    )
