"""The slow second reading of a block in which something is wrong: which lines, and what."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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


def mend(block: bytes, first_line: int, layout: Layout, file: RawFile, rejects: Rejects) -> bytes:
    """The lines of `block` that can be read. Hands the others to `rejects`, which may raise InputError."""
    good = []
    for number, line, row in _rows(block, layout):
        problem = _problem(row, layout, line)
        if problem:
            rejects.add(file, first_line + number, problem, line.rstrip("\r\n"))
        else:
            good.append(line)
    return "".join(good).encode()


def _rows(block: bytes, layout: Layout) -> Iterator[tuple[int, str, list[str]]]:
    """For each record its first line (from 0), its text and its values; empty lines are passed over."""
    text = block.decode("utf-8", "surrogateescape")
    source = _Remember(lines(text))
    reader = csv.reader(
        source, delimiter=layout.delimiter, quoting=csv.QUOTE_MINIMAL if layout.quotes else csv.QUOTE_NONE
    )
    number = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            row = []
            source.taken = source.taken or [""]
        if row is None:
            return
        line, source.taken = "".join(source.taken), []
        if line.strip("\r\n"):
            yield number, line, row
        number = reader.line_num


class _Remember:
    """Lines, and those taken since they were last looked at."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self.taken: list[str] = []

    def __iter__(self) -> "Iterator[str]":
        return self

    def __next__(self) -> str:
        self.taken.append(next(self._source))
        return self.taken[-1]


def _problem(row: Sequence[str], layout: Layout, line: str) -> str | None:
    if not line.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in line):
        return "The line is not UTF-8 text"
    if len(row) != len(layout.names):
        return f"The line has {len(row)} columns where the first has {len(layout.names)}"
    for name, kind in layout.columns.items():
        value = row[layout.names.index(name)]
        if not kind.fits(value):
            return f"The {name} {value[:100]!r} is not {kind.described}"
    return None
