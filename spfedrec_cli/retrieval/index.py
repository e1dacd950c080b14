"""Exact top-k of dense scores, with one order for everybody: score descending, then item id ascending."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32, Bool
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.kernels.top import keep_best

BLOCK_BYTES = 32 * 2**20  # float32 scores held at once

FEW = 4  # rows, as many as one command shows
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


class Best:
    """The k best items of n rows so far: score descending, equal scores by item id."""

    def __init__(self, rows: int, k: int) -> None:
        self._items, self._scores = np.full((rows, k), EMPTY, np.int32), np.full((rows, k), np.nan, np.float32)

    def take(self, scores: F32, first: int = 0) -> None:
        """Score the next items, from `first` on: (n, w) float32, NaN where an item may not be ranked."""
        keep = _keep_of_few if len(scores) <= FEW else keep_best
        keep(np.ascontiguousarray(scores), first, self._items, self._scores)

    def lists(self) -> tuple[I32, F32]:
        """Items int32 (n, k) and their scores float32 (n, k); a place that nothing fills has item -1, score -inf."""
        return self._items, np.where(self._items == EMPTY, np.float32(-np.inf), self._scores)


def _keep_of_few(scores: F32, first: int, items: I32, best: F32) -> None:
    """What `keep_best` does, without its machine code, which takes half a second to load."""
    every = np.concatenate([best, scores], axis=1)
    new = np.broadcast_to(np.arange(first, first + scores.shape[1], dtype=np.int32), scores.shape)
    ids = np.concatenate([items, new], axis=1)
    order = np.lexsort((ids, -every))[:, : items.shape[1]]  # numpy puts what is no number behind all else
    best[:] = np.take_along_axis(every, order, axis=1)
    items[:] = np.where(np.isnan(best), np.int32(EMPTY), np.take_along_axis(ids, order, axis=1))


def top_k(scores: F32, k: int, excluded: Bool | None = None) -> tuple[I32, F32]:
    """The k best items of every row: items int32 (n, k) and their scores float32 (n, k).

    `scores` (n, n_items) without NaN; equal scores are ordered by item id, also at the border of the list. `excluded`
    (n, n_items) items are dropped, never ranked: a row with fewer than k others ends in item -1 with score -inf.
    """
    best = Best(len(scores), k)
    best.take(scores if excluded is None else np.where(excluded, np.float32(np.nan), scores))
    return best.lists()
