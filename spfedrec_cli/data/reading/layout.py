"""How a file is laid out, learnt from its first lines."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from spfedrec_cli.data.reading.files import RawFile, Stream, empty, no_text
from spfedrec_cli.errors import InputError

_HEAD, _FAR = 1 << 18, 1 << 21  # bytes that are looked at, and within which the first line has to end
_BEGUN = re.compile(rb"\s*([{[]|\S[^\r\n]*[\r\n])")  # of JSON a whole line may be far too much
_ROWS = 1000
_LONGEST = 1 << 30
_EXCEL = re.compile("sep=[,;\t|]\r?\n")  # the line that tells Excel the delimiter
_DELIMITERS = (",", ";", "\t", "|", "::")
ENCODING = "say which encoding the file has, as --encoding cp1252, which is a guess"


@dataclass(frozen=True)
class Shape:
    """What is known before a file is opened.

    `names` are the columns of a file without a header; with `numbered` they are 1, 2, 3, ... A `delimiter` of several
    letters never stands in a value. `quotes` says whether a value may stand in double quotes.
    """

    names: tuple[str, ...] | None = None
    numbered: bool = False
    delimiter: str | None = None
    quotes: bool = True
    encoding: str | None = None


@dataclass(frozen=True)
class Layout:
    """All columns of a file in order, what stands between values, and the line at which the first row begins.

    `said` are columns that its folders tell instead, each with its one value.
    """

    form: Literal["csv", "json", "parquet"]
    names: tuple[str, ...]
    delimiter: str = ","
    quotes: bool = True
    encoding: str | None = None
    line: int = 1
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> tuple[str, ...]:
        return (*self.names, *self.said)

    @property
    def unit(self) -> str:
        """What its rows are counted in."""
        return "row" if self.form == "parquet" else "line"


def text_layout(file: RawFile, shape: Shape, needed: Sequence[str]) -> Layout:
    """That of a file of delimited text, or of one JSON object a line.

    Where no delimiter is given it is the one that yields all columns that are `needed`, else the most. Without a header
    it yields rows as long as the first, and is the first to come up. Raises InputError where the file has no line.
    """
    with file.open(shape.encoding) as stream:
        start = _head(stream)
    if start.lstrip().startswith("{") and (keys := _keys(start)):
        return Layout("json", keys, encoding=shape.encoding)
    if re.match(r"""\s*(\[\s*)?\{\s*(u?'|["}])""", start):
        hint = "write one JSON object a line, as jq --compact-output '.[]' does with an array"
        if re.match(r"\s*(\[\s*)?\{\s*u?'", start):
            hint = "write each line as Python's json.dumps(ast.literal_eval(line)) has it"
            raise InputError("The file holds Python's dicts, which are not JSON", where=str(file), hint=hint)
        raise InputError("The file is JSON, but not one object a line", where=str(file), hint=hint)
    told = (start[4],) if _EXCEL.match(start) else ()
    tried = [
        _header(start, shape, one, file) for one in told or ((shape.delimiter,) if shape.delimiter else _DELIMITERS)
    ]

    def merit(one: Layout) -> tuple[int, ...]:
        order = (_even(start, one), -start.find(one.delimiter)) if shape.numbered else (len(one.names),)
        found = sum(name in one.names for name in needed)
        return found, sum(bool(akin(one.names, name)) for name in needed), *order

    return max(tried, key=merit)


def _even(start: str, layout: Layout) -> int:
    """How many of the first rows have as many values as the first."""
    rows = split_lines(io.StringIO(start, newline=""), layout.delimiter, layout.quotes)
    return sum(len(row) == len(layout.names) for row in islice(rows, _ROWS))


def _head(stream: Stream) -> str:
    """The beginning, with the whole of the first line that is not blank."""
    text = part = stream.text.read(_HEAD)
    while part and not _BEGUN.match(text) and len(text) < _FAR:
        text += (part := stream.text.read(_HEAD))
    if part and not _BEGUN.match(text):
        hint = "check that it is a table of text"
        raise InputError(f"The first {_FAR >> 20} MiB hold no whole line", where=str(stream.file), hint=hint)
    if not text.strip():
        raise empty(stream.file)
    return text.decode("utf-8", "surrogateescape")


def _header(start: str, shape: Shape, delimiter: str, file: RawFile) -> Layout:
    lines = io.StringIO(start, newline="")
    rows = split_lines(lines, delimiter, shape.quotes)
    if _EXCEL.match(start):
        next(rows)
    first = next((row for row in rows if any(value.strip() for value in row)), None)
    if first is None:
        raise empty(file)
    if any("\0" in name for name in first):
        line = start.partition("\n")[0]
        order = next((order for place, order in enumerate(("be", "le")) if not line[place::2].strip("\0")), None)
        if order is None or not line.strip("\0"):
            raise no_text(file)
        hint = f"say which encoding it has with --encoding utf-16-{order}"
        raise InputError("The first line is not UTF-8 text", where=str(file), hint=hint)
    quotes = shape.quotes and len(delimiter) == 1
    if shape.names or shape.numbered:
        names = shape.names or tuple(str(place) for place in range(1, len(first) + 1))
        return Layout("csv", names, delimiter, quotes, shape.encoding, 1)
    names = tuple(name.strip() for name in first)
    behind = 1 + sum(1 for _ in io.StringIO(start[: lines.tell()], newline=""))
    return Layout("csv", names, delimiter, quotes, shape.encoding, behind)


def split_lines(lines: Iterator[str], delimiter: str, quotes: bool) -> Iterator[list[str]]:
    """Rows of values; csv's reader but for delimiters of several letters. What csv takes for a mistake by its length is
    a long value here."""
    if len(delimiter) > 1:
        return (line.rstrip("\r\n").split(delimiter) if line.strip("\r\n") else [] for line in lines)
    csv.field_size_limit(_LONGEST)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)


def _keys(start: str) -> tuple[str, ...]:
    """Of the first objects, in the order in which they come up; a line that is none is found when it is read."""
    keys: dict[str, None] = {}
    for line in start.splitlines()[:_ROWS]:
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(read, dict) and not all(isinstance(value, dict | list) for value in read.values()):
            keys |= dict.fromkeys(read)
    return tuple(keys)


def advice(file: RawFile, layout: Layout, shape: Shape, name: str, needed: Sequence[str], part: bool) -> str:
    """What to do where `name`, one of the columns that are `needed`, is missing; of `part` of a table too."""
    known = f"its columns are {' '.join(', '.join(layout.known)[:200].split())}"
    text, named = layout.form == "csv", not shape.numbered
    if any(map(is_broken, layout.names)):
        return f"{known}; {ENCODING}"
    if text and named and all(map(_is_name, needed)) and (line := _line_of(file, shape, needed)):
        around = "but not by itself: look at its quotes, and at what else stands there"
        return f"line {line} names it{f', {around}' if line < layout.line else ': take away what stands above'}"
    if text and sum(map(bool, layout.names)) == 1 < len(needed):
        what = "the first line has to hold the names of all" if named else "values have to stand beside each other"
        return f"{known}; {what}, with a comma, a semicolon, a tab, | or :: between"
    if text and not named:
        return f"{known}, the values of its first line counted"
    if near := akin(layout.known, name):
        other = "Files that call it differently are given each with an --input of its own"
        return f"did you mean {near}? {other}" if part else f"rename {near} to {name} there"
    if text and not all(map(_is_name, layout.names)):
        how = "say --no-header" if part else "put a line with their names in front"
        return f"{known}; {how} where its first line holds values"
    late = "; where later lines alone have it, write it in the first too, as null" if layout.form == "json" else ""
    return known + "; where another table has it, name that one or join the two" * part + late


def _line_of(file: RawFile, shape: Shape, needed: Sequence[str]) -> int | None:
    """The first line that names all columns that are `needed`."""
    with file.open(shape.encoding) as stream:
        lines = enumerate(io.StringIO(_head(stream), newline=None), 1)
    split = ((number, {value.strip(' "\n') for value in re.split("::|[,;\t|]", line)}) for number, line in lines)
    return next((number for number, values in split if values.issuperset(needed)), None)


def _is_name(column: str) -> bool:
    """Not a number or a date."""
    return not column or (any(map(str.isalpha, column)) and not column[0].isdigit())


def doubts(file: RawFile, encoding: str | None) -> list[str]:
    """Whether it is another encoding than UTF-8 that the user says of a file which is UTF-8 as it stands."""
    if encoding is None or file.is_parquet or codecs.lookup(encoding).name.startswith("utf"):
        return []
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(file.head(_HEAD))
    except UnicodeError:
        return []
    how = f"leave --encoding out, or where other files are {encoding}, write all as UTF-8"
    return [] if text.isascii() else [f"{file.name} is UTF-8, but was read as {encoding}: {how}"]


def is_broken(text: str) -> bool:
    """Whether it holds half a letter: a byte that is no UTF-8, or half of a pair."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def akin(names: Sequence[str], name: str) -> str | None:
    """The column called `name`, or else the only one alike but for case and punctuation, or else the only one whose
    name holds `name` or is held by it: UnitPrice for Price. None where there is none."""
    if name in names:
        return name
    wanted = _letters(name)
    same = [one for one in names if _letters(one) == wanted != ""]
    near = [
        one
        for one in names
        if (short := _letters(one)) in wanted or wanted in short
        if min(len(short), len(wanted)) > 3
    ]
    return next((alike[0] for alike in (same, near) if len(alike) == 1), None)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
