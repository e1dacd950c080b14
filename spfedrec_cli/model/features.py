"""What the towers see of items and clients: codes of categorical fields."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.placement import placed

ID = "id"


@dataclass(frozen=True)
class Features:
    """Codes (rows, fields), int64; `names` and `cardinalities` go with the columns. Code 0 is unknown, but for `id`."""

    names: tuple[str, ...]
    cardinalities: tuple[int, ...]
    codes: Tensor

    def __len__(self) -> int:
        return self.codes.shape[0]

    def at(self, round_: int) -> "Features":
        """As they are in a round, from 1 on (0: before the first): these themselves, which never change.

        A subclass may give others, such as the age of an item, a field of its own. They have the same rows, names and
        cardinalities, and lie where these lie (`self.codes.device`). They depend on nothing but the round, so that a
        resumed run comes to the same bits. Without item fields (`first`) the ids are left, which never change.
        """
        return self

    def first(self, fields: int) -> "Features":
        """The first so many columns alone."""
        return Features(self.names[:fields], self.cardinalities[:fields], self.codes[:, :fields])

    def without_rows(self) -> "Features":
        """Names and cardinalities alone."""
        return replace(self, codes=self.codes[:0])

    def on(self, device: torch.device) -> "Features":
        """The same, their codes on the device."""
        return replace(self, codes=placed(self.codes, device))


def of_items(dataset: Dataset) -> Features:
    """The item's own id first, then the fields that the Dataset lists."""
    ids = np.arange(dataset.n_items, dtype=np.int64)[:, None]
    names = (ID, *(field.name for field in dataset.item_fields))
    sizes = (dataset.n_items, *(field.cardinality for field in dataset.item_fields))
    return _features(names, sizes, np.concatenate([ids, dataset.item_codes], axis=1))


def of_clients(dataset: Dataset) -> Features:
    """The fields that the Dataset lists for a client: never an id, which would make θ_u name its customers."""
    fields = dataset.client_fields
    return _features([field.name for field in fields], [field.cardinality for field in fields], dataset.client_codes)


def _features(names: Sequence[str], sizes: Sequence[int], codes: np.ndarray) -> Features:
    return Features(tuple(names), tuple(sizes), torch.from_numpy(codes.astype(np.int64)))
