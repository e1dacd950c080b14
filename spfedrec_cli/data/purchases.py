"""Purchases as columns of numbers."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.packing import sort_by
from spfedrec_cli.data.parallel import each
from spfedrec_cli.data.rows import Rows
from spfedrec_cli.data.schema import LARGEST_QUANTITY

I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]

_STEP = 1 << 21


@dataclass(frozen=True)
class Purchases:
    """Rows of (client, item, time): dense int32 numbers, a quantity, a price (NaN where unknown). Each (n,)."""

    client: I32
    item: I32
    time: I32
    quantity: I16
    price: F32

    def __len__(self) -> int:
        return len(self.client)

    @property
    def total(self) -> int:
        """The sum of quantities."""
        return int(self.quantity.sum(dtype=np.int64))

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Purchases":
        return Purchases(*(getattr(self, column.name)[rows] for column in fields(self)))

    def slice(self, start: int, end: int) -> "Purchases":
        """A view of the rows from `start` up to but without `end`."""
        return Purchases(*(getattr(self, column.name)[start:end] for column in fields(self)))

    def pairs(self, n_items: int) -> I64:
        """client * n_items + item: one number for each (client, item)."""
        return self.client.astype(np.int64) * n_items + self.item


def concatenate(parts: list[Purchases]) -> Purchases:
    return Purchases(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Purchases)))


def merge(rows: Rows) -> Purchases:
    """Single purchases in the order of the file to rows sorted by (client, time, order in the file).

    Purchases of the same (client, item, time) become one row at the place of the first: quantities add up (to at most
    32,767), the price is the mean of those known, weighted by quantity. Uses `rows` up.
    """
    columns = [np.arange(len(rows), dtype=np.int32)]
    columns = [rows.take("client"), rows.take("time"), *columns]
    client, time, order = sort_by(columns)
    quantity: I32 | None = None if rows.quantity is None else rows.take("quantity")[order]
    item, price = _in_order(rows, order)
    del order
    again, first = _again(client, time, item)
    single = np.ones(len(client), np.int16)
    counted = single if quantity is None else np.minimum(quantity, LARGEST_QUANTITY).astype(np.int16)
    made = {"client": client, "item": item, "time": time, "quantity": counted, "price": price}
    del client, item, time, price
    if len(again):
        _fold(made, quantity, again, first)
    return Purchases(**made)


def _in_order(rows: Rows, order: I32) -> list[npt.NDArray[Any]]:
    return each(lambda name: rows.take(name)[order], ("item", "price"))


def _fold(columns: dict[str, npt.NDArray[Any]], quantity: I32 | None, again: I64, first: I64) -> None:
    """Adds the rows `again` to the rows `first`, and drops them, in one column after another."""
    group, place = np.unique(first, return_inverse=True)
    members, group_of = np.concatenate([group, again]), np.concatenate([np.arange(len(group)), place])
    weight = np.ones(len(members)) if quantity is None else quantity[members].astype(np.float64)
    price = columns["price"][members]
    spent = np.bincount(group_of, weight * np.nan_to_num(price), len(group))
    count = np.bincount(group_of, weight * ~np.isnan(price), len(group))
    columns["price"][group] = np.where(count > 0, spent / np.maximum(count, 1), np.nan)
    columns["quantity"][group] = np.minimum(np.bincount(group_of, weight, len(group)), LARGEST_QUANTITY)
    kept = np.ones(len(columns["client"]), bool)
    kept[again] = False
    each(lambda name: columns.update({name: columns[name][kept]}), list(columns))


def _again(client: I32, time: I32, item: I32) -> tuple[I64, I64]:
    """Rows that repeat the (client, time, item) of an earlier one, and the first such row of each."""
    starts = np.flatnonzero(np.append(True, (client[1:] != client[:-1]) | (time[1:] != time[:-1])))
    sizes = np.diff(starts, append=len(client)).astype(np.int32)
    cuts = np.searchsorted(starts, np.arange(0, len(client) + _STEP, _STEP))
    slices = [(starts[low:high], sizes[low:high]) for low, high in pairwise(cuts) if low < high]
    found = each(lambda one: _again_in(one[0], one[1], item), slices)
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    again, first = zip(*found, strict=True)
    return np.concatenate(again), np.concatenate(first)


def _again_in(starts: I64, sizes: I32, item: I32) -> tuple[I64, I64]:
    """As `_again` for the baskets at `starts`, which follow one another."""
    own = item[starts[0] : starts[-1] + sizes[-1]]
    basket = np.repeat(np.arange(len(starts), dtype=np.int32), sizes)
    nth = np.arange(len(own), dtype=np.int32) - (starts - starts[0]).astype(np.int32)[basket]
    basket, own, nth = sort_by([basket, own, nth])
    same = np.flatnonzero((basket[1:] == basket[:-1]) & (own[1:] == own[:-1])) + 1
    new = np.ones(len(same), bool)
    new[1:] = same[1:] != same[:-1] + 1
    head = same[new][np.cumsum(new) - 1] - 1
    return starts[basket[same]] + nth[same], starts[basket[head]] + nth[head]
