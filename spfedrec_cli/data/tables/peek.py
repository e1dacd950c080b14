"""The first rows of a file, to learn how it is laid out before it is read."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.tables import blocks
from spfedrec_cli.data.tables.arrows import as_text
from spfedrec_cli.data.tables.files import RawFile, lines, refusals

_ROWS = 1000
_FIRST_BLOCK = 1 << 18
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Peeked:
    """What stands between the values of a line, and the first values of a column."""

    delimiter: str
    values: tuple[str, ...]


def peek(file: RawFile, needed: Sequence[str], column: str) -> Peeked:
    """The delimiter is the one that gives all columns that are `needed`, else a comma."""
    return _peek_parquet(file, column) if file.is_parquet else _peek_text(file, needed, column)


def _peek_text(file: RawFile, needed: Sequence[str], column: str) -> Peeked:
    with file.open() as stream:
        for block in blocks.cut(stream, _FIRST_BLOCK):
            if block.data.strip(b"\r\n"):
                return _peek_block(lines(block.data.decode("utf-8", "replace")).readlines(), needed, column)
    return Peeked(",", ())


def _peek_block(text: Sequence[str], needed: Sequence[str], column: str) -> Peeked:
    for delimiter in _DELIMITERS:
        try:
            rows = list(islice((row for row in csv.reader(text, delimiter=delimiter) if row), _ROWS))
        except csv.Error:
            continue
        if all(name in rows[0] for name in needed):
            place = rows[0].index(column)
            return Peeked(delimiter, tuple(row[place] for row in rows[1:] if len(row) == len(rows[0])))
    return Peeked(",", ())


def _peek_parquet(file: RawFile, column: str) -> Peeked:
    with refusals(file), pq.ParquetFile(file.path) as source:
        if source.schema_arrow.names.count(column) != 1:
            return Peeked(",", ())
        first = next(source.iter_batches(_ROWS, columns=[column]), None)
        try:
            return Peeked(",", tuple(text or "" for text in as_text(first.column(0)).to_pylist()) if first else ())
        except pa.ArrowNotImplementedError:
            return Peeked(",", ())
