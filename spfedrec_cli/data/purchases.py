"""Purchases as columns of numbers."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.schema import LARGEST_QUANTITY

I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]


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

    def pairs(self, n_items: int) -> I64:
        """client * n_items + item: one number for each (client, item)."""
        return self.client.astype(np.int64) * n_items + self.item


def concatenate(parts: list[Purchases]) -> Purchases:
    return Purchases(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Purchases)))


def merge(client: I32, item: I32, time: I32, price: F32) -> Purchases:
    """Single purchases in the order of the file to rows sorted by (client, time, order in the file).

    Purchases of the same (client, item, time) become one row at the place of the first: quantities add up (to at most
    32,767), the price is the mean of those known.
    """
    if not len(client):
        return Purchases(client, item, time, np.empty(0, np.int16), price)
    order = np.lexsort((item, time, client))
    starts = np.flatnonzero(_changes(client[order]) | _changes(time[order]) | _changes(item[order]))
    first = order[starts]
    counts = np.diff(np.append(starts, len(order)))
    rows = Purchases(
        client[first],
        item[first],
        time[first],
        np.minimum(counts, LARGEST_QUANTITY).astype(np.int16),
        _mean(price[order], starts),
    )
    return rows.take(np.lexsort((first, rows.time, rows.client)))


def _changes(values: I32) -> npt.NDArray[np.bool_]:
    return np.append(True, values[1:] != values[:-1])


def _mean(price: F32, starts: I64) -> F32:
    known = ~np.isnan(price)
    total = np.add.reduceat(np.where(known, price, 0).astype(np.float64), starts)
    count = np.add.reduceat(known.astype(np.int64), starts)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
