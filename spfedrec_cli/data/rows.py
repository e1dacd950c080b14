"""The purchases of a source on their way into a Dataset."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.arrays import texts, to_numpy
from spfedrec_cli.data.grouping import stable_order
from spfedrec_cli.data.parallel import both, each
from spfedrec_cli.data.raw import Raw
from spfedrec_cli.dtypes import F32, I8, I32, I64

Mask = npt.NDArray[np.bool_]

_COLUMNS = ("client", "item", "time", "price", "quantity", "channel")


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
    client_ids: pa.Array = field(default_factory=partial(texts, ()))
    item_ids: pa.Array = field(default_factory=partial(texts, ()))

    @classmethod
    def of(cls, raw: Raw) -> "Rows":
        return cls(
            client=to_numpy(raw.client.indices),
            item=to_numpy(raw.item.indices),
            time=raw.time,
            price=raw.price,
            quantity=raw.quantity,
            channel=raw.channel,
            client_ids=raw.client.dictionary,
            item_ids=raw.item.dictionary,
        )

    def __len__(self) -> int:
        return len(self.client)

    def per_client(self) -> npt.NDArray[np.int64]:
        """Purchases of each client."""
        return np.bincount(self.client, minlength=len(self.client_ids))

    def per_item(self) -> npt.NDArray[np.int64]:
        """Purchases of each item."""
        return np.bincount(self.item, minlength=len(self.item_ids))

    def select(self, rows: Mask | npt.NDArray[np.integer], names: Iterable[str] = _COLUMNS) -> None:
        """Leaves the rows of a mask, or those of an order, in the columns that are named."""
        held = [name for name in names if getattr(self, name) is not None]
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        # "clip" alone does not look for places that are none first.
        each(lambda name: setattr(self, name, getattr(self, name).take(places, mode="clip")), held)

    def renumber(self, item: I32, client: I32) -> None:
        """Replaces each place by the number at it. Both lists of ids are of no use afterwards."""
        self.item, self.client = both(lambda: item[self.item], lambda: client[self.client])
        self.item_ids = self.client_ids = texts(())

    def sort(self, names: Iterable[str] = ("time", "price", "quantity")) -> I64:
        """By client, time, and the order of the file; so too the columns that are named, and others no more.

        The rows of client c are then those from place c to c + 1 of what is returned.
        """
        if (self.time[1:] < self.time[:-1]).any():
            self.select(stable_order(self.time.astype(np.int64) - self.time.min()))
        rows = np.bincount(self.client)
        self.select(stable_order(self.client), ("item", *names))
        self.client = np.repeat(np.arange(len(rows), dtype=np.int32), rows)
        return np.append(0, np.cumsum(rows))
