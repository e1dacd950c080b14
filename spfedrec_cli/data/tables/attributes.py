"""A table with one row for each item or customer: its id, and what describes it."""

import csv
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import ids
from spfedrec_cli.data.ids import Form
from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.tables.files import RawFile, lines
from spfedrec_cli.data.tables.gather import Wanted
from spfedrec_cli.data.tables.kinds import CATEGORY, Kind
from spfedrec_cli.data.tables.scan import scan

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Described:
    """Distinct ids (n,), the columns that the file has, aligned with them, and sentences for the user."""

    ids: pa.Array
    columns: dict[str, pa.DictionaryArray]
    notes: list[str]


def read_attributes(
    file: RawFile, key: tuple[str, Kind], columns: tuple[str, ...], request: Request, layout: Wanted | None = None
) -> Described:
    """The `columns` by the `key`, of which those that the file lacks are noted.

    A second row of one id is folded into the first where it says the same; else it is a bad row. `layout` says how the
    file is laid out where it is no CSV with a header.
    """
    name, kind = key
    shape = layout or Wanted({})
    by_name = {name: (name, kind), **{column: (column, CATEGORY) for column in columns}}
    wanted = Wanted(by_name, columns, shape.names, shape.delimiter, shape.quotes, shape.rewrite)
    table = scan(file, wanted, request.rejects, request.tell)
    keys, notes = restored(table.texts(name), kind.form, file)
    texts = {column: table.texts(column) for column in dict.fromkeys(columns) if column in table}
    plain, first = _plain(keys)
    if len(first) < len(plain):
        notes.append(_fold(plain, first, texts, name, file, request))
        plain, texts = plain.take(first), {column: values.take(first) for column, values in texts.items()}
    missing = [column for column in dict.fromkeys(columns) if column not in table]
    lacking = [f"{file.name} lacks {', '.join(missing)}: left out"] if missing else []
    return Described(plain, texts, [*notes, *lacking])


def restored(column: pa.DictionaryArray, form: Form | None, file: RawFile) -> tuple[pa.DictionaryArray, list[str]]:
    """Ids in full form, and a note where leading zeros or a float's fraction had to be mended."""
    if form is None or not form.width:
        return column, []
    texts = ids.restore(column.dictionary, form)
    mended = pc.sum(pc.not_equal(texts, column.dictionary)).as_py() or 0
    notes = [f"article ids of {file.name} had lost their leading zeros: {mended:,} restored"] if mended else []
    return pa.DictionaryArray.from_arrays(column.indices, texts, safe=False), notes


def _plain(keys: pa.DictionaryArray) -> tuple[pa.Array, I64]:
    """The key of every row, and the row at which each occurs first, ascending."""
    distinct = keys.dictionary.dictionary_encode()
    if len(distinct.dictionary) == len(keys):
        return keys.dictionary, np.arange(len(keys))
    codes = distinct.indices.to_numpy()[keys.indices.to_numpy()]
    return keys.dictionary.take(keys.indices), np.sort(np.unique(codes, return_index=True)[1])


def _fold(
    keys: pa.Array, first: I64, texts: dict[str, pa.DictionaryArray], name: str, file: RawFile, request: Request
) -> str:
    """Hands second rows that contradict the first to the rejects, which may raise InputError."""
    again = np.setdiff1d(np.arange(len(keys)), first)
    source = first[pc.index_in(keys.take(again), value_set=keys.take(first)).to_numpy()]
    differs = np.zeros(len(again), bool)
    for values in texts.values():
        codes = values.indices.to_numpy()
        differs |= codes[again] != codes[source]
    if differs.any():
        _reject(keys, again[differs], name, file, request)
    same = len(again) - int(differs.sum())
    return f"{same:,} rows of {file.name} say the same of an id a second time: left out" if same else ""


def _reject(keys: pa.Array, rows: I64, name: str, file: RawFile, request: Request) -> None:
    at = {} if file.is_parquet else _second_lines(file, name)
    for row in rows.tolist():
        key = keys[row].as_py()
        line = at[_bare(key)].pop(0) if at.get(_bare(key)) else row + 1
        request.rejects.add(file, line, f"The {name} {key} has a second row that says something else", key)


def _second_lines(file: RawFile, name: str) -> dict[str, list[int]]:
    """For each id the lines on which it occurs again."""
    reader = csv.reader(lines(file.text()))
    position = next(reader).index(name)
    found: dict[str, list[int]] = {}
    for row in reader:
        if len(row) > position:
            found.setdefault(_bare(row[position]), []).append(reader.line_num)
    return {key: numbers[1:] for key, numbers in found.items()}


def _bare(key: str) -> str:
    """An id without what a detour through numbers may have changed."""
    return key.partition(".")[0].lstrip("0")
