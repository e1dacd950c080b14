"""Recommendations for query embeddings: exact, over the whole catalogue."""

from collections.abc import Callable

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval.index import Best, refuse_nan
from spfedrec_cli.threads import shared

Product = Callable[[F32, F32], F32]  # (n, d) and (d, w) to (n, w)

QUERIES, ITEMS = 512, 512  # scored at once: a megabyte, which is still in the cache when it is looked through


def recommend(
    queries: F32,
    item_embeddings: F32,
    k: int,
    seen: Ragged | None = None,
    product: Product = np.matmul,
    threads: int = 1,
) -> tuple[I32, F32]:
    """The k items with the largest inner product: items int32 (n, k), scores float32 (n, k), as `top_k` orders them.

    `queries` (n, d), `item_embeddings` (n_items, d). The items in row i of `seen` are left out for query i; places
    that then stay empty hold item -1 and score -inf. `product` multiplies matrices; so many `threads` share the
    queries. InputError where k is not between 1 and n_items, SpfedrecError where the dimensions differ or an embedding
    is NaN.
    """
    n_items, dim = item_embeddings.shape
    if queries.shape[1] != dim:
        raise SpfedrecError(f"Query embeddings have {queries.shape[1]} dimensions, item embeddings {dim}")
    check_length(k, n_items)
    _refuse_endless(queries, item_embeddings)
    pieces = {at: np.ascontiguousarray(item_embeddings[at : at + ITEMS].T) for at in range(0, n_items, ITEMS)}
    items, scores = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)

    def rank(start: int) -> None:
        rows = slice(start, min(start + QUERIES, len(queries)))
        best = Best(rows.stop - start, k)
        own = None if seen is None else _Struck(seen.take(np.arange(start, rows.stop)))
        for first, piece in pieces.items():
            dense = product(queries[rows], piece)
            if own is not None:
                own.strike(dense, first)
            best.take(dense, first)
        items[rows], scores[rows] = best.lists()

    shared(rank, range(0, len(queries), QUERIES), threads)
    return items, scores


class _Struck:
    """Items that some queries may not be given, in the order of the items, as pieces of the catalogue come."""

    def __init__(self, seen: Ragged) -> None:
        order = np.argsort(seen.values, kind="stable")
        self._items, self._rows = seen.values[order], seen.row_index()[order]

    def strike(self, scores: F32, first: int) -> None:
        """Score NaN for those of the items from `first` on whose scores these are, (n, w)."""
        here = slice(*np.searchsorted(self._items, [first, first + scores.shape[1]]))
        scores[self._rows[here], self._items[here] - first] = np.nan


def check_length(k: int, n_items: int) -> None:
    """Raises InputError where a list of k cannot be filled from so many items."""
    if not 1 <= k <= n_items:
        hint = f"choose a number from 1 to the {n_items:,} in the catalogue"
        raise InputError(f"The list cannot hold {k:,} items", hint=hint)


def _refuse_endless(queries: F32, item_embeddings: F32) -> None:
    """SpfedrecError where an inner product might be no finite number."""
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.abs(queries).max(axis=1, initial=0) * np.abs(item_embeddings).max(initial=0) * queries.shape[1]
    refuse_nan(np.where(np.isfinite(largest), np.float32(0), np.float32(np.nan))[:, None], np.arange(len(queries)))
