"""A stream of text in blocks of whole lines."""

import csv
from collections.abc import Iterator

from spfedrec_cli.data.tables.files import RawFile, Stream, empty, lines
from spfedrec_cli.errors import InputError

SIZE = 1 << 23
_BOM = b"\xef\xbb\xbf"
_LONGEST_RECORD = 1 << 25


def cut(stream: Stream, size: int = SIZE, quotes: bool = True) -> Iterator[bytes]:
    """Blocks of about `size` bytes, each the end of a line but perhaps the last.

    With `quotes` a line end within double quotes does not count; a quote that is not closed within 32 MiB does not
    either.
    """
    rest, first = b"", True
    while data := stream.read(size):
        if first:
            data, first = data.removeprefix(_BOM), False
        end = _end(rest, data, quotes)
        if end:
            yield b"".join([rest, memoryview(data)[:end]])
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest


def _end(rest: bytes, data: bytes, quotes: bool) -> int:
    """How much of `data` ends a line; 0 where none of it does."""
    end = data.rfind(b"\n") + 1
    if not quotes or (not (odd := rest.count(b'"') % 2) and b'"' not in data):
        return end
    while end and (odd + data.count(b'"', 0, end)) % 2:
        end = data.rfind(b"\n", 0, end - 1) + 1
    if not end and len(rest) + len(data) > _LONGEST_RECORD:
        return data.rfind(b"\n") + 1
    return end


def header(block: bytes, delimiter: str, file: RawFile) -> tuple[tuple[str, ...], bytes]:
    """The names in the first line of `block`, and what comes after it. Raises InputError where there are none."""
    line, _, rest = block.partition(b"\n")
    names = next(csv.reader(lines(line.decode()), delimiter=delimiter), None)
    if not names:
        raise empty(file)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"The column {twice!r} occurs twice", where=f"{file}, line 1", hint="rename one of them")
    return tuple(names), rest
