"""What the client bought before."""

from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.retrieval.baselines.popular import train_counts
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


def repeat_last(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer | None:
    """The client's own items, most recently bought first, and behind them the others by popularity.

    None where items are not bought again (`repeats` is false): its own items are then out of the ranking.
    """
    if not dataset.repeats:
        return None
    counts = train_counts(dataset)
    history = dataset.history(*history_splits(split))
    above_all = counts.max(initial=0) + 1

    def scorer(clients: I32) -> F32:
        own = history.take(clients)
        scores = np.repeat(counts[None], len(clients), axis=0)
        scores[own.row_index(), own.values] = above_all + own.position()
        return scores

    return scorer
