"""The world behind a synthetic Dataset, and the best recommender that anybody could build in it.

A client has one taste c, a cluster of items, all equally likely. In week w a fresh purchase is item i with probability

    p(i | c, w) = purity * [i in c] * q_iw / Q_cw + (1 - purity) * q_iw / Q_w,

where q_iw is the item's popularity times its season, and Q_cw and Q_w are its sums over the cluster and over all items.
With probability `repeat` a purchase is instead a copy of one that the client made on an earlier day, drawn uniformly;
purchases of a client's first day are all fresh. Quantities are drawn apart from taste: after k purchases of the same
day, the next one is a copy of one of these k, drawn uniformly, with probability again * k / (1 + again * k), and is
drawn as said above only otherwise. This is Polya's urn: where p is the probability above, q purchases of an item on one
day have a likelihood in proportion to p (p + again) ... (p + (q - 1) again), and their order does not matter. In a
large catalogue p is far below `again`, so that the second of two hardly says more about taste than the first alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.ragged import firsts
from spfedrec_cli.data.schema import OracleEntry
from spfedrec_cli.dtypes import F32, F64, I32, I64

_YEAR = 52


@dataclass(frozen=True)
class World:
    """For each item its cluster, its popularity and the part of the year (0 to 1) in which it sells best."""

    entry: OracleEntry
    cluster: I32
    popularity: F64
    phase: F64

    @classmethod
    def from_table(cls, entry: OracleEntry, table: pa.Table) -> "World":
        return cls(entry, *(table.column(name).to_numpy() for name in ("cluster", "popularity", "phase")))

    def to_table(self) -> pa.Table:
        return pa.table({"cluster": self.cluster, "popularity": self.popularity, "phase": self.phase})

    def demand(self, week: int | I64, items: I32 | slice = slice(None)) -> F64:
        """q_iw of `items` in `week` (which broadcast)."""
        season = 1 + self.entry.season * np.cos(2 * np.pi * (week / _YEAR - self.phase[items]))
        return np.asarray(self.popularity[items] * season)

    @cached_property
    def totals(self) -> F64:
        """Q_cw: (weeks, clusters)."""
        weeks = range(self.entry.weeks)
        return np.stack([np.bincount(self.cluster, self.demand(w), self.entry.clusters) for w in weeks])

    def week(self, day: I32 | int) -> I64:
        """Week number of days since 1970-01-01."""
        return np.asarray((np.asarray(day, np.int64) - self.entry.first_day) // 7)

    def fresh(self, items: I32, week: I64 | int) -> tuple[F64, F64]:
        """The two terms of p(i | c, w): for a client whose taste is the item's cluster, and for any client."""
        demand, purity = self.demand(week, items), self.entry.purity
        own = self.totals[week, self.cluster[items]]
        return purity * demand / own, (1 - purity) * demand / self.totals[week].sum(axis=-1)

    def posterior(self, history: Purchases, row: I64, n: int) -> F64:
        """(n, clusters): P(c | history); `row` says which of the n clients each purchase belongs to, ascending.

        Only the likelihood ratio of "c is the cluster of this item" to "it is not" depends on c, and it is the same
        for all clusters that are not: each row adds one number to one cluster of its client.
        """
        own, rest = self.fresh(history.item, self.week(history.time))
        before, same = _earlier(history, row)
        copied = self.entry.repeat * same / np.maximum(before, 1)
        novel = np.where(before > 0, 1 - self.entry.repeat, 1.0)
        gain = _gain(novel * own, copied + novel * rest, history.purchases, self.entry.again)
        log = np.zeros((n, self.entry.clusters))
        np.add.at(log, (row, self.cluster[history.item]), gain)
        likelihood = np.exp(log - log.max(axis=1, keepdims=True))
        return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True))

    def predict(self, history: Purchases, clients: npt.NDArray[np.integer], day: int) -> F32:
        """(len(clients), n_items): P(next item | history) for a purchase on a `day` after the whole of `history`.

        `history` is sorted by (client, time).
        """
        wanted, place = np.unique(clients, return_inverse=True)
        past, row = _of_clients(history, wanted)
        own, rest = self.fresh(np.arange(len(self.cluster), dtype=np.int32), int(self.week(day)))
        fresh = self.posterior(past, row, len(wanted))[:, self.cluster] * own + rest
        copied = np.zeros_like(fresh)
        np.add.at(copied, (row, past.item), past.purchases)
        bought = copied.sum(axis=1, keepdims=True)
        repeat = np.where(bought > 0, self.entry.repeat, 0.0)
        scores = repeat * copied / np.maximum(bought, 1) + (1 - repeat) * fresh
        return np.asarray(scores[place], np.float32)


def _of_clients(history: Purchases, clients: npt.NDArray[np.integer]) -> tuple[Purchases, I64]:
    """The purchases of ascending `clients` in a history sorted by client, and the place in `clients` of each."""
    low, high = (np.searchsorted(history.client, clients, side) for side in ("left", "right"))
    row = np.repeat(np.arange(len(clients)), high - low)
    place = np.arange(len(row)) - np.searchsorted(row, row)  # of a purchase among those of its client
    return history.take(low[row] + place), row


def _earlier(history: Purchases, row: I64) -> tuple[F64, F64]:
    """For each purchase, how many its client made on earlier days, and how many of those were the same item."""
    quantity = history.purchases.astype(np.float64)
    by_item = np.lexsort((history.time, history.item, row))
    same = np.empty(len(row))
    same[by_item] = _before(quantity[by_item], firsts(row[by_item], history.item[by_item]))
    before = _before(quantity, firsts(row))
    return before[firsts(row, history.time)], same


def _gain(own: F64, rest: F64, quantity: npt.NDArray[np.integer], again: float) -> F64:
    """log of (p + j again) / (p' + j again), summed over j < quantity, where p = own + rest and p' = rest."""
    gain = np.zeros(len(own))
    for nth in range(int(quantity.max(initial=0))):
        more = np.flatnonzero(quantity > nth)
        gain[more] += np.log1p(own[more] / (rest[more] + nth * again))
    return gain


def _before(quantity: F64, first: I64) -> F64:
    """The sum of quantities from the first place of its group up to but without each place."""
    total = np.cumsum(quantity) - quantity
    return np.asarray(total - total[first])
