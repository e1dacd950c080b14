"""How popular items were in train: what the novelty of a list, and the bands of items, are measured by."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64, I64

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


BANDS = ("head", "middle", "tail", "unsold")


def buyers(dataset: "Dataset") -> I64:
    """(n_items,): the clients who bought each item in train, each counted once."""
    return np.bincount(dataset.truth("train").values, minlength=dataset.n_items)


def self_information(buyers: I64, clients: int) -> F64:
    """(n_items,) bits: -log2((buyers + 1) / (clients + 1)). `clients` is the number of those who bought anything."""
    return np.asarray(np.log2(clients + 1) - np.log2(buyers + 1), np.float64)


def bands(buyers: I64) -> npt.NDArray[np.int8]:
    """(n_items,): the place in BANDS of each item.

    Items by number of buyers, most first, ties by id: head is those that make up the first third of all buyers, middle
    the second, tail the last; an item that crosses a border belongs to the band that it begins in. Unsold: no buyer.
    """
    order = np.argsort(-buyers, kind="stable")
    before = np.cumsum(buyers[order]) - buyers[order]
    band = np.empty(len(buyers), np.int8)
    band[order] = 3 * before // max(int(buyers.sum()), 1)
    band[buyers == 0] = BANDS.index("unsold")
    return band
