"""The two ways to hold purchases out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.schema import SPLITS, SplitEntry, TimeUnit
from spfedrec_cli.errors import InputError

WEEK = 7
FEWEST_ITEMS = 3
UNITS_A_DAY = {"day": 1, "second": 86400}


@dataclass(frozen=True)
class Division:
    """The purchases of each split, in the order of SPLITS, and how they were divided."""

    entry: SplitEntry
    parts: dict[str, Purchases]


def temporal(purchases: Purchases, unit: TimeUnit, n_items: int) -> Division:
    """Test = the last 7 days, validation = the 7 before, train = the rest.

    `purchases` are sorted by client. Raises InputError where time is not a date or nothing is left to train on.
    """
    if unit == "row":
        raise InputError("A temporal split needs dates, and this source has none", hint="use --split leave-one-out")
    day = UNITS_A_DAY[unit]
    end = int(purchases.time.max()) // day
    starts = (end - 2 * WEEK + 1, end - WEEK + 1)
    part = np.searchsorted(np.array(starts) * day, purchases.time, side="right")
    entry = SplitEntry(
        kind="temporal",
        validation_from=_iso(starts[0]),
        test_from=_iso(starts[1]),
        end=_iso(end),
        validation_from_time=starts[0] * day,
        test_from_time=starts[1] * day,
        end_time=end * day,
    )
    division = _divide(purchases, part, entry)
    if not len(division.parts["train"]):
        problem = f"All purchases fall in the last 14 days, from {entry.validation_from} to {entry.end}"
        raise InputError(f"{problem}, so that none is left to train on", hint="use --split leave-one-out")
    return division


def leave_one_out(purchases: Purchases, unit: TimeUnit, n_items: int) -> Division:
    """Test = each client's last row, validation = the one before; clients with fewer than three items train only.

    `purchases` are sorted by (client, time, order in the file). Raises InputError where no client has three items.
    """
    n_clients = int(purchases.client.max()) + 1
    rows = np.bincount(purchases.client, minlength=n_clients)
    distinct = np.bincount(np.unique(purchases.pairs(n_items)) // n_items, minlength=n_clients)
    enough = distinct >= FEWEST_ITEMS
    last = np.cumsum(rows)[enough] - 1
    part = np.zeros(len(purchases), np.int64)
    part[last], part[last - 1] = 2, 1
    if not len(last):
        problem = f"No client has {FEWEST_ITEMS} different items, so that leave-one-out holds nothing out"
        raise InputError(problem, hint="give more purchases or use --split temporal")
    train_only = int((rows > 0).sum() - enough.sum())
    return _divide(purchases, part, SplitEntry(kind="leave-one-out", clients_train_only=train_only))


SPLITTERS: dict[str, Callable[[Purchases, TimeUnit, int], Division]] = {
    "temporal": temporal,
    "leave-one-out": leave_one_out,
}


def _divide(purchases: Purchases, part: npt.NDArray[np.int64], entry: SplitEntry) -> Division:
    return Division(entry, {name: purchases.take(part == number) for number, name in enumerate(SPLITS)})


def _iso(day: int) -> str:
    return datetime.fromtimestamp(day * 86400, UTC).date().isoformat()
