"""What is counted over all purchases of a Dataset, in one pass by client."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spfedrec_cli.data import schema
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.grouping import chunks, first_of, groups, owners
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.split import UNITS_A_DAY, WEEK
from spfedrec_cli.dtypes import I64


@dataclass(frozen=True)
class Statistics:
    """Purchases are rows of the source, in all splits; rows are distinct (client, item, time).

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
    by_day, baskets = np.zeros(days, np.int64), [np.empty(0, np.int64)]
    rows = several = pairs = pair_days = 0
    for low, high, client, item, day, purchases in _parts(dataset, first_day):
        by_client[low:high] = _sums(client, purchases, high - low)
        by_item += _sums(item, purchases, dataset.n_items)
        rows, several = rows + len(item), several + int((purchases > 1).sum())
        order, starts = groups(client * dataset.n_items + item)
        new = first_of(day[order])
        new[starts] = True
        pairs, pair_days = pairs + len(starts), pair_days + int(new.sum())
        if days:
            by_day += _sums(day, purchases, days)
            order, starts = groups(client * days + day)
            baskets.append(np.add.reduceat(purchases[order], starts))
    return Statistics(
        by_client, by_item, rows, several, pairs, first_day, by_day, np.concatenate(baskets), pair_days if days else 0
    )


def _days(dataset: Dataset) -> tuple[int, int]:
    """The first day, and how many there are to the last; none without dates."""
    unit = UNITS_A_DAY.get(dataset.manifest.time_unit)
    held = [time for time in (dataset.column(split, schema.TIME) for split in SPLITS if unit) if len(time)]
    if not unit or not held:
        return 0, 0
    first = min(int(time.min()) for time in held) // unit
    return first, max(int(time.max()) for time in held) // unit - first + 1


def _parts(dataset: Dataset, first_day: int) -> Iterator[tuple[int, int, I64, I64, I64, I64]]:
    """For each chunk its first client and its end; of its rows, in the order of the splits, client (from 0), item, day
    (from the Dataset's first; 0 without dates) and purchases.
    """
    offsets = [dataset.offsets(split) for split in SPLITS]
    unit = UNITS_A_DAY.get(dataset.manifest.time_unit)
    for low, high in chunks(np.sum(offsets, axis=0)):
        rows = [slice(one[low], one[high]) for one in offsets]
        client = np.concatenate([owners(one, low, high) for one in offsets])
        item, time, purchases = (
            np.concatenate([dataset.column(split, name)[cut] for split, cut in zip(SPLITS, rows, strict=True)])
            for name in (schema.ITEM, schema.TIME, schema.COUNT)
        )
        day = time.astype(np.int64) // unit - first_day if unit else np.zeros_like(client)
        yield low, high, client, item.astype(np.int64), day, purchases.astype(np.int64)


def _sums(groups: I64, purchases: I64, n: int) -> I64:
    return np.bincount(groups, purchases, n).astype(np.int64)
