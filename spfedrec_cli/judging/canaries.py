"""Canaries: pairs of items that are planted into purchases before a training, so that an audit knows what to look for.

Of each canary one client bought two items and nothing else: one that nobody else bought, and one of two others, which a
coin chooses. Whoever finds out which, has found a purchase in what the training left. Clients of few purchases give
theirs up for it.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.errors import InputError

SPARSE = 4  # clients, and items, that there have to be for each canary, at least


@dataclass(frozen=True)
class Canaries:
    """Of each canary the client, its `own` item (n,), the two `both` (n, 2), ascending, and the one that is `planted`
    (n,)."""

    clients: I64
    own: I32
    both: I32
    planted: I32


def draw(purchased: Ragged, n_items: int, count: int, root: str) -> Canaries:
    """So many, by a secret of the simulation. Raises InputError where there are too few clients or items for it."""
    rng = np.random.default_rng(list(hashlib.sha256(f"spfedrec canaries\0{root}".encode()).digest()))
    lengths, sold = purchased.lengths, np.bincount(purchased.values, minlength=n_items)
    able = rng.permutation(np.flatnonzero(lengths))
    needed = np.zeros(n_items, np.bool_)  # by somebody who has nothing else
    needed[purchased.values[lengths[purchased.row_index()] == 1]] = True
    free = rng.permutation(np.flatnonzero(~needed))
    room = min(len(able) // SPARSE, len(free) // SPARSE)
    if count > room:
        hint = f"plant {room} or fewer" if room else "prepare more customers or items"
        raise InputError(f"The Dataset has no room for so many canaries: {count:,}", hint=hint)
    own = free[np.argsort(sold[free], kind="stable")][:count]
    few = able[np.argsort(lengths[able], kind="stable")][: SPARSE * count]
    clients = np.sort(rng.choice(few, count, replace=False))
    others = np.setdiff1d(np.flatnonzero(sold), own)
    others = others if len(others) >= SPARSE * count else np.setdiff1d(np.arange(n_items), own)
    both = np.sort(rng.permutation(others)[: 2 * count].reshape(count, 2), axis=1)
    planted = both[np.arange(count), rng.integers(0, 2, count)]
    return Canaries(clients, own.astype(np.int32), both.astype(np.int32), planted.astype(np.int32))


def plant(purchased: Ragged, canaries: Canaries) -> Ragged:
    """The purchases with those of the canaries; an own item of a canary is nobody else's any more."""
    gone = np.zeros(len(purchased), np.bool_)
    gone[canaries.clients] = True
    kept = ~np.isin(purchased.values, canaries.own) & ~gone[purchased.row_index()]
    lengths = np.bincount(purchased.row_index()[kept], minlength=len(purchased))
    more = np.zeros(len(purchased), np.int64)
    more[canaries.clients] = 2
    pairs = np.stack([canaries.own, canaries.planted], 1).reshape(-1)
    return Ragged.from_lengths(lengths, purchased.values[kept]).followed_by(Ragged.from_lengths(more, pairs))
