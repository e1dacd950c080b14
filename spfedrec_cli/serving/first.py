"""The first of a list, from scores of all items."""

import numpy as np

from spfedrec_cli.dtypes import F32, I64, Bool
from spfedrec_cli.errors import InputError

LENGTH = 12


def length(k: int | None, n_items: int) -> int:
    """Of a list. Raises InputError where there are not so many items."""
    places = min(LENGTH, n_items) if k is None else k
    if not 1 <= places <= n_items:
        raise InputError(f"The list cannot hold {places:,} items", hint=f"choose a number from 1 to {n_items:,}")
    return places


def best(scores: F32, k: int, seen: I64) -> I64:
    """The places of the k highest, equal ones by their place; fewer than k where the rest was bought."""
    allowed: Bool = np.ones(len(scores), np.bool_)
    allowed[seen] = False
    left = np.flatnonzero(allowed)
    ordered = left[np.lexsort((left, -scores[left]))] if k * 4 > len(left) else _top(scores, left, k)
    return np.asarray(ordered[:k], np.int64)


def _top(scores: F32, left: I64, k: int) -> I64:
    """Those at least as high as the k-th, in order."""
    border = np.partition(scores[left], len(left) - k)[len(left) - k]
    high = left[scores[left] >= border]
    return np.asarray(high[np.lexsort((high, -scores[high]))], np.int64)
