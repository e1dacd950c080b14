"""A list out of what both stages say: the mix of the second stage and the towers, and places for what is new."""

from collections.abc import Callable

import numpy as np

from spfedrec_cli.dtypes import F32, F64, I64
from spfedrec_cli.second_stage.features import Pairs
from spfedrec_cli.second_stage.past import found_in

Mix = tuple[float, float]  # what the second stage and the towers count
ALONE: Mix = (1.0, 0.0)
TOWERS: Mix = (0.0, 1.0)


def mixed(mix: Mix, own: Callable[[], F64], towers: F32, pairs: Pairs) -> F64:
    """(p,): the second stage's scores, which `own` gives, and those of the `towers` (p,), as they count in the mix."""
    of_own, of_towers = mix
    values = of_own * own() if of_own else np.zeros(len(pairs.keys))
    return values + of_towers * _standardised(towers.astype(np.float64), pairs) if of_towers else values


def explored(values: F64, pairs: Pairs, share: float, after: int = 0) -> F64:
    """(p,): 1/(1 + place) of lists that take from what a client has and from what is new to it, each in its own order,
    so that of the first places every so many are new. Where one of the two runs out, the other follows. The first
    `after` places stay as they are."""
    device, is_new = pairs.device, ~found_in(pairs.past.keys, pairs.keys)[1]
    due = _places(device, -values).astype(np.float64) - after  # below 0 where it stays
    rest = np.flatnonzero(due >= 0)
    number = _places((2 * device + is_new)[rest], -values[rest])
    due[rest] = (1 + number) / np.where(is_new, share, 1.0 - share)[rest]
    order = np.lexsort((is_new, due, device))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - np.searchsorted(device, device)
    return np.asarray(1.0 / (1 + places), np.float64)


def _places(group: I64, keys: F64) -> I64:
    """(p,): where each stands in its group by ascending keys, from 0."""
    order = np.lexsort((keys, group))
    ordered, places = group[order], np.empty(len(group), np.int64)
    places[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return places


def _standardised(values: F64, pairs: Pairs) -> F64:
    """Mean 0 and deviation 1 over the candidates of each client; 0 where they are alike."""
    device = pairs.device
    count = np.maximum(np.bincount(device), 1)
    centred = values - (np.bincount(device, values) / count)[device]
    spread = np.sqrt(np.bincount(device, centred * centred) / count)
    return np.asarray(centred / np.where(spread > 0, spread, 1.0)[device], np.float64)
