"""Rows that cannot be read: the first is an error, unless the user asked to skip them."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.errors import InputError

LISTED = 100_000
_LONGEST = 200


@dataclass(frozen=True)
class Reject:
    """One row: in which file, at which line (of a Parquet file: row), what is wrong with it, and how it begins."""

    file: str
    line: int
    problem: str
    text: str


class Rejects:
    """With `skip` they are counted, and the first 100,000 kept to be listed. An error names skipping where that is
    `offered`."""

    def __init__(self, skip: bool = False, offered: bool = True) -> None:
        self.skip, self.offered = skip, offered
        self.count = 0
        self.listed: list[Reject] = []

    def add(
        self,
        file: RawFile,
        unit: str,
        line: int,
        problem: str,
        text: str,
        hint: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Raises InputError naming file and line, unless bad rows are skipped. `hint` is what to do where there is
        more to do than to mend the row."""
        if not self.skip:
            other = ", or leave bad rows out with --skip-bad-rows" if self.offered else ""
            then = hint() or f"mend or remove that {unit}{other}"
            raise InputError(problem, where=f"{file}, {unit} {line}", hint=then)
        self.count += 1
        if len(self.listed) < LISTED:
            shown = text.rstrip("\r\n")[:_LONGEST].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            self.listed.append(Reject(file.name, line, problem, shown))

    def extend(self, other: "Rejects") -> None:
        """Those of a file that was read at the same time."""
        self.count += other.count
        self.listed += other.listed[: LISTED - len(self.listed)]

    def to_table(self) -> pa.Table:
        names = ("file", "line", "problem", "text")
        return pa.table({name: [getattr(row, name) for row in self.listed] for name in names})
