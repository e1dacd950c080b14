"""The two ways to hold purchases out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from spfedrec_cli.data.grouping import distinct
from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import SPLITS, SplitEntry, TimeUnit
from spfedrec_cli.dtypes import I8, Bool
from spfedrec_cli.errors import InputError

WEEK = 7
FEWEST_ITEMS = 3
UNITS_A_DAY = {"day": 1, "second": 86400}
EARLIEST = (date(1990, 1, 1) - date(1970, 1, 1)).days  # before which purchases are hardly what they seem
OTHERWISE = (
    "say how times are written with --time-format: excel where they count days, '%Y%m' where they are like 202009"
)


@dataclass(frozen=True)
class Division:
    """All purchases, the place in SPLITS of each one's split (n,), and how they were divided."""

    entry: SplitEntry
    purchases: Purchases
    part: I8
    warnings: tuple[str, ...] = ()

    def rows(self, split: str) -> Purchases:
        return self.purchases.take(np.flatnonzero(self.part == SPLITS.index(split)))

    def slices(self, split: str, size: int) -> Iterator[Purchases]:
        """The rows of `split` in pieces: of at most `size` rows of all."""
        for start in range(0, len(self.part), size):
            cut = slice(start, start + size)
            yield Division(self.entry, self.purchases.take(cut), self.part[cut]).rows(split)


def temporal(purchases: Purchases, unit: TimeUnit, last: int | None = None) -> Division:
    """Test = the last 7 days, validation = the 7 before, train = the rest.

    `purchases` are sorted by client; `last` is the last day since 1970-01-01, left out that of the last purchase.
    Raises InputError where time is not a date or nothing is left to train on.
    """
    if unit == "row":
        raise InputError("A temporal split needs dates, and this source has none", hint="use --split leave-one-out")
    day = UNITS_A_DAY[unit]
    end = int(purchases.time.max()) // day if last is None else last
    starts = (end - 2 * WEEK + 1, end - WEEK + 1)
    part = np.zeros(len(purchases), np.int8)
    for start in starts:
        part += purchases.time >= start * day
    entry = SplitEntry(
        kind="temporal",
        validation_from=iso(starts[0]),
        test_from=iso(starts[1]),
        end=iso(end),
        validation_from_time=starts[0] * day,
        test_from_time=starts[1] * day,
        end_time=end * day,
    )
    if part.all():
        problem = f"All purchases fall in the last 14 days, from {entry.validation_from} to {entry.end}"
        other = "or use --split leave-one-out" if enough(purchases).any() else ""
        hint = f"prepare more weeks {other}".strip()
        if end < EARLIEST:
            hint = f"{OTHERWISE}, {other} where they tell the order alone" if other else OTHERWISE
        raise InputError(f"{problem}, so that none is left to train on", hint=hint)
    return Division(entry, purchases, part)


def leave_one_out(purchases: Purchases, unit: TimeUnit) -> Division:
    """Test = each client's last row, validation = the one before; clients with fewer than three items train only.

    `purchases` are sorted by (client, time, order in the file). Raises InputError where no client has three items.
    """
    rows, many = np.bincount(purchases.client), enough(purchases)
    last = np.cumsum(rows)[many] - 1
    part = np.zeros(len(purchases), np.int8)
    part[last], part[last - 1] = 2, 1
    if not len(last):
        problem = f"No client has {FEWEST_ITEMS} different items, so that leave-one-out holds nothing out"
        days = np.ptp(purchases.time // UNITS_A_DAY[unit]) if unit in UNITS_A_DAY else 0
        raise InputError(problem, hint="give more purchases" + " or use --split temporal" * bool(days >= 2 * WEEK))
    train_only = int((rows > 0).sum() - many.sum())
    entry = SplitEntry(kind="leave-one-out", clients_train_only=train_only)
    return Division(entry, purchases, part, () if unit == "row" else _future(purchases, part, unit))


def enough(purchases: Purchases) -> Bool:
    """Whether each client, by number, has items enough for leave-one-out; `purchases` are sorted by client."""
    bought = Ragged.from_lengths(np.bincount(purchases.client), purchases.item)
    return distinct(bought, int(purchases.item.max(initial=0)) + 1).lengths >= FEWEST_ITEMS


def _future(purchases: Purchases, part: I8, unit: TimeUnit) -> tuple[str, ...]:
    """How much of train lies in the future of most of test: nothing of the kind happens to a shop that is open."""
    moment = int(np.median(purchases.time[part == 2]))
    later = float(np.average(purchases.time[part == 0] > moment, weights=purchases.purchases[part == 0]))
    half = f"half of the test purchases were made until {np.datetime64(moment, 'D' if unit == 'day' else 's')}"
    return (f"leave-one-out trains on the future: {half}, and {later:.0%} of train after that",) if later else ()


SPLITTERS: dict[str, Callable[[Purchases, TimeUnit], Division]] = {
    "temporal": temporal,
    "leave-one-out": leave_one_out,
}


def iso(day: int) -> str:
    """Days since 1970-01-01 as a date."""
    return str(np.datetime64(day, "D"))
