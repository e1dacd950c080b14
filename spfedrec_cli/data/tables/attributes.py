"""A table with one row for each item or customer: its id, and what describes it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import ids
from spfedrec_cli.data.ids import Form
from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.tables.files import RawFile
from spfedrec_cli.data.tables.gather import Scanned, Wanted
from spfedrec_cli.data.tables.kinds import CATEGORY, Kind
from spfedrec_cli.data.tables.scan import lines_of, scan

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Described:
    """Distinct ids (n,), the columns that the file has, aligned with them, and sentences for the user."""

    ids: pa.Array
    columns: dict[str, pa.DictionaryArray]
    notes: list[str]


def read_attributes(
    file: RawFile,
    key: tuple[str, Kind],
    columns: tuple[str, ...],
    request: Request,
    layout: Wanted | None = None,
    needed: bool = False,
) -> Described:
    """The `columns` by the `key`, of which those that the file lacks are noted, or where they are `needed` refused.

    A second row of one id is folded into the first where it says the same; else it is a bad row. `layout` says how the
    file is laid out where it is no CSV with a header.
    """
    name, kind = key
    shape = layout or Wanted({})
    by_name = {**{column: (column, CATEGORY) for column in columns}, name: (name, kind)}
    optional = () if needed else tuple(column for column in columns if column != name)
    wanted = Wanted(by_name, optional, shape.names, shape.delimiter, shape.quotes, shape.rewrite)
    table = scan(file, wanted, request.rejects, request.tell)
    keys, notes = restored(table.texts(name), kind.form, file)
    texts = {column: table.texts(column) for column in dict.fromkeys(columns) if column in table}
    first = _first_rows(keys)
    if len(first) < len(keys):
        notes += _fold(keys, first, texts, _Place(file, wanted, table, name), request)
        texts = {column: values.take(first) for column, values in texts.items()}
    missing = [column for column in dict.fromkeys(columns) if column not in table]
    lacking = [f"{file.name} lacks {', '.join(missing)}: left out"] if missing else []
    return Described(keys.dictionary, texts, [*notes, *lacking])


def restored(column: pa.DictionaryArray, form: Form | None, file: RawFile) -> tuple[pa.DictionaryArray, list[str]]:
    """Ids in full form, and a note where leading zeros or a float's fraction had to be mended."""
    if form is None or not form.width:
        return column, []
    texts = ids.restore(column.dictionary, form)
    mended = pc.sum(pc.not_equal(texts, column.dictionary)).as_py() or 0
    if not mended:
        return column, []
    distinct = texts.dictionary_encode()
    places = distinct.indices.take(column.indices)
    notes = [f"article ids of {file.name} had lost their leading zeros: {mended:,} restored"]
    return pa.DictionaryArray.from_arrays(places, distinct.dictionary, safe=False), notes


def _first_rows(keys: pa.DictionaryArray) -> I64:
    """The row at which each key occurs first, in the order of the dictionary, which is that of the file."""
    if len(keys.dictionary) == len(keys):
        return np.arange(len(keys))
    return np.asarray(np.unique(keys.indices.to_numpy(), return_index=True)[1], np.int64)


@dataclass(frozen=True)
class _Place:
    """Where the rows of a table came from; `name` is the column of its ids."""

    file: RawFile
    wanted: Wanted
    table: Scanned
    name: str


def _fold(
    keys: pa.DictionaryArray, first: I64, texts: dict[str, pa.DictionaryArray], place: _Place, request: Request
) -> list[str]:
    """Hands second rows that contradict the first to the rejects, which may raise InputError."""
    again = np.setdiff1d(np.arange(len(keys)), first)
    source = first[keys.indices.to_numpy()[again]]
    differs = np.zeros(len(again), bool)
    for values in texts.values():
        codes = values.indices.to_numpy()
        differs |= codes[again] != codes[source]
    if differs.any():
        _reject(keys, again[differs], place, request)
    same = len(again) - int(differs.sum())
    rows = "1 row" if same == 1 else f"{same:,} rows"
    say = "says" if same == 1 else "say"
    return [f"{rows} of {place.file.name} {say} the same of an id a second time: left out"] if same else []


def _reject(keys: pa.DictionaryArray, rows: I64, place: _Place, request: Request) -> None:
    numbers = rows[: 1 if not request.rejects.skip else None].tolist()
    for row, line in zip(numbers, lines_of(place.file, place.wanted, place.table, numbers), strict=True):
        key = keys[row].as_py()
        request.rejects.add(place.file, line, f"The {place.name} {key} has a second row that says something else", key)
