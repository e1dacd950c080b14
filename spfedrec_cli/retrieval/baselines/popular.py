"""The same list for everybody."""

from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.schema import COUNT, ITEM, TIME
from spfedrec_cli.dtypes import F32
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits
from spfedrec_cli.retrieval.task import UNITS_PER_DAY

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

DAYS = 7


def popularity(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer:
    """Purchases of each item in train."""
    return _everybody(train_counts(dataset))


def popularity_7_days(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer | None:
    """Purchases of each item in the last 7 days of what is known before `split`, and behind them all of train.

    For test these are days of validation: the week that a shop would go by. None where there are no dates.
    """
    unit = dataset.manifest.time_unit
    if unit not in UNITS_PER_DAY:
        return None
    known = history_splits(split)
    last = max(int(time.max()) for time in (dataset.column(part, TIME) for part in known) if len(time))
    since = last - DAYS * UNITS_PER_DAY[unit]
    counts = np.zeros(dataset.n_items)
    for part in known:
        recent = dataset.column(part, TIME) > since
        items, purchases = dataset.column(part, ITEM)[recent], dataset.column(part, COUNT)[recent]
        counts += np.bincount(items, weights=purchases, minlength=dataset.n_items)
    return _everybody(_places(counts, train_counts(dataset)))


def train_counts(dataset: "Dataset") -> F32:
    """Purchases per item; whole numbers, exact in float32 below 2^24."""
    items, purchases = dataset.column("train", ITEM), dataset.column("train", COUNT)
    return np.bincount(items, weights=purchases, minlength=dataset.n_items).astype(np.float32)


def _places(*keys: np.ndarray[tuple[int], np.dtype[np.floating]]) -> F32:
    """A whole number for each item that orders them by the first key, then the next; equal ones share it."""
    inverse = np.unique(np.column_stack(keys), axis=0, return_inverse=True)[1]
    return inverse.reshape(-1).astype(np.float32)


def _everybody(scores: F32) -> Scorer:
    return lambda clients: np.broadcast_to(scores, (len(clients), scores.size))
