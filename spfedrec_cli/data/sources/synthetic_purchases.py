"""What the customers of the synthetic shop buy: data/oracle.py states the probabilities."""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.ragged import firsts
from spfedrec_cli.data.raw import Progress, Tell, silent
from spfedrec_cli.data.sources.synthetic_customers import Rows, make_rows, sizes, tastes
from spfedrec_cli.dtypes import F64, I8, I32, I64
from spfedrec_cli.rng import quads

BLOCK = 1 << 14
MAKING = "making purchases"


@dataclass(frozen=True)
class Sold:
    """All purchases, sorted by (client, day), in the order in which they were made. Each (n,)."""

    client: I32
    item: I32
    day: I32
    channel: I8


@dataclass(frozen=True)
class Shelves:
    """The items sorted by cluster, and for each week the sums of their demand.

    `mass[w, k]` is the demand of the first k items in week w, `cuts[c]` the place where cluster c begins.
    """

    item: I32
    cuts: I64
    mass: F64

    @classmethod
    def of(cls, world: World) -> "Shelves":
        item = np.argsort(world.cluster, kind="stable").astype(np.int32)
        mass = np.zeros((world.entry.weeks, len(item) + 1))
        for week in range(world.entry.weeks):
            np.cumsum(world.demand(week)[item], out=mass[week, 1:])
        return cls(item, np.searchsorted(world.cluster[item], np.arange(world.entry.clusters + 1)), mass)

    def pick(self, week: I64, cluster: I32, draw: F64) -> I32:
        """An item of `cluster` (any item for -1) for each `draw`, by inversion of its distribution in its week."""
        low, high = self.cuts[cluster], self.cuts[cluster + 1]
        low, high = np.where(cluster < 0, 0, low), np.where(cluster < 0, len(self.item), high)
        below, above = self.mass[week, low], self.mass[week, high]
        wanted = below + draw * (above - below)
        place = np.empty(len(week), np.int64)
        by_week = np.argsort(week, kind="stable")
        for rows in np.split(by_week, np.flatnonzero(np.diff(week[by_week])) + 1):
            if len(rows):
                place[rows] = np.searchsorted(self.mass[week[rows[0]]], wanted[rows], side="right") - 1
        return self.item[np.minimum(place, high - 1)]


def make_purchases(seed: int, world: World, n_customers: int, block: int = BLOCK, tell: Tell = silent) -> Sold:
    """The purchases of customers 0 to n_customers - 1. They do not depend on `block`, the customers made at a time."""
    shelves, everybody = Shelves.of(world), np.arange(n_customers)
    ends = np.append(0, np.cumsum(sizes(seed, everybody)))
    total = int(ends[-1])
    client, item, day = np.empty((3, total), np.int32)
    sold = Sold(client, item, day, np.empty(total, np.int8))
    for start in range(0, n_customers, block):
        customers = everybody[start : start + block]
        done = start + len(customers)
        _fill(sold, slice(int(ends[start]), int(ends[done])), seed, world, shelves, customers)
        tell(Progress(MAKING, done, n_customers, int(ends[done]), "customers"))
    return sold


def _fill(sold: Sold, place: slice, seed: int, world: World, shelves: Shelves, customers: I64) -> None:
    rows = make_rows(seed, customers)
    sold.client[place] = customers[rows.client]
    sold.day[place] = rows.day
    sold.channel[place] = rows.channel
    sold.item[place] = _items(seed, world, shelves, customers, rows)


def _items(seed: int, world: World, shelves: Shelves, customers: I64, rows: Rows) -> I32:
    fresh = quads(seed, "synthetic/item", customers[rows.client], rows.nth)
    taste = tastes(seed, world, customers)[rows.client]
    cluster = np.where(fresh[0] < world.entry.purity, taste, -1)
    item = shelves.pick(world.week(rows.day), cluster, fresh[1])
    return item[_origins(world, rows, quads(seed, "synthetic/copy", customers[rows.client], rows.nth))]


def _origins(world: World, rows: Rows, draw: F64) -> I64:
    """For each purchase the fresh one that it is, or copies in the end. `draw` is (4, n)."""
    place = np.arange(len(rows.day))
    basket = firsts(rows.client, rows.day)
    today, earlier = place - basket, basket - rows.start
    again = draw[0] < 1 - 1 / (1 + world.entry.again * today)
    repeats = (earlier > 0) & (draw[2] < world.entry.repeat)
    origin = np.where(repeats, rows.start + (draw[3] * earlier).astype(np.int64), place)
    origin = np.where(again, basket + (draw[1] * today).astype(np.int64), origin)
    while (origin[origin] != origin).any():
        origin = origin[origin]
    return origin
