"""Metrics of ranked lists. A metric is a function and a row of METRICS, LIST_METRICS or CATALOGUE_METRICS.

Libraries differ in denominators, so every docstring states its own. T is the ground truth, a set of distinct items;
hit(i) is 1 where place i holds a member of T; sums run over i = 1..k. Candidates of equal score stand in random
order, and a metric of METRICS is its expected value over these orders, exactly: a constant score gains nothing.
docs/evaluation.md derives them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64, I32
from spfedrec_cli.retrieval.places import Places

Sizes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lists:
    """Lists as they are served: `items` int32 (n, places), best first, -1 in an empty place.

    `surprise` (n_items,): the self-information of each item in bits; `truth_surprise` (n,): its mean over the client's
    ground truth.
    """

    items: I32
    surprise: F64
    truth_surprise: F64


Metric = Callable[[Places, Sizes, int], F64]
ListMetric = Callable[[Lists, int], F64]
CatalogueMetric = Callable[[I32, int, int], float]

# Each takes the places (n, >= k), the sizes |T| >= 1 (n,) and k, and returns a value in [0, 1] for each client (n,).


def hit_rate(places: Places, truth_sizes: Sizes, k: int) -> F64:
    """1 where any of the first k places is a hit, else 0. No denominator."""
    return np.asarray(places.first(k).first_hit.sum(axis=1).clip(max=1.0), np.float64)


def recall(places: Places, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) / |T|. Where |T| > k, 1 cannot be reached."""
    return _found(places, k) / truth_sizes


def precision(places: Places, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) / k, also where the list has fewer than k items. Where |T| < k, 1 cannot be reached."""
    return _found(places, k) / k


def ndcg(places: Places, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) / log2(i + 1), divided by the same sum of a perfect list, which has min(k, |T|) hits in front.

    Binary gains: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002).
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)
    gained: F64 = places.first(k).chance @ discounts
    return np.asarray(gained / ideal[np.minimum(truth_sizes, k) - 1], np.float64)


def mrr(places: Places, truth_sizes: Sizes, k: int) -> F64:
    """1 / (place of the first hit), 0 where the first k places hold none. No other denominator."""
    total: F64 = places.first(k).first_hit @ (1 / np.arange(1, k + 1))
    return total


def mean_average_precision(places: Places, truth_sizes: Sizes, k: int) -> F64:
    """Σ hit(i) · (hits among places 1..i) / i, divided by min(k, |T|), as Kaggle's MAP@12 for H&M does."""
    total: F64 = places.first(k).pairs @ (1 / np.arange(1, k + 1))
    best: F64 = np.minimum(truth_sizes, k).astype(np.float64)
    return total / best


METRICS: dict[str, Metric] = {
    "hit_rate": hit_rate,
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": mean_average_precision,
}

# Recall of one part of the ground truth alone: what was not, or was, in the client's history.

RECALL_NEW, RECALL_REPEAT = "recall_new", "recall_repeat"
APART = (RECALL_NEW, RECALL_REPEAT)

# Each takes Lists and k, and returns a value in bits for each client (n,). Of the lists as they are served.


def novelty(lists: Lists, k: int) -> F64:
    """Σ I(item at place i) / (filled places among the first k), in bits; 0 for an empty list.

    Mean self-information: Zhou et al., "Solving the apparent diversity-accuracy dilemma" (PNAS 2010), with one client
    added who bought everything, so that an item which nobody bought is finite: `popularity.self_information`.
    """
    filled = lists.items[:, :k] >= 0
    bits = np.where(filled, lists.surprise[lists.items[:, :k]], 0.0)
    return np.asarray(bits.sum(axis=1) / np.maximum(filled.sum(axis=1), 1), np.float64)


def popularity_bias(lists: Lists, k: int) -> F64:
    """Σ I(item) / |T| over the ground truth, less `novelty`; 0 for an empty list. In bits, above 0 or below.

    +1: in the geometric mean, what is shown was bought by twice as many clients as what the client then bought.
    """
    shown = (lists.items[:, :k] >= 0).any(axis=1)
    return np.where(shown, lists.truth_surprise - novelty(lists, k), 0.0)


LIST_METRICS: dict[str, ListMetric] = {"novelty": novelty, "popularity_bias": popularity_bias}

# Each takes the lists int32 (n, places), n_items and k, and returns one value in [0, 1] for all lists together.


def coverage(items: I32, n_items: int, k: int) -> float:
    """Items in the first k places of any list / n_items (the whole catalogue)."""
    return float((_exposure(items, n_items, k) > 0).sum() / n_items)


def gini(items: I32, n_items: int, k: int) -> float:
    """Σ_j (2j - n_items - 1) x_j / (n_items · Σ x): x_1 <= x_2 <= ... say how often each item is shown (0 included).

    0 where all items of the catalogue are shown equally often, 1 - 1/n_items where only one is; 0 for empty lists.
    """
    shown = np.sort(_exposure(items, n_items, k)).astype(np.float64)
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ shown / (n_items * max(shown.sum(), 1.0)))


CATALOGUE_METRICS: dict[str, CatalogueMetric] = {"coverage": coverage, "gini": gini}


def _found(places: Places, k: int) -> F64:
    """The expected number of hits among the first k places."""
    found: F64 = places.first(k).chance.sum(axis=1)
    return found


def _exposure(items: I32, n_items: int, k: int) -> npt.NDArray[np.int64]:
    """How many lists show each item in their first k places."""
    shown = items[:, :k]
    return np.bincount(shown[shown >= 0], minlength=n_items)
