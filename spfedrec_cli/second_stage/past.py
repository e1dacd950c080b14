"""What a device knows of its own purchases at a moment, item by item. Nothing of the server is given any of this."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.grouping import first_of
from spfedrec_cli.dtypes import F64, I64, Bool
from spfedrec_cli.second_stage.rows import Rows


@dataclass(frozen=True)
class Past:
    """Purchases of devices (one row each) before `moment` (n,), a day. Of each distinct (device, item), in the order of
    `keys` (k,), device · n_items + item: what the properties say."""

    rows: Rows
    moment: I64
    n_items: int

    @cached_property
    def device(self) -> I64:
        """Of each purchase."""
        return self.rows.items.row_index()

    @cached_property
    def age(self) -> I64:
        """Days from each purchase to the moment."""
        return np.asarray(self.moment[self.device] - self.rows.day, np.int64)

    @cached_property
    def _order(self) -> I64:
        """Purchases by device and item, each from old to new."""
        return np.argsort(self.device * self.n_items + self.rows.items.values, kind="stable")

    @cached_property
    def _ordered(self) -> I64:
        return np.asarray((self.device * self.n_items + self.rows.items.values)[self._order], np.int64)

    @cached_property
    def _starts(self) -> I64:
        return np.flatnonzero(first_of(self._ordered))

    @cached_property
    def keys(self) -> I64:
        return self._ordered[self._starts]

    @cached_property
    def of_keys(self) -> I64:
        """The device of each key."""
        return np.asarray(self.keys // self.n_items, np.int64)

    def sums(self, values: npt.NDArray[np.number]) -> F64:
        """Of what each purchase counts, for each key."""
        return _added(values[self._order].astype(np.float64), self._starts)

    @cached_property
    def counts(self) -> F64:
        return self.sums(self.rows.counts)

    @cached_property
    def youngest(self) -> I64:
        """Days since the last purchase of each key."""
        last = np.append(self._starts[1:], len(self._order)) - 1
        return self.age[self._order[last]] if len(self._order) else np.empty(0, np.int64)

    @cached_property
    def oldest(self) -> I64:
        """Days since the first one."""
        return self.age[self._order[self._starts]]

    @cached_property
    def _basket(self) -> tuple[I64, I64]:
        """Of each purchase the number of its basket, all that a device bought on one day; of each basket its device."""
        fresh = first_of(self.device) | first_of(self.rows.day)
        return np.cumsum(fresh) - 1, self.device[fresh]

    @cached_property
    def baskets(self) -> I64:
        """How many each device has (n,)."""
        return np.bincount(self._basket[1], minlength=len(self.rows))

    @cached_property
    def baskets_with(self) -> F64:
        """In how many of them each key is."""
        basket = self._basket[0][self._order]
        return _added((first_of(self._ordered) | first_of(basket)).astype(np.float64), self._starts)

    @cached_property
    def baskets_since_first(self) -> I64:
        """Baskets of the device from that of each key's first purchase on."""
        last = np.cumsum(self.baskets) - 1
        return last[self.of_keys] - self._basket[0][self._order[self._starts]] + 1

    @cached_property
    def in_last_basket(self) -> Bool:
        newest = np.append(self._starts[1:], len(self._order)) - 1
        basket = self._basket[0][self._order[newest]] if len(self._order) else np.empty(0, np.int64)
        return np.asarray(basket == (np.cumsum(self.baskets) - 1)[self.of_keys], np.bool_)

    @cached_property
    def purchases(self) -> I64:
        """How many each device made (n,)."""
        return self.rows.items.lengths

    @cached_property
    def distinct(self) -> I64:
        """Of how many items (n,)."""
        return np.bincount(self.of_keys, minlength=len(self.rows))


def _added(values: F64, starts: I64) -> F64:
    """Sums of groups that begin at `starts`."""
    return np.add.reduceat(values, starts) if len(starts) else np.empty(0)


def found_in(keys: I64, wanted: I64) -> tuple[I64, Bool]:
    """(p,): the place of each in ascending keys, and whether it is there at all."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, np.asarray(keys[place] == wanted, np.bool_)
