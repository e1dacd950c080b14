"""What the client bought before."""

from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import COUNT, TIME
from spfedrec_cli.dtypes import F32, F64, I32, I64
from spfedrec_cli.retrieval.baselines.choice import Fitted, best_of
from spfedrec_cli.retrieval.baselines.popular import train_counts
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits
from spfedrec_cli.retrieval.task import UNITS_PER_DAY

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

HALF_LIVES = (62.0, 7.0, 21.0, 180.0, 720.0)  # days; the first where it is not chosen


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


def repeat_often(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer | None:
    """The client's own items by the sum of 2^(-age / half-life) over their purchases, then the others by popularity.

    None where items are not bought again, and where there are no dates.
    """
    if not dataset.repeats or dataset.manifest.time_unit not in UNITS_PER_DAY:
        return None
    return best_of(dataset, split, protocol, HALF_LIVES, lambda days: _often(dataset, days))


def _often(dataset: "Dataset", half_life: float) -> Fitted:
    """By purchases whose weight halves every `half_life` days."""
    unit = half_life * UNITS_PER_DAY[dataset.manifest.time_unit]

    def of_split(split: str) -> Scorer:
        known = history_splits(split)
        items = dataset.bought(*known)
        times, counts = (_joined(dataset, known, name) for name in (TIME, COUNT))
        ages = int(times.values.max()) - times.values.astype(np.float64)
        weights = np.asarray(counts.values * np.exp2(-ages / unit), np.float64)
        return partial(_by_weight, items, weights, train_counts(dataset))

    return of_split


def _joined(dataset: "Dataset", splits: tuple[str, ...], column: str) -> Ragged:
    """A column, aligned with what `Dataset.bought` gives."""
    return reduce(Ragged.followed_by, (Ragged(dataset.offsets(each), dataset.column(each, column)) for each in splits))


def _by_weight(bought: Ragged, weights: F64, behind: F32, clients: I32) -> F32:
    """(n, n_items): above all others a client's own items, by their place among these alone; equal sums share one."""
    rows = Ragged(bought.offsets, np.arange(len(bought.values), dtype=np.int32)).take(clients)
    keys, inverse = np.unique(rows.row_index() * len(behind) + bought.values[rows.values], return_inverse=True)
    sums = np.asarray(np.bincount(inverse, weights[rows.values], len(keys)), np.float64)
    row, item = np.divmod(keys, len(behind))
    scores = np.repeat(behind[None], len(clients), axis=0)
    scores[row, item] = behind.max(initial=0) + 1 + _places(row, sums)
    return scores


def _places(row: I64, values: F64) -> I64:
    """For each of the `values` (n,) how many distinct lower ones its row has; `row` (n,) ascends."""
    order = np.lexsort((values, row))
    first = np.diff(row[order], prepend=-1) != 0
    steps = np.cumsum(first | (np.diff(values[order], prepend=np.nan) != 0))
    place = np.empty(len(row), np.int64)
    place[order] = steps - np.maximum.accumulate(np.where(first, steps, 0))
    return place
