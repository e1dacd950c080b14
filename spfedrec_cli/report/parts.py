"""What a page consists of, before it is laid out: sections of sentences, tables and figures, all of plain text."""

from collections.abc import Sequence
from dataclasses import dataclass, field

FOUND = "bought in test"  # the mark of what was found
Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under their headings; the first column names the row. `strong` is the place of a row that stands out."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    strong: int | None = None


@dataclass(frozen=True)
class Figure:
    """`svg` as `inlined` makes it, what it shows in words, and the same in figures, under the picture."""

    title: str
    svg: str
    alt: str
    table: Table


@dataclass(frozen=True)
class Entry:
    """An article as a line: its name, what else is said of it, and marks such as "bought in test"."""

    name: str
    detail: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Lists of articles beside one another, under one title."""

    title: str
    sentence: str
    lists: Sequence[tuple[str, Sequence[Entry]]]


@dataclass(frozen=True)
class Point:
    """One matter of the verdict: its name, what is found, and whether it is `good`, `bad` or neither."""

    name: str
    text: str
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """`folded`: tables that a reader opens."""

    name: str
    title: str
    sentences: Sequence[str] = ()
    points: Sequence[Point] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    columns: Sequence[Columns] = ()
    folded: Sequence[Table] = field(default=())


@dataclass(frozen=True)
class Page:
    """`about` are pairs of a name and what it is."""

    title: str
    subtitle: str
    about: Sequence[tuple[str, str]]
    sections: Sequence[Section]
