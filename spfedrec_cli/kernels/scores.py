"""Scores of a client's candidates, and the gradient by its query embedding from those by the scores."""

import numpy as np

from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.kernels.arithmetic import add_times, add_weighted, dot, f32, fill, products
from spfedrec_cli.kernels.compiling import compiled
from spfedrec_cli.kernels.losses import FLOOR


@compiled
def score_targets(items: F32, vector: F32, offsets: F32, targets: I64, scores: F32) -> None:
    """Of the targets among the purchases, at their places, less their offsets (L,)."""
    for t in range(len(targets)):
        scores[targets[t]] = dot(items[targets[t]], vector) - offsets[targets[t]]


@compiled
def score_hidden(items: F32, vector: F32, offsets: F32, scores: F32) -> None:
    """Of V− (H, d), less their offsets (H,)."""
    products(items, vector, scores)
    for i in range(len(scores)):
        scores[i] -= offsets[i]


@compiled
def score_pool(pool: F32, vector: F32, offsets: F32, more: np.float32, in_pool: I32, apart: I32, scores: F32) -> int:
    """Of the pool (M, d), less their offsets (M,) and what the client adds to all; returns how many are negatives. Some
    candidates, which are in the pool at in_pool[apart], are none: they have a part of their own."""
    products(pool, vector, scores)
    for i in range(len(scores)):
        scores[i] -= offsets[i] + more
    count = len(scores)
    for i in range(len(apart) if count else 0):
        seat = in_pool[apart[i]]
        if seat >= 0:
            scores[seat] = FLOOR
            count -= 1
    return count


@compiled
def pull(items: F32, targets: I64, by_own: F32, pool: F32, by_negative: F32, others: int, of_query: F32) -> None:
    """Σ gradient · embedding, over targets among the items, the V− behind the purchases, and the pool."""
    fill(of_query, f32(0.0))
    for t in range(len(targets)):
        add_times(of_query, items[targets[t]], by_own[targets[t]])
    add_weighted(of_query, items[len(items) - others :], by_negative[:others])
    add_weighted(of_query, pool, by_negative[others:])
