"""What baselines share: what they are, how their settings are chosen, histories as a sparse matrix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.retrieval.evaluate import Scorer, evaluate, make_task
from spfedrec_cli.rng import distinct

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

Baseline = Callable[["Dataset", str, str], Scorer | None]
Seconds = Callable[["Dataset"], float]  # about how long a baseline takes for test, on one core
Fitted = Callable[[str], Scorer]  # the split to predict -> its scorer, by that split's histories
Setting = TypeVar("Setting")

CHOOSERS = 5_000  # clients of validation that settings are chosen by, at most


class Unavailable(SpfedrecError):
    """The baseline would say something about this Dataset, but cannot be had here."""


@dataclass(frozen=True)
class Chosen:
    """A Scorer, and the setting that it was fitted with."""

    scorer: Scorer
    setting: object

    def __call__(self, clients: I32) -> F32:
        return self.scorer(clients)


def best_of(
    dataset: "Dataset", split: str, protocol: str, grid: Sequence[Setting], fit: Callable[[Setting], Fitted]
) -> Chosen:
    """The scorer for `split` of the setting that is best on validation: by NDCG@10, under the same protocol.

    The first of `grid` where it is the only one, validation itself is predicted, or nobody has ground truth in it.
    """
    if len(grid) == 1 or split == "validation" or not dataset.truth("validation").lengths.any():
        return Chosen(fit(grid[0])(split), grid[0])
    task = make_task(dataset, "validation", protocol)
    task = task.take(distinct(0, "baselines/choosers", len(task.clients), CHOOSERS).astype(np.int32))
    k = min(10, task.most_candidates)
    best, reached = None, -1.0
    for setting in grid:
        fitted = fit(setting)
        found = evaluate(fitted("validation"), task, [k]).metrics[f"ndcg@{k}"]
        if found > reached:
            best, reached = (fitted, setting), found
    assert best is not None
    return Chosen(best[0](split), best[1])


def matrix(items: Ragged, n_items: int) -> Any:
    """A scipy CSR matrix float32 (rows, n_items) with 1 at the items of each row."""
    from scipy.sparse import csr_matrix

    ones = np.ones(len(items.values), np.float32)
    return csr_matrix((ones, items.values, items.offsets), shape=(len(items), n_items))
