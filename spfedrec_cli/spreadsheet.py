"""CSV of which a spreadsheet executes nothing."""

import csv
import io
from collections.abc import Iterable

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is computed, not shown


def harmless(name: str) -> str:
    """A name behind an apostrophe where a spreadsheet would compute it. For names alone: an id has to stay as it is."""
    return f"'{name}" if name.startswith(FORMULAS) else name


def row(cells: Iterable[str | int | float | None]) -> str:
    """One line without its end, quoted where needed; nothing for None."""
    line = io.StringIO()
    csv.writer(line).writerow(list(cells))
    return line.getvalue().removesuffix("\r\n")
