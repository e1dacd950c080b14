"""What a device ranks: its own past items, their siblings, what is popular now, and what the towers retrieve."""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.data.grouping import ascending
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.second_stage.past import Past, found_in

MOST = 16  # siblings of an item, the first by number


def families(kin: I32) -> Ragged:
    """The items of each number, MOST at most."""
    known = np.flatnonzero(kin >= 0)
    order = known[np.argsort(kin[known], kind="stable")]
    every = Ragged.from_lengths(np.bincount(kin[known], minlength=int(kin.max(initial=-1)) + 1), order)
    kept = every.position() < MOST
    return Ragged.from_lengths(np.minimum(every.lengths, MOST), every.values[kept])


def candidates_of(
    past: Past, popular: I32, kin: I32 | None, of_kin: Ragged | None, repeats: bool, more: Sequence[I64] = ()
) -> I64:
    """Ascending keys, device · n_items + item, of all that each device ranks. `popular` (n, p): what is for each of
    them; `more`: further keys. Where nothing is bought twice (`repeats` is false), own items are left out."""
    devices = np.repeat(np.arange(len(past.rows)), popular.shape[1])
    parts = [past.keys, devices * past.n_items + popular.reshape(-1), *more]
    if kin is not None and of_kin is not None:
        parts.append(_siblings(past, kin, of_kin))
    every = ascending(np.concatenate(parts))
    return every if repeats else every[~found_in(past.keys, every)[1]]


def _siblings(past: Past, kin: I32, of_kin: Ragged) -> I64:
    known = kin[past.keys % past.n_items]
    pairs = ascending(past.of_keys[known >= 0] * len(of_kin) + known[known >= 0])
    found = of_kin.take(pairs % len(of_kin))
    return np.asarray((pairs // len(of_kin))[found.row_index()] * past.n_items + found.values, np.int64)
