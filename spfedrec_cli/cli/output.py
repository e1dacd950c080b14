"""The single sink: data to stdout, talk to stderr, and never markup from anybody's data."""

import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from spfedrec_cli.cli.folding import folded
from spfedrec_cli.report.numbers import counted as counted
from spfedrec_cli.report.numbers import size as size

# Off a terminal nobody is served by lines that are folded at 80 columns.
UNBOUNDED = 240
WIDEST = 10_000

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*%#"
LONGEST_LINE = 60
SHORT = 12  # a cell that is no wider is not folded

Cell = str | int | float | None


def plain(text: object) -> str:
    """`text` on one line, with what could steer a terminal shown as U+FFFD."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))


def number(value: Cell) -> str:
    """1,234 or 0.1234; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else plain(value)


def duration(seconds: float) -> str:
    """0.4 s, 42 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[str] = ()) -> Group:
    """Rows under their headings; columns of numbers, and those in `right`, stand right. No cell is read as markup.

    A narrow terminal folds cells at their blanks alone: half an id or half a number would be read as a whole one.
    """
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        cells = [number(row[place]) for row in rows]
        numeric = column in right or not any(isinstance(row[place], str) for row in rows)
        made.add_column(
            Text(column),
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
            min_width=narrowest([column, *cells]),
        )
    for row in rows:
        made.add_row(*(Text(number(cell)) for cell in row))
    return _titled(title, made)


def narrowest(cells: Sequence[str]) -> int:
    """The width of a column whose words stay whole, and short cells too."""
    words = [blanks + word for cell in cells for blanks, word in re.findall(r"(^ *|)(\S+)", cell)]
    short = [cell for cell in cells if cell_len(cell) <= SHORT]
    return max(map(cell_len, words + short), default=0)


def facts(title: str, rows: Sequence[tuple[str, Cell]]) -> Group:
    """A table of names and values without headings."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold", min_width=narrowest([number(value) for _, value in rows]))
    for name, value in rows:
        made.add_row(Text(plain(name)), Text(number(value)))
    return _titled(title, made)


def course(title: str, values: Sequence[float], first: str, last: str) -> Group:
    """Values one after the other as a line of blocks, the names of both ends below."""
    made = _Course(condensed(values))
    ends = f"{plain(first)}  {plain(last):>{max(len(made.values) - len(first) - 2, 0)}}" if len(values) > 1 else first
    return _titled(title, Group(made, Text(ends)))


def condensed(values: Sequence[float]) -> list[float]:
    """At most LONGEST_LINE values, each the mean of equally many, the last of those that are left."""
    each = -(-len(values) // LONGEST_LINE) or 1
    parts = [values[start : start + each] for start in range(0, len(values), each)]
    return [sum(part) / len(part) for part in parts]


def blocks(values: Sequence[float], signs: str = BLOCKS) -> str:
    """A sign for each value, in proportion to the largest; only nothing is shown as nothing."""
    largest = max(values, default=0) or 1
    return "".join(signs[math.ceil((len(signs) - 1) * value / largest)] for value in values)


@dataclass(frozen=True)
class _Course:
    values: list[float]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(blocks(self.values, ASCII_BLOCKS if options.ascii_only else BLOCKS))


@dataclass(frozen=True)
class _Title:
    """rich folds a table's own title to the width of the table, and inside a long id."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(folded(self.text, options.max_width), style="bold", no_wrap=True, overflow="ignore")


@dataclass(frozen=True)
class _Trimmed:
    """As wide as it has to be at least, and without blanks at the ends of lines.

    A terminal that is narrower folds the lines itself, and would show those blanks as empty lines.
    """

    body: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        least = Measurement.get(console, options.update_width(WIDEST), self.body).minimum
        roomy = options.update_width(max(options.max_width, least))
        for line in Segment.split_lines(console.render(self.body, roomy)):
            while line and not line[-1].text.strip(" "):
                line.pop()
            yield from line[:-1]
            yield from (Segment(last.text.rstrip(" "), last.style, last.control) for last in line[-1:])
            yield Segment.line()


def _titled(title: str, body: RenderableType) -> Group:
    return Group(_Title(plain(title)), _Trimmed(body))


class Output:
    """Where a command's words go: with `as_json` one object and nothing else to stdout, with `quiet` no talk.

    A helper (one of several processes that run the same command) says nothing but errors.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, helper: bool = False) -> None:
        self.as_json, self.quiet, self.helper = as_json, quiet or helper, helper
        self.data = _console(stderr=False)
        self.talk = _console(stderr=True)

    @property
    def live(self) -> bool:
        """Whether bars and spinners may be drawn."""
        return self.talk.is_terminal and not self.quiet

    def result(self, value: Mapping[str, Any], *shown: Group) -> None:
        """What the command was asked for: `value` with --json, else the tables."""
        if self.helper:
            return
        if self.as_json:
            sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
            sys.stdout.flush()
            return
        for place, part in enumerate(shown):
            self.data.print(*([""] if place else []), part, sep="\n", crop=False)

    def line(self, text: str) -> None:
        """One line of data, or several, to stdout."""
        self.data.print(text, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line of talk to stderr, unless quiet."""
        if not self.quiet:
            self._tell(text)

    def warn(self, text: str) -> None:
        """A line that is shown even when quiet: the result may not be what the user believes."""
        if not self.helper:
            self._tell(f"Warning: {text}")

    def error(self, sentence: str) -> None:
        self._tell(f"Error: {sentence}")

    def lines_of_talk(self, text: str) -> None:
        """Lines that somebody else laid out; those that are indented stay as they are."""
        for line in text.splitlines():
            if line.startswith(" "):
                self.talk.print(plain(line), soft_wrap=True)
            else:
                self._tell(line)

    def _tell(self, text: str) -> None:
        """On a terminal in several lines where one is too narrow; a file or a pipe gets one."""
        line = plain(text)
        if self.talk.is_terminal and cell_len(line) > self.talk.width:
            line = folded(line, self.talk.width)
        self.talk.print(line, soft_wrap=True)

    @contextmanager
    def stages(self) -> Iterator[Callable[[str], None]]:
        """A function that tells which stage is being worked on: a spinner on a terminal, else a line each."""
        if not self.live:
            yield lambda stage: self.say(f"{stage} ...")
            return
        signs = "line" if self.talk.options.ascii_only else "dots"
        with self.talk.status("starting ...", spinner=signs) as status:
            yield lambda stage: status.update(self.cut(f"{plain(stage)} ..."))

    def cut(self, text: str) -> Text:
        """What of it fits on one line behind a spinner: a status that is folded jumps."""
        line = Text(text)
        line.truncate(max(self.talk.width - len("/ "), 1), overflow="ellipsis")
        return line


def write_what_can_be_written() -> None:
    """From now on stdout and stderr replace what their encoding has no sign for, where Python would end in an error;
    and where somebody has closed them, what is said goes nowhere."""
    sys.stdout, sys.stderr = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNBOUNDED
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
