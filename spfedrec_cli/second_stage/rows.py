"""Purchases as devices hold them for the second stage: row by row, oldest first, with days and counts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32, I64, Bool

_LATER = 1 << 40  # more than any row's days


@dataclass(frozen=True)
class Rows:
    """`items` of each device, oldest first; aligned with its values, `day` since 1970 and how often each was bought
    (`counts`). Where a Dataset knows no days, `day` counts a device's own purchases."""

    items: Ragged
    day: I32
    counts: I32

    def __len__(self) -> int:
        return len(self.items)

    def cut(self, which: npt.NDArray[np.integer], first: I64, last: I64) -> "Rows":
        """Of the devices `which` (n,) the purchases number `first` (n,) to `last` (n,), the latter excluded."""
        lengths = last - first
        starts = self.items.offsets[:-1][which] + first
        offsets = np.append(0, np.cumsum(lengths))
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Rows(Ragged(offsets, self.items.values[places]), self.day[places], self.counts[places])

    def of(self, which: npt.NDArray[np.integer]) -> "Rows":
        """All purchases of these devices."""
        return self.cut(which, np.zeros(len(which), np.int64), self.items.lengths[which])

    def here(self, mine: Bool) -> "Rows":
        """The same devices, but nothing in the rows of those that are not `mine` (n,)."""
        every = np.arange(len(self))
        return self.cut(every, np.zeros(len(self), np.int64), np.where(mine, self.items.lengths, 0))

    def number_before(self, which: npt.NDArray[np.integer], day: npt.NDArray[np.integer] | int) -> I64:
        """(n,): how many purchases each of these devices made before a day, or a day of its own each."""
        found = np.searchsorted(self._keys, np.asarray(which, np.int64) * _LATER + day)
        return np.asarray(found - self.items.offsets[:-1][which], np.int64)

    @cached_property
    def _keys(self) -> I64:
        """Ascends: device, then day."""
        return np.asarray(self.items.row_index() * _LATER + self.day, np.int64)
