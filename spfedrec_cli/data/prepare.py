"""Raw tables to a Dataset."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli import __version__
from spfedrec_cli.data import negatives, schema
from spfedrec_cli.data.folder import check_output, replacing
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.number import Numbered, keep_customers, number
from spfedrec_cli.data.purchases import Purchases, concatenate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.raw import Raw, Request
from spfedrec_cli.data.schema import Counts, Manifest
from spfedrec_cli.data.sources import SOURCES, Source
from spfedrec_cli.data.split import FEWEST_ITEMS, SPLITTERS, Division
from spfedrec_cli.errors import InputError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Summary:
    """What `prepare` made. Purchases and splits are sums of quantities; notes are sentences for the user."""

    dataset: Path
    purchases: int
    clients: int
    items: int
    splits: dict[str, int]
    seconds: float
    notes: list[str]


def prepare(
    source: str,
    input: Path | None,
    output: Path,
    split: str | None = None,
    seed: int = 0,
    customers: int | float | None = None,
    items: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Summary:
    """Reads `source` and writes the Dataset `output`, replacing one that is there.

    `customers` is the number or, as a float, the fraction of buyers to keep (synthetic: the number to make, and `items`
    likewise). `progress` is called with the name of each stage. Raises InputError for bad input; then, and on an
    interrupt, nothing is left behind.
    """
    started = time.perf_counter()
    tell = progress or (lambda stage: None)
    row = _row(SOURCES, source, "source")
    splitter = _row(SPLITTERS, split or row.split, "split")
    request = _request(source, row, input, seed, customers, items)
    check_output(output)
    tell("reading")
    raw = _read(row, request, customers)
    tell("numbering clients and items")
    numbered = number(raw, FORMS[row.item_form], FORMS[row.client_form])
    tell("splitting")
    division = splitter(numbered.purchases, row.time_unit, numbered.items.table.num_rows)
    tell("drawing negatives")
    tables = _tables(numbered, division, seed)
    manifest = _manifest(source, row, output.resolve().name, seed, raw, numbered, division)
    if raw.oracle and division.entry.kind == "temporal":
        tables[schema.ORACLE] = raw.oracle.table
        manifest = manifest.model_copy(update={"oracle": raw.oracle.entry})
    tell("writing")
    with replacing(output) as folder:
        _write(folder, tables, manifest)
    return _summary(output, manifest, time.perf_counter() - started)


def _row(table: Mapping[str, T], name: str, what: str) -> T:
    if name in table:
        return table[name]
    near = nearest(name, list(table))
    hint = f"did you mean {near}?" if near else f"choose one of {', '.join(table)}"
    raise InputError(f"There is no {what} {name!r}", hint=hint)


def _request(
    source: str, row: Source, input: Path | None, seed: int, customers: int | float | None, items: int | None
) -> Request:
    if row.needs_input and input is None:
        raise InputError(f"The source {source} needs an input", hint="give its folder with --input")
    if not row.needs_input and input is not None:
        raise InputError(f"The source {source} takes no input", hint="leave --input out")
    if not row.makes and items is not None:
        raise InputError(f"The source {source} has its own items", hint="leave --items out")
    if row.makes and isinstance(customers, float):
        raise InputError(
            f"--customers {customers} is a fraction of nothing", hint="give the number of customers to make"
        )
    return Request(input, seed, int(customers) if row.makes and customers is not None else None, items)


def _read(row: Source, request: Request, customers: int | float | None) -> Raw:
    raw = row.read(request)
    if not len(raw.time):
        raise InputError(
            "The input holds no purchases", where=str(request.input), hint="check that it is the right one"
        )
    if customers is None or row.makes:
        return raw
    return keep_customers(raw, customers, FORMS[row.client_form], request.seed)


def _tables(numbered: Numbered, division: Division, seed: int) -> dict[str, pa.Table]:
    tables = {name: _purchase_table(part) for name, part in division.parts.items()}
    held_out = np.unique(np.concatenate([division.parts["validation"].client, division.parts["test"].client]))
    n_items = numbered.items.table.num_rows
    drawn = negatives.draw(held_out, _bought(numbered, n_items).take(held_out), n_items, seed)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(drawn.ravel()), schema.NEGATIVES)
    negative_table = pa.table({schema.CLIENT: held_out, schema.ITEMS: flat})
    return {
        **tables,
        "items": numbered.items.table,
        "clients": numbered.clients.table,
        "negatives": negative_table,
    }


def _purchase_table(part: Purchases) -> pa.Table:
    columns = [part.client, part.item, part.time, part.quantity, pa.array(part.price, from_pandas=True)]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=schema.PURCHASES)


def _bought(numbered: Numbered, n_items: int) -> Ragged:
    pairs = np.unique(numbered.purchases.pairs(n_items))
    lengths = np.bincount(pairs // n_items, minlength=numbered.clients.table.num_rows)
    return Ragged.from_lengths(lengths, pairs % n_items)


def _manifest(
    source: str, row: Source, name: str, seed: int, raw: Raw, numbered: Numbered, division: Division
) -> Manifest:
    counts = _counts(numbered, division)
    return Manifest(
        name=name,
        source=source,
        seed=seed,
        version=__version__,
        time_unit=row.time_unit,
        repeats=row.repeats,
        client_form=row.client_form,
        item_form=row.item_form,
        split=division.entry,
        counts=counts,
        item_fields=numbered.items.fields,
        client_fields=numbered.clients.fields,
        notes=(*raw.notes, *_notes(raw, division, counts)),
        files={},
        sizes={},
    )


def _counts(numbered: Numbered, division: Division) -> Counts:
    test = division.parts["test"]
    before = concatenate([division.parts["train"], division.parts["validation"]])
    return Counts(
        purchases=numbered.purchases.total,
        rows=len(numbered.purchases),
        clients=numbered.clients.table.num_rows,
        items=numbered.items.table.num_rows,
        cold_clients=len(np.setdiff1d(test.client, before.client)),
        cold_items=len(np.setdiff1d(test.item, before.item)),
        unknown_items=numbered.items.unknown,
        unknown_clients=numbered.clients.unknown,
        **{name: part.total for name, part in division.parts.items()},
    )


def _notes(raw: Raw, division: Division, counts: Counts) -> list[str]:
    """Sentences on what was kept though something about it is missing."""
    train_only = division.entry.clients_train_only
    unknown_items = counts.unknown_items if len(raw.items.ids) else 0
    unknown_clients = counts.unknown_clients if len(raw.clients.ids) else 0
    notes = [
        (unknown_items, "item", "sold but not in the catalogue: kept, features unknown"),
        (unknown_clients, "client", "not in the table of customers: kept, features unknown"),
        (counts.cold_clients, "client", "in the test split without history: kept, marked cold"),
        (train_only, "client", f"with fewer than {FEWEST_ITEMS} different items: for training only"),
    ]
    return [f"{n} {what}{'s' if n > 1 else ''} {fate}" for n, what, fate in notes if n]


def _write(folder: Path, tables: Mapping[str, pa.Table], manifest: Manifest) -> None:
    """All tables, and the manifest last."""
    paths = [folder / f"{name}.parquet" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        pq.write_table(table, path)
    signed = {
        "files": {path.name: _sha256(path) for path in paths},
        "sizes": {path.name: path.stat().st_size for path in paths},
    }
    text = manifest.model_copy(update=signed).model_dump_json(indent=2)
    (folder / schema.MANIFEST).write_text(text + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _summary(output: Path, manifest: Manifest, seconds: float) -> Summary:
    counts = manifest.counts
    splits = {name: getattr(counts, name) for name in schema.SPLITS}
    return Summary(output, counts.purchases, counts.clients, counts.items, splits, seconds, list(manifest.notes))
