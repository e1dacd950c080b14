"""What is said of the dates in a source: from when to when, which cannot be right, and which stand apart."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.schema import Counts, SplitKind, TimeUnit
from spfedrec_cli.data.split import EARLIEST, OTHERWISE, UNITS_A_DAY, WEEK, enough, iso
from spfedrec_cli.dtypes import I64

_STEP = 1 << 20


def today() -> int:
    """In days since 1970-01-01."""
    return int(datetime.now(UTC).timestamp()) // UNITS_A_DAY["second"]


@dataclass(frozen=True)
class Days:
    """The days with purchases since 1970-01-01, ascending, and how many were made on each: both (n,)."""

    day: I64
    count: I64

    @classmethod
    def of(cls, purchases: Purchases, unit: TimeUnit) -> "Days":
        first, last = (int(end) // UNITS_A_DAY[unit] for end in (purchases.time.min(), purchases.time.max()))
        counts = np.zeros(last - first + 1, np.int64)
        for start in range(0, len(purchases), _STEP):
            rows = purchases.take(slice(start, start + _STEP))
            day = rows.time // np.int32(UNITS_A_DAY[unit]) - first
            counts += np.bincount(day, rows.purchases, len(counts)).astype(np.int64)
        held = np.flatnonzero(counts)
        return cls(first + held, counts[held])

    def some(self, chosen: npt.NDArray[np.bool_] | slice) -> "Days":
        return Days(self.day[chosen], self.count[chosen])

    def __str__(self) -> str:
        first, last, n = iso(int(self.day[0])), iso(int(self.day[-1])), int(self.count.sum())
        when = f"on {first}" if first == last else f"from {first} to {last}"
        return f"{n:,} purchase{'s' if n > 1 else ''} {when}"


def notes(purchases: Purchases, unit: TimeUnit, kind: SplitKind, counts: Counts) -> list[str]:
    """The span, and warnings with the options that mend what they warn of; nothing where time is no date."""
    if unit not in UNITS_A_DAY:
        return []
    days = Days.of(purchases, unit)
    apart = _apart(purchases, unit, days, counts) if kind == "temporal" else []
    span = f"purchases from {iso(int(days.day[0]))} to {iso(int(days.day[-1]))}"
    return [span, *_implausible(days), *apart]


def _implausible(days: Days) -> list[str]:
    early, late = days.day < EARLIEST, days.day > today()
    found = [
        (early, "before 1990", f"--from {iso(EARLIEST)}"),
        (late, "after today", f"--to {iso(today())}"),
    ]
    left_out = "leaves such dates out, and --time-format says how to read them otherwise"
    return [
        f"{days.some(dates)}, {what}: "
        + (f"where that is wrong, {OTHERWISE}" if dates.all() else f"{option} {left_out}")
        for dates, what, option in found
        if dates.any()
    ]


def _apart(purchases: Purchases, unit: TimeUnit, days: Days, counts: Counts) -> list[str]:
    """Of days behind a gap that touches the held-out weeks, so that one of these is all but empty; of several such
    gaps behind most of the purchases, the first."""
    place = _gap(days.day)
    if place is None:
        return []
    clean = place
    while (further := _gap(days.day[:clean])) is not None:
        clean = further
    if days.day[clean - 1] - days.day[0] >= 2 * WEEK and 2 * days.count[:clean].sum() > days.count.sum():
        place = clean
    before, behind = days.some(slice(place)), days.some(slice(place, None))
    last, empty = int(before.day[-1]), int(behind.day[0] - before.day[-1]) - 1
    left, rest = last - int(before.day[0]) + 1, ""
    if left <= 2 * WEEK or _gap(before.day) is not None:
        some = enough(purchases.take(purchases.time < (last + 1) * UNITS_A_DAY[unit])).any()
        rest = (
            f", and --split leave-one-out suits what is left: {left:,} day{'s' if left > 1 else ''}"
            if some
            else ", but leaves too little to split"
        )
    held = f"validation holds {counts.validation:,} and test {counts.test:,} purchase{'s' * (counts.test > 1)}"
    return [f"{behind}, behind a gap of {empty:,} days: {held}; --to {iso(last)} ends before it{rest}"]


def _gap(day: I64) -> int | None:
    """The place of the first day behind the longest gap, of a week or more, that reaches into the last two weeks."""
    empty = (np.diff(day) - 1) * (day[1:] > day[-1] - 2 * WEEK + 1)
    return int(empty.argmax()) + 1 if empty.max(initial=0) >= WEEK else None
