"""A Dataset in memory, which remembers the splits that were read from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.ragged import Ragged

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

Rows = list[tuple[int, int, int, int]]  # (client, item, time, purchases), sorted by (client, time)
MakeDataset = Callable[..., "Dataset"]


@dataclass
class FakeDataset:
    n_clients: int
    n_items: int
    train: Rows
    validation: Rows = field(default_factory=list)
    test: Rows = field(default_factory=list)
    repeats: bool = True
    time_unit: str = "day"
    negatives: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None = None
    probabilities: npt.NDArray[np.float32] | None = None
    read: set[str] = field(default_factory=set)
    path: Path = Path("datasets/fake")

    @property
    def manifest(self) -> SimpleNamespace:
        return SimpleNamespace(time_unit=self.time_unit)

    @property
    def has_oracle(self) -> bool:
        return self.probabilities is not None

    def purchases(self, split: str) -> Purchases:
        self.read.add(split)
        client, item, time, purchases = np.array(getattr(self, split), np.int32).reshape(-1, 4).T
        return Purchases(client, item, time, purchases, purchases, np.zeros(client.size, np.float32))

    def column(self, split: str, name: str) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = getattr(self.purchases(split), name)
        return column

    def offsets(self, split: str) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.column(split, "client"), np.arange(self.n_clients + 1))

    def bought(self, *splits: str) -> Ragged:
        parts = [Ragged(self.offsets(split), self.column(split, "item")) for split in splits]
        return reduce(Ragged.followed_by, parts)

    def history(self, *splits: str) -> Ragged:
        last = [dict[int, int]() for _ in range(self.n_clients)]
        for split in splits:
            rows = self.purchases(split)
            for client, item, time in zip(rows.client, rows.item, rows.time, strict=True):
                last[client][int(item)] = int(time)
        return Ragged.from_rows([sorted(items, key=items.__getitem__) for items in last])

    def truth(self, split: str) -> Ragged:
        rows = self.purchases(split)
        return Ragged.from_rows([sorted({int(i) for i in rows.item[rows.client == c]}) for c in range(self.n_clients)])

    def oracle_scores(self, clients: npt.NDArray[np.int32], splits: tuple[str, ...]) -> npt.NDArray[np.float32]:
        self.read.update(splits)
        assert self.probabilities is not None
        return self.probabilities[clients]


@pytest.fixture
def make_dataset() -> MakeDataset:
    return lambda *args, **options: cast("Dataset", FakeDataset(*args, **options))
