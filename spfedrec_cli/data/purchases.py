"""Purchases as columns of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.grouping import chunks, first_of, groups
from spfedrec_cli.data.parallel import stream
from spfedrec_cli.data.repeats import Repeated
from spfedrec_cli.dtypes import F32, F64, I32, I64

if TYPE_CHECKING:
    from spfedrec_cli.data.rows import Rows


CHUNK = 1 << 18


@dataclass(frozen=True)
class Purchases:
    """Rows of (client, item, time), dense int32 numbers: each (n,).

    `purchases`: how many rows of the source were folded into this one. `pieces`: the sum of their quantities, int64;
    `purchases` itself where there are none. `price`: NaN where unknown.
    """

    client: I32
    item: I32
    time: I32
    purchases: I32
    pieces: I64 | I32
    price: F32

    def __len__(self) -> int:
        return len(self.client)

    @property
    def total(self) -> int:
        """Purchases of all rows."""
        return int(self.purchases.sum(dtype=np.int64))

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_] | slice) -> "Purchases":
        """Some rows; of a slice a view."""
        return Purchases(*(getattr(self, column.name)[rows] for column in fields(self)))


def concatenate(parts: Sequence[Purchases]) -> Purchases:
    return Purchases(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Purchases)))


def merge(rows: "Rows", size: int = CHUNK) -> tuple[Purchases, Repeated]:
    """Purchases in the order of the file to rows sorted by (client, time, order in the file); and how many pairs
    (client, item) come at two times or more.

    Purchases of the same (client, item, time) become one row at the place of the first: pieces add up exactly, and the
    price is the mean of those known, weighted by quantity. Uses `rows` up. Folds about `size` rows at a time.
    """
    offsets = rows.sort()
    counts = np.empty(len(rows), np.int32)
    pieces = counts if rows.quantity is None else np.empty(len(rows), np.int64)
    # What is folded stands no further back than what it was folded from, so that no second copy is needed.
    made = Purchases(rows.client, rows.item, rows.time, counts, pieces, rows.price)
    n_items, end, pairs, again = int(rows.item.max(initial=0)) + 1, 0, 0, 0
    cuts = (slice(offsets[low], offsets[high]) for low, high in chunks(offsets, size))
    for part, once, more in stream(lambda cut: _fold(rows, cut, n_items), cuts):
        for column in fields(part):
            getattr(made, column.name)[end : end + len(part)] = getattr(part, column.name)
        end, pairs, again = end + len(part), pairs + once, again + more
    return made.take(slice(end)), Repeated(again, pairs)


def _fold(rows: "Rows", cut: slice, n_items: int) -> tuple[Purchases, int, int]:
    """The rows of some whole clients, how many (client, item) they have, and how many of these come more than once."""
    client, item, time, price = rows.client[cut], rows.item[cut], rows.time[cut], rows.price[cut].copy()
    order, pairs = groups((client - client[:1]).astype(np.int64) * n_items + item)
    new = first_of(time[order])
    new[pairs] = True
    starts, again = np.flatnonzero(new), np.add.reduceat(new, pairs, dtype=np.int64) > 1
    first, size = order[starts], np.diff(starts, append=len(order))
    counts = np.zeros(len(order), np.int32)
    counts[first] = size
    quantity = None if rows.quantity is None else rows.quantity[cut].astype(np.int64)
    several = size > 1
    price[first[several]] = _means(price, quantity, order[np.repeat(several, size)], size[several])
    if quantity is not None:
        quantity[first] = np.add.reduceat(quantity[order], starts)
    kept = np.flatnonzero(counts > 0)
    columns: list[npt.NDArray[Any]] = [client, item, time, counts, counts if quantity is None else quantity, price]
    return Purchases(*(column[kept] for column in columns)), len(pairs), int(again.sum())


def _means(price: F32, quantity: I64 | None, rows: I64, size: I64) -> F64:
    """The mean of the known prices of so many of the `rows` in turn, weighted by quantity; NaN where none is known."""
    weight = np.where(np.isnan(price[rows]), 0.0, 1.0 if quantity is None else quantity[rows])
    starts = np.cumsum(size) - size
    spent, known = (np.add.reduceat(part, starts) for part in (weight * np.nan_to_num(price[rows]), weight))
    return np.where(known > 0, spent / np.maximum(known, 1), np.nan)
