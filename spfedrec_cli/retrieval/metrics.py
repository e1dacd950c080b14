"""Metrics of ranked lists. A metric is a function and a row of METRICS.

Each takes `hits` bool (n, places), true where the item at that place (best first, places >= k) is in the client's
ground truth; `truth_sizes` (n,) >= 1, the distinct items of that ground truth; and k. Each returns float64 (n,), one
value in [0, 1] for each client. Libraries differ in denominators, so every docstring states its own; T is the ground
truth, hit(i) is 1 where place i holds a member of T, and sums run over i = 1..k.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Sizes = npt.NDArray[np.int64]
Metric = Callable[[Bool, Sizes, int], F64]


def hit_rate(hits: Bool, truth_sizes: Sizes, k: int) -> F64:
    """1 where any of the first k places is a hit, else 0. No denominator."""
    return (_found(hits, k) > 0).astype(np.float64)


def recall(hits: Bool, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) / |T|. Where |T| > k, 1 cannot be reached."""
    return _found(hits, k) / truth_sizes


def precision(hits: Bool, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) / k, also where the list has fewer than k items. Where |T| < k, 1 cannot be reached."""
    return _found(hits, k) / k


def ndcg(hits: Bool, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) / log2(i + 1), divided by the same sum of a perfect list, which has min(k, |T|) hits in front.

    Binary gains: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002).
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)
    gained: F64 = hits[:, :k] @ discounts
    best: F64 = ideal[np.minimum(truth_sizes, k) - 1]
    return gained / best


def mrr(hits: Bool, truth_sizes: Sizes, k: int) -> F64:
    """1 / (place of the first hit), 0 where the first k places hold none. No other denominator."""
    first = hits[:, :k].argmax(axis=1) + 1
    return np.where(hits[:, :k].any(axis=1), 1 / first, 0.0)


def mean_average_precision(hits: Bool, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) · (hits among places 1..i) / i, divided by min(k, |T|), as Kaggle's MAP@12 for H&M does."""
    found = np.cumsum(hits[:, :k], axis=1)
    precisions = np.where(hits[:, :k], found / np.arange(1, k + 1), 0.0)
    total: F64 = precisions.sum(axis=1)
    return total / np.minimum(truth_sizes, k)


METRICS: dict[str, Metric] = {
    "hit_rate": hit_rate,
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": mean_average_precision,
}


def coverage(items: I32, n_items: int, k: int) -> float:
    """Items in the first k places of any list / n_items (the whole catalogue). One value for all lists.

    `items` (n, places) are item ids, -1 for an empty place.
    """
    shown = np.unique(items[:, :k])
    return float((shown >= 0).sum() / n_items)


def _found(hits: Bool, k: int) -> F64:
    found: F64 = hits[:, :k].sum(axis=1, dtype=np.float64)
    return found
