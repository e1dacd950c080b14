"""Recommendations for query embeddings: exact, over the whole catalogue."""

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval.index import F32, I32, blocks, exclusions, refuse_nan, top_k


def recommend(queries: F32, item_embeddings: F32, k: int, seen: Ragged | None = None) -> tuple[I32, F32]:
    """The k items with the largest inner product: items int32 (n, k), scores float32 (n, k), as `top_k` orders them.

    `queries` (n, d), `item_embeddings` (n_items, d). The items in row i of `seen` are left out for query i; places
    that then stay empty hold item -1 and score -inf. InputError where k is not between 1 and n_items, SpfedrecError
    where the dimensions differ or a score is NaN.
    """
    n_items, dim = item_embeddings.shape
    if queries.shape[1] != dim:
        raise SpfedrecError(f"Query embeddings have {queries.shape[1]} dimensions, item embeddings {dim}")
    check_length(k, n_items)
    items, scores = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
    for block in blocks(len(queries), n_items):
        rows = np.arange(block.start, block.stop)
        dense = queries[block] @ item_embeddings.T
        refuse_nan(dense, rows)
        own = None if seen is None else seen.take(rows)
        items[block], scores[block] = top_k(dense, k, exclusions(n_items, len(rows), own, None))
    return items, scores


def check_length(k: int, n_items: int) -> None:
    """Raises InputError where a list of k cannot be filled from so many items."""
    if not 1 <= k <= n_items:
        hint = f"choose a number from 1 to the {n_items:,} in the catalogue"
        raise InputError(f"The list cannot hold {k:,} items", hint=hint)
