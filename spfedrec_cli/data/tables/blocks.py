"""A stream of text in blocks of whole lines."""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.tables.files import RawFile, Stream, empty
from spfedrec_cli.errors import InputError

I64 = npt.NDArray[np.int64]

SIZE = 1 << 23
LONGEST_RECORD = 1 << 25
_BOM = b"\xef\xbb\xbf"
_QUOTE = ord('"')


class Block(NamedTuple):
    """Whole lines; where they are not `closed`, one of them opens a quote that nothing closes."""

    data: bytes
    closed: bool = True


def cut(stream: Stream, size: int | None = None, delimiter: str = ",", quotes: bool = True) -> Iterator[Block]:
    """Blocks of about `size` bytes (8 MiB unless told), each the end of a line but perhaps the last.

    With `quotes` a line end within double quotes does not count; a quote that is not closed within 32 MiB does not
    either. Lines that end in CR alone end in LF here. Raises InputError for a line longer than that.
    """
    rest, first, old = b"", True, False
    while data := stream.read(size or SIZE):
        if first:
            data, first = data.removeprefix(_BOM), False
            old = b"\n" not in data and b"\r" in data[:-1]
        end = data.rfind(b"\n") + 1
        if end and not old and not (quotes and (b'"' in data or b'"' in rest)):
            yield Block(b"".join([rest, memoryview(data)[:end]]))
            rest = data[end:]
            continue
        rest += data.replace(b"\r", b"\n") if old else data
        end = _end(rest, delimiter) if quotes else rest.rfind(b"\n") + 1
        if end:
            yield Block(rest[:end])
            rest = rest[end:]
        elif len(rest) > LONGEST_RECORD:
            end = rest.rfind(b"\n") + 1
            if not end:
                problem = f"A line is longer than {LONGEST_RECORD >> 20} MiB"
                raise InputError(problem, where=str(stream.file), hint="check that it is a table of text")
            yield Block(rest[:end], closed=False)
            rest = rest[end:]
    if rest:
        yield Block(rest, not quotes or _closed(rest, delimiter))


def header(block: Block, delimiter: str, file: RawFile) -> tuple[tuple[str, ...], Block, int]:
    """The names in the first line of `block` that is not empty, what comes after it, and the number of the line there.

    Raises InputError where there is none.
    """
    source = io.BytesIO(block.data)
    reader = csv.reader((line.decode() for line in source), delimiter=delimiter)
    try:
        names = next((row for row in reader if row), None)
    except csv.Error as error:
        raise InputError(f"The names of the columns cannot be read: {error}", where=f"{file}, line 1") from None
    if not names:
        raise empty(file)
    return tuple(names), block._replace(data=block.data[source.tell() :]), reader.line_num + 1


def _end(data: bytes, delimiter: str) -> int:
    """How much of `data` ends a line; 0 where none of it does."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    starts, ends = _quoted(data, delimiter)
    high = len(data)
    for start, end in zip(starts[::-1].tolist(), ends[::-1].tolist(), strict=True):
        if found := data.rfind(b"\n", end, high) + 1:
            return found
        high = start
    return data.rfind(b"\n", 0, high) + 1


def _closed(data: bytes, delimiter: str) -> bool:
    if b'"' not in data:
        return True
    _, ends = _quoted(data, delimiter)
    return not len(ends) or int(ends[-1]) <= len(data)


def _quoted(data: bytes, delimiter: str) -> tuple[I64, I64]:
    """Where values in quotes start and end; an end beyond `data` where the last one is not closed.

    A quote opens a value at its beginning only; within one, two of them stand for one and look like an end and a start.
    """
    raw = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(raw == _QUOTE)
    opening = places[::2]
    before = raw[np.maximum(opening - 1, 0)]
    right = (opening == 0) | np.isin(before, np.frombuffer(f'{delimiter}\r\n"'.encode(), np.uint8))
    if right.all():
        return opening, _ends(places[1::2] + 1, len(opening), len(data))
    pattern = re.compile(rb'(?:^|(?<=[\r\n%b]))"[^"]*(?:""[^"]*)*("?)' % re.escape(delimiter.encode()))
    spans = [(one.start(), one.end() + (not one[1])) for one in pattern.finditer(data)]
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T
    return starts, ends


def _ends(closing: I64, opened: int, size: int) -> I64:
    return closing if len(closing) == opened else np.append(closing, size + 1)
