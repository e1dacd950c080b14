"""Items drawn from a distribution until so many distinct ones, none of them a client's own, have come: for V−."""

from typing import NamedTuple

import numpy as np

from spfedrec_cli.dtypes import F64, I32, I64, U64
from spfedrec_cli.kernels.compiling import called, compiled
from spfedrec_cli.kernels.draws import philox, u64


class Law(NamedTuple):
    """A distribution over items: cumulative weights (n,), and for each of as many equal parts of their sum the first
    item that reaches beyond its beginning, from which a search is short (Chen and Asau, "On generating random variates
    from an empirical distribution", 1974)."""

    cumulative: F64
    guide: I64

    @classmethod
    def of(cls, weights: F64) -> "Law":
        cumulative, guide = np.cumsum(weights), np.empty(len(weights), np.int64)
        lay_guide(cumulative, guide)
        return cls(cumulative, guide)


@called
def lay_guide(cumulative: F64, guide: I64) -> None:
    """The first item beyond each of n equal parts of the sum, both being in ascending order."""
    item, n = 0, len(cumulative)
    for i in range(n):
        while item < n and cumulative[item] <= i / n * cumulative[-1]:
            item += 1
        guide[i] = item


class Wanted(NamedTuple):
    """Of clients with keys of their own (K, 2): their own items, those of client k from own_starts[k] to
    own_starts[k + 1]; likewise the slots to be filled; after how many draws to give up (K,), 0 for who is not asked."""

    keys: U64
    own_starts: I64
    own: I32
    starts: I64
    slots: I32
    tries: I64


@called
def draw(law: Law, stream: np.uint64, round_: np.uint64, wanted: Wanted, mark: I32, made: I64) -> None:
    """Fills the slots, and puts into `made` (K,) how many draws, but for those of own items, it took: 0 where so many
    tries did not suffice. Draw t of a client is `rng.uniform_own` at index t. `mark` (n,) is zeros."""
    for k in range(len(wanted.keys)):
        slots = wanted.slots[wanted.starts[k] : wanted.starts[k + 1]]
        own = wanted.own[wanted.own_starts[k] : wanted.own_starts[k + 1]]
        for i in range(len(own)):
            mark[own[i]] = -(k + 1)
        made[k] = fill_slots(law, wanted.keys[k], round_, stream, wanted.tries[k], k + 1, slots, mark)


@called
def copy_rows(rows: I64, starts: I64, offsets: I64, items: I32, chances: F64, to: I32, to_chances: F64) -> None:
    """Fills the named rows (n,) of a ragged array, row r being from offsets[r] to offsets[r + 1], from flat arrays, in
    which they begin at starts (n,)."""
    for i in range(len(rows)):
        there, here = offsets[rows[i]], starts[i]
        for k in range(offsets[rows[i] + 1] - there):
            to[there + k], to_chances[there + k] = items[here + k], chances[here + k]


@compiled
def fill_slots(
    law: Law, key: U64, round_: np.uint64, stream: np.uint64, tries: int, stamp: int, slots: I32, mark: I32
) -> int:
    """Of one client, whose own items are marked by −stamp; those that have come are by stamp."""
    found, foreign = 0, 0
    for start in range(0, tries, 4):
        words = philox((u64(start // 4), stream, round_, u64(0)), key[0], key[1])
        for lane in range(min(4, tries - start)):
            if found == len(slots):
                return foreign
            item = search(law, (float(words[lane]) + 0.5) * 2.0**-32)
            foreign += mark[item] != -stamp
            if abs(mark[item]) != stamp:
                mark[item], slots[found] = stamp, item
                found += 1
    return foreign if found == len(slots) else 0


@compiled
def search(law: Law, share: float) -> int:
    """The first item whose cumulative weight is above this share (0 to 1) of the sum, or the last one."""
    weight, last = share * law.cumulative[-1], len(law.cumulative) - 1
    item = int(law.guide[int(share * len(law.guide))])
    while item > 0 and law.cumulative[item - 1] > weight:
        item -= 1
    while item < last and law.cumulative[item] <= weight:
        item += 1
    return item
