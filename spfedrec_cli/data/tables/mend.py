"""The slow second reading of a block in which something is wrong: which lines, and what."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from spfedrec_cli.data.tables.blocks import LONGEST_RECORD
from spfedrec_cli.data.tables.files import RawFile, lines
from spfedrec_cli.data.tables.kinds import Kind
from spfedrec_cli.data.tables.rejects import Rejects


@dataclass(frozen=True)
class Layout:
    """How lines are laid out: `names` are all columns of the file in order, `columns` those that are read.

    `quotes` says whether a value may stand in double quotes.
    """

    names: tuple[str, ...]
    columns: Mapping[str, Kind]
    delimiter: str = ","
    quotes: bool = True


class Record(NamedTuple):
    """A row as it stands in a block: its first line (from 0), its text, and what is wrong with it."""

    line: int
    text: str
    problem: str | None


def mend(block: bytes, first_line: int, layout: Layout, file: RawFile, rejects: Rejects) -> bytes:
    """The lines of `block` that can be read. Hands the others to `rejects`, which may raise InputError."""
    good = []
    for record in records(block, layout):
        if record.problem:
            rejects.add(file, first_line + record.line, record.problem, record.text.rstrip("\r\n"))
        else:
            good.append(record.text if record.text.endswith(("\r", "\n")) else record.text + "\n")
    return "".join(good).encode("utf-8", "surrogateescape")


def records(block: bytes, layout: Layout) -> Iterator[Record]:
    """Empty lines are passed over. A quote that is not closed spoils its own line only."""
    rows = lines(block.decode("utf-8", "surrogateescape")).readlines()
    start = 0
    with _long_values():
        while start < len(rows):
            source = _Rest(rows, start)
            for row in _reader(source, layout):
                if source.ended:
                    yield Record(start, rows[start], "The line opens a quote that is not closed")
                    start += 1
                    break
                if row:
                    text = "".join(rows[start : source.place])
                    yield Record(start, text, _problem(row, layout))
                start = source.place
            else:
                return


def _reader(source: Iterator[str], layout: Layout) -> Iterator[list[str]]:
    if layout.quotes:
        return csv.reader(source, delimiter=layout.delimiter)
    return csv.reader(source, delimiter=layout.delimiter, quoting=csv.QUOTE_NONE)


@contextmanager
def _long_values() -> Iterator[None]:
    """What csv takes for a mistake is for pyarrow a long value."""
    limit = csv.field_size_limit(4 * LONGEST_RECORD)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


class _Rest:
    """The lines from `place` on; `ended` when one more was asked for than there are, but at the end of a row."""

    def __init__(self, rows: Sequence[str], place: int) -> None:
        self._rows, self.place, self.ended = rows, place, False

    def __iter__(self) -> "Iterator[str]":
        return self

    def __next__(self) -> str:
        if self.place == len(self._rows):
            self.ended = True
            raise StopIteration
        self.place += 1
        return self._rows[self.place - 1]


def _problem(row: Sequence[str], layout: Layout) -> str | None:
    if len(row) != len(layout.names):
        return f"The line has {len(row)} columns where the first has {len(layout.names)}"
    for name, kind in layout.columns.items():
        value = row[layout.names.index(name)]
        if any("\udc80" <= letter <= "\udcff" for letter in value):
            return f"The {name} is not UTF-8 text"
        if not kind.holds(value):
            return f"The {name} {value[:100]!r} is not {kind.described}"
    return None
