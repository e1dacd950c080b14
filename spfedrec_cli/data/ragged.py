"""Rows of unequal length, as two flat arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import I32, I64


@dataclass(frozen=True)
class Ragged:
    """Row i is `values[offsets[i]:offsets[i + 1]]`; offsets int64 (n + 1,), values int32."""

    offsets: I64
    values: I32

    @classmethod
    def from_lengths(cls, lengths: npt.NDArray[np.integer], values: npt.NDArray[np.integer]) -> "Ragged":
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(offsets, values.astype(np.int32, copy=False))

    @classmethod
    def from_rows(cls, rows: list[list[int]]) -> "Ragged":
        flat = [value for row in rows for value in row]
        return cls.from_lengths(np.array([len(row) for row in rows], np.int64), np.array(flat, np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> I64:
        return np.diff(self.offsets)

    def row(self, index: int) -> I32:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: npt.NDArray[np.integer]) -> "Ragged":
        """The named rows, in the order given."""
        lengths = self.lengths[rows]
        result = Ragged.from_lengths(lengths, np.empty(0, np.int32))
        shift = np.repeat(self.offsets[:-1][rows] - result.offsets[:-1], lengths)
        return Ragged(result.offsets, self.values[np.arange(result.offsets[-1]) + shift])

    def followed_by(self, other: "Ragged") -> "Ragged":
        """Row i of this one, and behind it row i of `other`."""
        ends = np.repeat(self.offsets[1:], other.lengths)
        return Ragged(self.offsets + other.offsets, np.insert(self.values, ends, other.values))

    def row_index(self) -> I64:
        """The row number of every value, aligned with `values`."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def position(self) -> I64:
        """The place of every value within its row, aligned with `values`."""
        return np.arange(self.offsets[-1], dtype=np.int64) - np.repeat(self.offsets[:-1], self.lengths)

    def padded(self, fill: int, width: int | None = None) -> I32:
        """(n, width) with rows left-aligned and `fill` behind them; width defaults to the longest row."""
        longest = int(self.lengths.max(initial=0)) if width is None else width
        dense = np.full((len(self), longest), fill, np.int32)
        dense[self.row_index(), self.position()] = self.values
        return dense


def firsts(*columns: npt.NDArray[np.integer]) -> I64:
    """For each place of sorted columns, the first place with the same values."""
    changes = np.ones(len(columns[0]), bool)
    changes[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.maximum.accumulate(np.where(changes, np.arange(len(changes)), 0))
