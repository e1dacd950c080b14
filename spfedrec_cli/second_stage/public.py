"""What everybody knows of items at a moment: how many devices bought each of them in the weeks before.

Devices add up, once, in which of the last weeks they bought an item. From that sum follows all that is public at the
beginning of any of these weeks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.grouping import ascending
from spfedrec_cli.dtypes import F64, I32, I64
from spfedrec_cli.second_stage.rows import Rows

WEEK = 7
MONTH = 4  # weeks


@dataclass(frozen=True)
class Public:
    """Of M moments, or `of` pairs. `week`, `month` and `ever` (M, n_items), or (p,): how many devices bought an item in
    so long a time before; of all, once for each of the last weeks and once for everything before them. `popular` int32
    (M, popular): the items that most bought in the week before, then in the month, then ever."""

    week: F64
    month: F64
    ever: F64
    popular: I32

    def of(self, moment: I64, item: I64) -> "Public":
        """Of pairs (p,) of a moment and an item."""
        return Public(self.week[moment, item], self.month[moment, item], self.ever[moment, item], self.popular)


def weekly_buyers(rows: Rows, n_items: int, until: int, weeks: int) -> I64:
    """(weeks + 1, n_items): how many devices bought each item before all these weeks, then in each of them, the last of
    which ends before the day `until`. What is bought later is not counted."""
    known = rows.day < until
    device, item = rows.items.row_index()[known], rows.items.values[known].astype(np.int64)
    week = np.maximum(weeks - (until - 1 - rows.day[known].astype(np.int64)) // WEEK, 0)
    keys = ascending((device * n_items + item) * (weeks + 1) + week)
    rest, week = np.divmod(keys, weeks + 1)
    return np.bincount(week * n_items + rest % n_items, minlength=(weeks + 1) * n_items).reshape(weeks + 1, n_items)


def public_at(buyers: npt.NDArray[np.integer], ends: tuple[int, ...], popular: int) -> Public:
    """What is public at moments, of `weekly_buyers`: `ends` says how many of its weeks lie before each. Where there are
    no weeks, everything is before."""
    week, month, ever = (
        np.stack([buyers[max(1, 1 + end - span) : 1 + end].sum(0) for end in ends]).astype(np.float64)
        for span in (1, MONTH, len(buyers))
    )
    ever += buyers[0]
    size = min(popular, buyers.shape[1])
    order = [np.lexsort((np.arange(len(a)), -c, -b, -a))[:size] for a, b, c in zip(week, month, ever, strict=True)]
    return Public(week, month, ever, np.stack(order).astype(np.int32))
