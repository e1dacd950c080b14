"""Exact top-k of dense scores, with one order for everybody: score descending, then item id ascending."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import SpfedrecError

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

BLOCK_BYTES = 32 * 2**20  # float32 scores held at once
GROUPS_PER_PLACE = 64  # more groups: a tighter bound; fewer: a cheaper one

EMPTY = -1  # the item of a place that nothing could fill; its score is -inf


def blocks(rows: int, n_items: int) -> Iterator[slice]:
    """Slices that cover range(rows), each at most BLOCK_BYTES of float32 scores over `n_items`, at least one row."""
    size = max(1, BLOCK_BYTES // (4 * max(1, n_items)))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def exclusions(n_items: int, rows: int, seen: Ragged | None, candidates: Bool | None) -> Bool | None:
    """(rows, n_items), true where an item may not be ranked; None where every item may be.

    `seen` has one row of item ids for each row; `candidates` (n_items,) is true for the items that take part.
    """
    if seen is None and candidates is None:
        return None
    excluded = np.zeros((rows, n_items), np.bool_)
    if candidates is not None:
        excluded |= ~candidates
    if seen is not None:
        excluded[seen.row_index(), seen.values] = True
    return excluded


def refuse_nan(scores: F32, clients: npt.NDArray[np.integer]) -> None:
    """SpfedrecError where `scores` (n, n_items) hold a NaN; it names the first such client of `clients` (n,)."""
    broken = np.isnan(scores.max(axis=1, initial=-np.inf))  # max hands NaN on, and makes no second block
    if broken.any():
        raise SpfedrecError(
            "Scores are not numbers (NaN)",
            where=f"client {clients[np.argmax(broken)]}",
            hint="the embeddings diverged: choose an earlier checkpoint, or train with smaller learning rates",
        )


def top_k(scores: F32, k: int, excluded: Bool | None = None) -> tuple[I32, F32]:
    """The k best items of every row: items int32 (n, k) and their scores float32 (n, k).

    `scores` (n, n_items) without NaN; equal scores are ordered by item id, also at the border of the list. `excluded`
    (n, n_items) items are dropped, never ranked: a row with fewer than k others ends in item -1 with score -inf.
    """
    masked = scores if excluded is None else np.where(excluded, np.float32(-np.inf), scores)
    bounds = _lower_bounds(masked, k)
    items = np.full((len(scores), k), EMPTY, np.int32)
    best = np.full((len(scores), k), -np.inf, np.float32)
    for i, row in enumerate(masked):
        near = np.flatnonzero(row >= bounds[i])
        if excluded is not None:  # an allowed item may score -inf too, so the mask decides, not the score
            near = near[~excluded[i, near]]
        near = near[np.argsort(-row[near], kind="stable")[:k]]
        items[i, : near.size], best[i, : near.size] = near, row[near]
    return items, best


def _lower_bounds(scores: F32, k: int) -> F32:
    """(n,): no more than the k-th best score of each row, and mostly close to it.

    Groups of columns: the k-th largest of their maxima is reached by at least k items. About nine times as fast as to
    partition whole rows, and as exact, since everything that reaches the bound is sorted.
    """
    n, width = scores.shape
    if k >= width:
        return np.full(n, -np.inf, np.float32)
    groups = min(width, k * GROUPS_PER_PLACE)
    size = width // groups
    maxima = scores[:, : groups * size].reshape(n, size, groups).max(axis=1)
    return np.partition(maxima, groups - k, axis=1)[:, groups - k]
