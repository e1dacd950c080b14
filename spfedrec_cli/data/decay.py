"""Sales that lose weight as they age, as whole numbers that devices can sum."""

import numpy as np

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.grouping import latest
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import TIME
from spfedrec_cli.data.split import UNITS_A_DAY

UNIT = 1024  # what a purchase of the last day of train counts


def dated(dataset: Dataset) -> bool:
    """Whether the Dataset knows days, and not only an order."""
    return dataset.manifest.time_unit in UNITS_A_DAY


def decayed_sales(dataset: Dataset, half_life: float) -> Ragged:
    """What the items of `dataset.history("train")` count, row by row: 2^(−age/half_life) in units of 1/1024, the age
    being the days from the client's last purchase of the item to the last one of anybody in train.

    A client counts once for an item however often it bought it, as in the sum without decay.
    """
    time = dataset.column("train", TIME)
    days = (time.max() - time) / UNITS_A_DAY[dataset.manifest.time_unit]
    weights = np.rint(UNIT * np.exp2(-days / half_life)).astype(np.int32)
    return latest(dataset.bought("train"), dataset.n_items, of=weights)
