"""What is counted over all purchases of a Dataset, in one pass by client."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data import schema
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.grouping import chunks, first_of, owners, pack, unpack
from spfedrec_cli.data.schema import LARGEST_QUANTITY, SPLITS
from spfedrec_cli.data.split import UNITS_A_DAY, WEEK

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Statistics:
    """Purchases are sums of quantities over all splits; rows are distinct (client, item, time).

    `by_client` (n_clients,) and `by_item` (n_items,): purchases. `several`: rows of more than one purchase. `pairs`:
    distinct (client, item). Where time is a date, `first_day` is the first one in days since 1970, `by_day` the
    purchases of each day from there to the last, `baskets` the purchases of each (client, day) that has any, and
    `pair_days` the number of distinct (client, item, day); else there are no days.
    """

    by_client: I64
    by_item: I64
    rows: int
    several: int
    pairs: int
    first_day: int
    by_day: I64
    baskets: I64
    pair_days: int

    @property
    def dated(self) -> bool:
        return len(self.by_day) > 0

    @property
    def purchases(self) -> int:
        return int(self.by_client.sum())

    def by_week(self) -> tuple[I64, I64]:
        """The first day of each week, and its purchases.

        Weeks are counted back from the last day, so that a held-out week is one of them; the first may be shorter.
        """
        missing = -len(self.by_day) % WEEK
        weeks = np.pad(self.by_day, (missing, 0)).reshape(-1, WEEK).sum(axis=1)
        starts = self.first_day - missing + WEEK * np.arange(len(weeks))
        return np.maximum(starts, self.first_day), weeks


def measure(dataset: Dataset) -> Statistics:
    """Counts everything. Raises InputError where a file of the Dataset cannot be read."""
    first_day, days = _days(dataset)
    by_client, by_item = np.zeros(dataset.n_clients, np.int64), np.zeros(dataset.n_items, np.int64)
    by_day, baskets = np.zeros(days, np.int64), []
    several = pairs = pair_days = 0
    for low, high, rows in _parts(dataset, first_day):
        clients = high - low
        by_client[low:high] = _sums(rows.client, rows.quantity, clients)
        by_item += _sums(rows.item, rows.quantity, dataset.n_items)
        several += int((rows.quantity > 1).sum())
        bought = pack((rows.client, clients), (rows.item, dataset.n_items), (rows.day, days or 1))
        bought.sort(kind="stable")
        pair_days += int(first_of(bought).sum())
        pairs += int(first_of(unpack(bought, days or 1)[0]).sum())
        if days:
            by_day += _sums(rows.day, rows.quantity, days)
            baskets.append(_baskets(rows, clients, days))
    sizes = np.concatenate(baskets) if baskets else np.empty(0, np.int64)
    total = sum(int(dataset.offsets(split)[-1]) for split in SPLITS)
    return Statistics(by_client, by_item, total, several, pairs, first_day, by_day, sizes, pair_days if days else 0)


@dataclass(frozen=True)
class _Rows:
    """The rows of a range of clients, who are numbered from 0, with days from the Dataset's first (0 without dates)."""

    client: I64
    item: I64
    day: I64
    quantity: I64


def _days(dataset: Dataset) -> tuple[int, int]:
    """The first day, and how many there are to the last."""
    unit = UNITS_A_DAY.get(dataset.manifest.time_unit)
    times = [dataset.column(split, schema.TIME) for split in SPLITS] if unit else []
    held = [time for time in times if len(time)]
    if not unit or not held:
        return 0, 0
    first, last = (int(end(reach(time) for time in held)) // unit for end, reach in ((min, np.min), (max, np.max)))
    return first, last - first + 1


def _parts(dataset: Dataset, first_day: int) -> Iterator[tuple[int, int, _Rows]]:
    offsets = [dataset.offsets(split) for split in SPLITS]
    for low, high in chunks(np.sum(offsets, axis=0)):
        yield low, high, _rows(dataset, low, high, first_day)


def _rows(dataset: Dataset, low: int, high: int, first_day: int) -> _Rows:
    def joined(name: str) -> I64:
        parts = [
            dataset.column(split, name)[slice(*dataset.offsets(split)[[low, high]])].astype(np.int64)
            for split in SPLITS
        ]
        return np.concatenate(parts)

    client = np.concatenate([owners(dataset.offsets(split), low, high) for split in SPLITS])
    unit = UNITS_A_DAY.get(dataset.manifest.time_unit)
    day = joined(schema.TIME) // unit - first_day if unit else np.zeros_like(client)
    return _Rows(client, joined(schema.ITEM), day, joined(schema.QUANTITY))


def _sums(groups: I64, quantity: I64, n: int) -> I64:
    return np.bincount(groups, quantity, n).astype(np.int64)


def _baskets(rows: _Rows, clients: int, days: int) -> I64:
    """The purchases of each (client, day)."""
    packed = pack((rows.client, clients), (rows.day, days), (rows.quantity, LARGEST_QUANTITY + 1))
    packed.sort(kind="stable")
    basket, quantity = unpack(packed, LARGEST_QUANTITY + 1)
    starts = np.flatnonzero(first_of(basket))
    return np.add.reduceat(quantity, starts) if len(starts) else quantity
