"""The wanted columns of a file as batches of text."""

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True)
class Job:
    """A batch that is still to be made, by whatever thread; `done` bytes of the disk were read for it and before."""

    make: Callable[[], Batch]
    done: int
