"""What cannot be beaten."""

from typing import TYPE_CHECKING

from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


def best_possible(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer | None:
    """The probability of each next item under the world that a synthetic Dataset was drawn from; else None."""
    if not dataset.has_oracle:
        return None
    known = history_splits(split)
    return lambda clients: dataset.oracle_scores(clients, splits=known)
