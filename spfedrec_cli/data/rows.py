"""The purchases of a source on their way into a Dataset."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.parallel import both
from spfedrec_cli.data.raw import F32, I8, I32, Raw

Mask = npt.NDArray[np.bool_]


def _no_ids() -> pa.Array:
    return pa.array([], pa.string())


@dataclass
class Rows:
    """Columns (n,) in the order of the file; `client` and `item` are places in `client_ids` and `item_ids`.

    Not frozen, because 31.8 million rows are too many to hold twice: each step replaces the columns one after another.
    """

    client: I32
    item: I32
    time: I32
    price: F32
    quantity: I32 | None = None
    channel: I8 | None = None
    client_ids: pa.Array = field(default_factory=_no_ids)
    item_ids: pa.Array = field(default_factory=_no_ids)

    @classmethod
    def of(cls, raw: Raw) -> "Rows":
        return cls(
            client=_codes(raw.client),
            item=_codes(raw.item),
            time=raw.time,
            price=raw.price,
            quantity=raw.quantity,
            channel=raw.channel,
            client_ids=raw.client.dictionary,
            item_ids=raw.item.dictionary,
        )

    def __len__(self) -> int:
        return len(self.client)

    @property
    def purchases(self) -> int:
        """The sum of quantities."""
        return len(self) if self.quantity is None else int(self.quantity.sum(dtype=np.int64))

    def per_client(self) -> npt.NDArray[np.int64]:
        """Purchases of each client."""
        return np.bincount(self.client, self.quantity, len(self.client_ids)).astype(np.int64)

    def per_item(self) -> npt.NDArray[np.int64]:
        """Purchases of each item."""
        return np.bincount(self.item, self.quantity, len(self.item_ids)).astype(np.int64)

    def take(self, name: str) -> npt.NDArray[Any]:
        """A column that is not needed here any more."""
        column = getattr(self, name)
        setattr(self, name, np.empty(0, column.dtype))
        return np.asarray(column)

    def keep(self, mask: Mask) -> None:
        """Drops the rows where `mask` is false."""
        for name in ("client", "item", "time", "price", "quantity", "channel"):
            column = getattr(self, name)
            if column is not None:
                setattr(self, name, column[mask])

    def renumber(self, item: I32, client: I32) -> None:
        """Replaces each place by the number at it. Both lists of ids are of no use afterwards."""
        self.item, self.client = both(lambda: item[self.item], lambda: client[self.client])
        self.item_ids = self.client_ids = _no_ids()

    def clients_used(self) -> Mask:
        """Which of the ids have a row."""
        used = np.zeros(len(self.client_ids), bool)
        used[self.client] = True
        return used

    def items_used(self) -> Mask:
        used = np.zeros(len(self.item_ids), bool)
        used[self.item] = True
        return used


def _codes(column: pa.DictionaryArray) -> I32:
    return np.asarray(column.indices.to_numpy(zero_copy_only=False), np.int32)
