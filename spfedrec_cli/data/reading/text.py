"""Delimited text, and JSON lines, in blocks of whole lines.

Blocks go through Arrow where each line is a row. Where one is not, or Arrow finds something wrong, the block is read
row by row, and it is known which line says what. Arrow alone would name no physical lines, and would take everything
behind a quote that is not closed for one value.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from spfedrec_cli.data.arrays import scalar, texts
from spfedrec_cli.data.reading.batches import Batch, Job, Problem, Tall
from spfedrec_cli.data.reading.files import RawFile, Stream
from spfedrec_cli.data.reading.layout import ENCODING, Layout, is_broken, split_lines
from spfedrec_cli.data.reading.objects import NO_TEXT, NO_VALUE, objects_at_once, values_of
from spfedrec_cli.errors import InputError

BLOCK = 1 << 23
LONGEST = 1 << 25  # bytes of a row, beyond which a quote is taken for one that is not closed
_LINE_FEED = ord("\n")
_MARK = 1 << 20
_REPEATING = pa.dictionary(pa.int32(), pa.string())
_COLUMNS = " columns where the first has "
Row = tuple[int, str, Sequence[str] | str]


def text_jobs(
    file: RawFile, layout: Layout, columns: Sequence[str], exact: Mapping[str, str], size: int | None = None
) -> Iterator[Job]:
    """Blocks of about `size` bytes. Raises InputError for a line that is longer than 32 MiB.

    Columns that are no ids, as `exact` calls them, are encoded on the way: they repeat.
    """
    types = {name: pa.string() if exact.get(name) == "id" else _REPEATING for name in columns}
    with file.open(layout.encoding) as stream:
        blocks = _Blocks(stream, size or BLOCK)
        blocks.pass_over(layout.line - 1)
        while data := blocks.next():
            if layout.form == "csv" and layout.quotes and b'"' in data:
                # Where this block ends is not known before its quotes have been read.
                batch = _at_once(data, layout, types)
                if batch is None:
                    lines = _Lines(data, blocks.next)
                    batch = _by_row(lines, layout, columns)
                    blocks.put_back(lines.left())
                yield Job(partial(_as_it_is, batch), stream.tell())
            else:
                yield Job(partial(_block, data, layout, types), stream.tell())


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _block(data: bytearray, layout: Layout, columns: Mapping[str, pa.DataType]) -> Batch:
    """A block without quotes, or of JSON lines."""
    found = _at_once(data, layout, columns) if layout.form == "csv" else _objects(data, list(columns))
    return found or _by_row(_Lines(data), layout, list(columns))


def _objects(data: bytearray, columns: Sequence[str]) -> Batch | None:
    rows = _count(data)
    found = objects_at_once(data, rows, columns)
    return None if found is None else Batch(found, rows, np.arange(rows), partial(_split, data))


def _at_once(data: bytearray, layout: Layout, columns: Mapping[str, pa.DataType]) -> Batch | None:
    """By Arrow; None where something is wrong, or a row is not a line."""
    return _every_line(data, layout, columns) or _without_blanks(data, layout, columns)


def _without_blanks(data: bytearray, layout: Layout, columns: Mapping[str, pa.DataType]) -> Batch | None:
    """Without lines that are empty, or blank in a table of several columns."""
    blanks = b"\r\n" if len(layout.names) == 1 else b" \r\n"
    if not data.strip(blanks):
        return replace(_by_row(_Lines(bytearray()), layout, list(columns)), height=_count(data))
    lines = bytes(data).splitlines(keepends=True)
    filled = np.flatnonzero([bool(line.strip(blanks)) for line in lines])
    batch = _every_line(bytearray().join(lines[line] for line in filled), layout, columns, may_be_blank=False)
    return batch and replace(batch, height=len(lines), lines=filled[batch.lines])


def _every_line(
    data: bytearray, layout: Layout, columns: Mapping[str, pa.DataType], may_be_blank: bool = True
) -> Batch | None:
    """Behind quotes one more row is put: where one of them stayed open, it is swallowed, and a row is missing."""
    if data.startswith((b"\n", b"\r")):  # which Arrow takes for a row where it stands alone
        return None
    quoted = layout.quotes and b'"' in data
    delimiter = layout.delimiter if len(layout.delimiter) == 1 else "\t"
    names = [str(place) for place in range(len(layout.names))]
    types = {names[layout.names.index(name)]: type for name, type in columns.items()}
    as_it_stands = data
    if delimiter != layout.delimiter:
        if b"\t" in data:
            return None
        data = data.replace(layout.delimiter.encode(), b"\t")
    last = [b"" if data.endswith((b"\n", b"\r")) else b"\n", delimiter.join(names).encode()]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(b"".join([data, *last]) if quoted else data),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + _MARK, column_names=names),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if layout.quotes else False, ignore_empty_lines=False
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=list(types),
                column_types=types,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    rows = len(table) - quoted
    read = [_first(column, rows) for column in table.columns]
    if (quoted and rows != _count(data)) or (may_be_blank and _may_be_empty(read)):
        return None  # A row that is no line, or one that may be an empty line.
    found = dict(zip(columns, read, strict=True))
    return Batch(found, rows, np.arange(rows), partial(_split, as_it_stands))


def _first(column: pa.ChunkedArray, rows: int) -> pa.Array:
    """So many rows, which Arrow has read in one piece; of a dictionary what these hold."""
    array = column.combine_chunks().slice(0, rows)
    if not rows or not isinstance(array, pa.DictionaryArray):
        return array
    held = array.dictionary.slice(0, pc.max(array.indices).as_py() + 1)
    return pa.DictionaryArray.from_arrays(array.indices, held, safe=False)


def _may_be_empty(columns: Sequence[pa.Array]) -> bool:
    """Whether some row is empty in all columns."""
    texts = [getattr(column, "dictionary", column) for column in columns]
    if any(pc.min(pc.binary_length(each)).as_py() for each in texts):
        return False
    empty = (pc.equal(pc.binary_length(column.cast(pa.string())), scalar(0)) for column in columns)
    return bool(pc.any(reduce(pc.and_, empty)).as_py())


def _by_row(lines: "_Lines", layout: Layout, columns: Sequence[str]) -> Batch:
    """What is wrong with a row is a text in the place of its values."""
    read = list(_json_rows(lines, columns) if layout.form == "json" else _rows(lines, layout, columns))
    good = [row for row in read if not isinstance(row[2], str)]
    by_column = zip(*(values for _, _, values in good), strict=True) if good else [()] * len(columns)
    arrays = [texts(values) for values in by_column]
    wrong = [(line, text, values) for line, text, values in read if isinstance(values, str)]
    alike = not good and len(wrong) > 1 and len({problem for _, _, problem in wrong}) == 1
    foreign = any(problem.endswith(NO_TEXT) for _, _, problem in wrong) and _is_foreign([text for _, text, _ in read])
    problems = [
        Problem(line, problem, text, _hint(problem, text, alike, bool(good), foreign, layout))
        for line, text, problem in wrong
    ]
    numbers = np.array([line for line, _, _ in good], np.int64)
    found = dict(zip(columns, arrays, strict=True))
    tall = Tall.of(Tall(1, height, line) for line, text, _ in good if (height := _height(text)) > 1)
    return Batch(found, lines.number, numbers, lambda: [text for _, text, _ in good], problems, tall)


def _is_foreign(rows: Sequence[str]) -> bool:
    """Whether most of those that are not ASCII are no UTF-8 either; where few are, these were damaged."""
    broken = [is_broken(row) for row in rows if not row.isascii()]
    return 2 * sum(broken) > len(broken)


def _height(row: str) -> int:
    """Lines of one row."""
    row = row.rstrip("\r\n")
    return 1 + row.count("\n") + row.count("\r") - row.count("\r\n")


def _count(data: bytes | bytearray) -> int:
    """Lines, as editors count them: LF, CR LF or CR ends one."""
    ends = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _LINE_FEED))
    ends += data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0
    return ends + (not data.endswith((b"\n", b"\r")))


def _split(data: bytes | bytearray) -> list[str]:
    return [line.decode("utf-8", "surrogateescape") for line in data.splitlines(keepends=True)]


class _Blocks:
    """The text of a stream in blocks of whole lines."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._size, self._rest = stream, size, b""

    def pass_over(self, lines: int) -> None:
        text = self._stream.text
        for _ in range(lines):
            while (byte := text.read(1)) not in (b"\n", b"\r", b""):
                pass
            if byte == b"\r" and text.peek(1)[:1] == b"\n":
                text.read(1)

    def next(self) -> bytearray:
        """None of it at the end. It is read to where it stays: to copy a block takes as long as to read it."""
        data = bytearray(self._rest)
        while read := self._read_behind(data):
            data = read
            if end := max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1:
                self._rest = bytes(data[end:])
                del data[end:]
                return data
            if len(data) > LONGEST:
                problem = f"A line is longer than {LONGEST >> 20} MiB"
                raise InputError(problem, where=str(self._stream.file), hint="check that it is a table of text")
        self._rest = b""
        return data

    def put_back(self, data: bytes) -> None:
        self._rest = data + self._rest

    def _read_behind(self, start: bytearray) -> bytearray | None:
        """`start` and what comes behind it; None where nothing does."""
        data = bytearray(len(start) + self._size)
        data[: len(start)] = start
        with memoryview(data) as whole, whole[len(start) :] as room:
            read = self._stream.text.readinto(room)
        del data[len(start) + read :]
        return data if read else None


class _Lines:
    """Physical lines, of which those of the present row can be had again; where a row does not end there are `more`.

    `number` is that of the next row's first line, from 0; `ended` is set when one more line was asked for than there
    are, or than a row may have.
    """

    def __init__(self, data: bytearray, more: Callable[[], bytearray] = bytearray) -> None:
        self._lines, self._more, self._size = deque(_split(data)), more, 0
        self.row: list[str] = []
        self.number, self.ended = 0, False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.row and not self._lines:
            self._lines.extend(_split(self._more()))
        if not self._lines or self._size > LONGEST:
            self.ended = True
            raise StopIteration
        self.row.append(self._lines.popleft())
        self._size += len(self.row[-1])
        return self.row[-1]

    def next_row(self, lines: int | None = None) -> None:
        """Goes on behind the present row, or behind so many `lines` of it."""
        lines = len(self.row) if lines is None else lines
        self._lines.extendleft(reversed(self.row[lines:]))
        self.number += lines
        self.row, self._size, self.ended = [], 0, False

    def left(self) -> bytes:
        """What no row has taken."""
        return "".join(self._lines).encode("utf-8", "surrogateescape")


def _rows(lines: _Lines, layout: Layout, columns: Sequence[str]) -> Iterator[Row]:
    """The line of each row, its text, and its values or what is wrong. Empty lines are passed over, and those of
    blanks alone.

    A quote that is not closed spoils its own line only. Where there is no end to it, that line is the last, and what is
    behind it is left.
    """
    places = [layout.names.index(name) for name in columns]
    while True:
        for row in split_lines(lines, layout.delimiter, layout.quotes):
            number, text = lines.number, "".join(lines.row)
            endless = bool(lines.ended and lines.row)
            if endless or (len(lines.row) > 1 and _swallows(lines.row, layout)):
                yield number, lines.row[0], "The line opens a quote that is not closed"
                lines.next_row(1)
                if endless:
                    return
                break
            lines.next_row()
            if row and (len(layout.names) == 1 or text.strip(" \r\n")):
                yield number, text, _values(row, places, layout)
        else:
            return


def _swallows(lines: Sequence[str], layout: Layout) -> bool:
    """Whether a quote that one of them opens ends within a value of another, or all have all columns by themselves."""
    sign, columns = layout.delimiter, len(layout.names)
    if sign != "," and all(line.count(sign) + 1 == columns for line in lines):
        return True
    try:
        return not list(csv.reader(lines, delimiter=sign, strict=True))
    except csv.Error:
        return True


def _hint(
    problem: str, text: str, alike: bool, others: bool, foreign: bool, layout: Layout
) -> Callable[[], str | None]:
    """What to do beyond mending the line; `alike` are all lines wrong, or `others` are right, or most `foreign`."""
    quote = 'write a quote within a value as "", not as \\"' + ", or leave bad rows out with --skip-bad-rows" * others
    named = f"write a first line with a name for each column, and quotes around values that hold {layout.delimiter!r}"
    uneven = named if layout.line > 1 else "read it with --source table --no-header, which takes other delimiters"
    tried = {
        ENCODING: foreign and problem.endswith(NO_TEXT),
        quote: '\\"' in text and ("quote" in problem or _COLUMNS in problem),
        "name another column, or write a row for each value": alike and problem.endswith(NO_VALUE),
        uneven: alike and _COLUMNS in problem,
    }
    return lambda: next((hint for hint, fits in tried.items() if fits), None)


def _values(row: Sequence[str], places: Sequence[int], layout: Layout) -> Sequence[str] | str:
    if len(row) != len(layout.names):
        return f"The line has {len(row)}{_COLUMNS}{len(layout.names)}"
    values = [row[place] for place in places]
    wrong = next((place for place in places if is_broken(row[place])), None)
    return values if wrong is None else f"The {layout.names[wrong]}{NO_TEXT}"


def _json_rows(lines: _Lines, columns: Sequence[str]) -> Iterator[Row]:
    for line in lines:
        number = lines.number
        lines.next_row()
        if line.strip():
            yield number, line, values_of(line, columns)
