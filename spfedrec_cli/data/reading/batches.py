"""The wanted columns of a file as batches of text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Problem(NamedTuple):
    """What is wrong with a row: its line, a sentence, how the row reads, and what to do beyond mending it."""

    line: int
    sentence: str
    text: str
    hint: Callable[[], str | None] = lambda: None


class Tall(NamedTuple):
    """How many rows go over several lines, and which is the longest: so many `lines` from `first` on, in `file`."""

    rows: int = 0
    lines: int = 0
    first: int = 0
    file: str = ""

    @staticmethod
    def of(found: Iterable["Tall"]) -> "Tall":
        """All together."""
        several = [Tall(), *found]
        return max(several, key=lambda one: one.lines)._replace(rows=sum(one.rows for one in several))

    def told(self) -> list[str]:
        """Where a quote is not closed the next one closes it, and the rows between are gone."""
        many = f"{self.rows:,} rows go over several lines, the longest"
        go = many if self.rows > 1 else "1 row goes over several lines,"
        end = self.first + self.lines - 1
        return [f"{go} from line {self.first} to {end} of {self.file}"] if self.rows else []


@dataclass(frozen=True)
class Batch:
    """Texts of the same rows by column, none of them null, and the `lines` (n,) at which the rows begin.

    Lines are counted from the first of the batch, which has so many in all (`height`). `texts` tells how each row
    reads; `problems` are those of rows that could not be read.
    """

    columns: Mapping[str, pa.Array | pa.ChunkedArray]
    height: int
    lines: npt.NDArray[np.int64]
    texts: Callable[[], Sequence[str]]
    problems: list[Problem] = field(default_factory=list)
    tall: Tall = field(default_factory=Tall)


@dataclass(frozen=True)
class Job:
    """A batch that is still to be made, by whatever thread; `done` bytes of the disk were read for it and before."""

    make: Callable[[], Batch]
    done: int
