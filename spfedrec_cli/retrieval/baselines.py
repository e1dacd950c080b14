"""What a model must beat. A baseline is a function (dataset, split) -> Scorer, and a row of BASELINES.

A function returns None where its baseline does not apply to the Dataset. Counts come from train alone; histories from
what a model may know at the time of the split (`history_splits`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.retrieval.evaluate import Scorer, history_splits
from spfedrec_cli.retrieval.index import F32, I32

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

Baseline = Callable[["Dataset", str], Scorer | None]


def popularity(dataset: "Dataset", split: str) -> Scorer:
    """Purchases (quantities summed) of each item in train, the same for every client."""
    counts = _train_counts(dataset)
    return lambda clients: np.broadcast_to(counts, (len(clients), counts.size))


def repeat_last(dataset: "Dataset", split: str) -> Scorer | None:
    """The client's own items, most recently bought first, and behind them the others by popularity.

    None where items are not bought again (`repeats` is false): its own items are then out of the ranking.
    """
    if not dataset.repeats:
        return None
    counts = _train_counts(dataset)
    history = dataset.history(*history_splits(split))
    above_all = counts.max(initial=0) + 1

    def scorer(clients: I32) -> F32:
        own = history.take(clients)
        scores = np.repeat(counts[None], len(clients), axis=0)
        scores[own.row_index(), own.values] = above_all + own.position()
        return scores

    return scorer


def best_possible(dataset: "Dataset", split: str) -> Scorer | None:
    """The probability of each next item under the world that a synthetic Dataset was drawn from; else None."""
    if not dataset.has_oracle:
        return None
    known = history_splits(split)
    return lambda clients: dataset.oracle_scores(clients, splits=known)


BASELINES: dict[str, Baseline] = {
    "popularity": popularity,
    "repeat_last": repeat_last,
    "best_possible": best_possible,
}


def _train_counts(dataset: "Dataset") -> F32:
    """Quantities per item; whole numbers, exact in float32 below 2^24."""
    train = dataset.purchases("train")
    return np.bincount(train.item, weights=train.quantity, minlength=dataset.n_items).astype(np.float32)
