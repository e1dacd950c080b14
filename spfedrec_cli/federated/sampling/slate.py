"""The slate: items that the server publishes to everybody in a round, so that nobody need ask for any.

Slates rotate. Items are cut into strata by public popularity, and each stratum has a period T, a power of two: in
every T rounds each of its items is in exactly one slate, by a seeded order that is drawn anew each time. So everything
comes round, popular items more often, and the chance of an item to be in a round's slate is 1 / T.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.rng import uniform, uniform_rows

EVEN_SHARE = 0.5  # of a slate that goes by no popularity: no period is as long as 4 · items / slate_size rounds


@dataclass(frozen=True)
class Slate:
    """The items of a round (M,), ascending."""

    items: I64

    def holds(self, of: Ragged, n_items: int) -> I64:
        """How many items of each row are in the slate."""
        marked = np.zeros(n_items, np.bool_)
        marked[self.items] = True
        return np.bincount(of.row_index(), weights=marked[of.values], minlength=len(of)).astype(np.int64)


def whole_catalogue(n_items: int) -> Slate:
    """Every item."""
    return Slate(np.arange(n_items, dtype=np.int64))


def periods(counts: npt.NDArray[np.integer], size: int) -> I64:
    """(n_items,) the period of each item, a power of two, so that a slate has about `size` items.

    The chance of item j should be about c · w_j, with w_j = ½ / n_items + ½ · its share of all purchases. All items
    begin at the longest period T and are promoted to half of it once 2 / T ≤ c · w_j, while c grows until the slots are
    used up.
    """
    n_items = len(counts)
    if size >= n_items:
        return np.ones(n_items, np.int64)
    longest = math.ceil(math.log2(n_items / (EVEN_SHARE * size)))
    sold = counts.clip(0).astype(np.float64)
    weights = EVEN_SHARE / n_items + (1 - EVEN_SHARE) * sold / max(sold.sum(), 1.0)
    powers = np.arange(longest, 0, -1)  # a promotion from period 2^k to 2^(k − 1) is due at c = 2^(1 − k) / w
    due = (np.exp2(1.0 - powers) / weights[:, None]).ravel()
    order = np.argsort(due, kind="stable")
    slots = np.cumsum(np.tile(np.exp2(-powers), n_items)[order])  # a promotion takes 2^−k of a slot
    promoted = order[: np.searchsorted(slots, size - n_items * 2.0**-longest, side="right")] // longest
    return np.asarray(1 << (longest - np.bincount(promoted, minlength=n_items)), np.int64)


class Rotation:
    """The strata of one training and their orders, remembered between its rounds. Forgetting them changes no bit."""

    def __init__(self) -> None:
        self._strata: dict[int, I64] | None = None
        self._orders: dict[int, tuple[int, I64]] = {}  # of each stratum, and the pass that it is of

    def slate(self, counts: npt.NDArray[np.integer], size: int, seed: int, round_: int) -> Slate:
        """The slate of a round, given public popularity (n_items,)."""
        if self._strata is None:
            each = periods(counts, size)
            self._strata = {int(period): np.flatnonzero(each == period) for period in np.unique(each)}
        pieces = [self._piece(items, period, seed, round_) for period, items in self._strata.items()]
        return Slate(np.sort(np.concatenate(pieces)))

    def _piece(self, items: I64, period: int, seed: int, round_: int) -> I64:
        """A round's part of a stratum: the order of a pass is cut into as many pieces as the period has rounds. They
        come in their order from a random one on, because they differ by one in length."""
        number, turn = divmod(round_ - 1, period)
        if self._orders.get(period, (-1,))[0] != number:
            keys = uniform_rows(seed, f"slate/{period}", [0], number, len(items))[0]
            self._orders[period] = number, items[np.argsort(keys, kind="stable")]
        piece = (turn + int(uniform(seed, "slate/first", period, number) * period)) % period
        start, end = (-(-len(items) * cut // period) for cut in (piece, piece + 1))
        return self._orders[period][1][start:end]
