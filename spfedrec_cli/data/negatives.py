"""The fixed negatives of the sampled protocol. For evaluation only: training never reads them."""

import numpy as np

from spfedrec_cli.data.parallel import each
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import NEGATIVES
from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.rng import uniform_rows

_STEP = 1 << 11


def draw(clients: I32, bought: Ragged, n_items: int, seed: int, size: int = NEGATIVES) -> I32:
    """`size` distinct items that each client never bought, uniformly and in ascending order: (n, size).

    `bought` is aligned with `clients` and each of its rows ascends. Where fewer exist, all of them, then -1.
    """
    every = np.arange(len(clients))
    cuts = [every[start : start + _STEP] for start in range(0, len(clients), _STEP)]
    parts = each(lambda rows: _draw(clients[rows], bought.take(rows), n_items, seed, size), cuts)
    return np.concatenate([np.empty((0, size), np.int32), *parts])


def _draw(clients: I32, bought: Ragged, n_items: int, seed: int, size: int) -> I32:
    ranks = np.sort(_subsets(clients, n_items - bought.lengths, seed, size), axis=1)  # searched far faster in order
    items = np.where(ranks < 0, n_items, _unbought(ranks, bought, n_items))
    items.sort(axis=1)
    return np.where(items == n_items, -1, items).astype(np.int32)


def _subsets(clients: I32, free: I64, seed: int, size: int) -> I64:
    """A uniform `size`-subset of range(free[i]) for each client, -1 for places that stay empty.

    Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 30, 1987): `size` draws, whatever comes up.
    """
    chosen = np.full((size, len(clients)), -1, np.int32)
    draws = uniform_rows(seed, "negatives", clients, 0, size)
    for place in range(size):
        top = free - size + place
        drawn = (draws[:, place] * (top + 1)).astype(np.int32)
        taken = (chosen[:place] == drawn).any(axis=0)
        chosen[place] = np.where(top < 0, -1, np.where(taken, top, drawn))
    return chosen.T.astype(np.int64)


def _unbought(ranks: I64, bought: Ragged, n_items: int) -> I64:
    """The item with the given rank among those that the client did not buy.

    With the bought items b_0 < b_1 < ..., b_i has b_i - i unbought ones before it: rank r comes after all those with
    b_i - i <= r, so that the item is r plus their number. One search over all clients, in keys that ascend.
    """
    row = np.arange(len(bought), dtype=np.int64)
    keys = bought.row_index() * (n_items + 1) + bought.values - bought.position()
    passed = np.searchsorted(keys, row[:, None] * (n_items + 1) + ranks, side="right")
    return ranks + passed - bought.offsets[:-1, None]
