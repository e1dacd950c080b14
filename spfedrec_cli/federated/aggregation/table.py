"""How client updates become one sum. Every protocol yields the same integers for the same survivors.

A protocol is one class and one row of `AGGREGATIONS`; one that single devices follow by real messages has a row of
`BY_MESSAGES` too.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.aggregation.chain.ring import Ring, RingByMessages
from spfedrec_cli.federated.aggregation.chain.sources import SeededSecrets
from spfedrec_cli.federated.aggregation.protocol import Aggregation, Opening, Sizes, Sums, Updates, add_rows
from spfedrec_cli.federated.wire import messages


class IdealSum:
    """The ideal functionality of secure aggregation: adds the sum over clients, and tells nothing else."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self._uploaded = opening, np.zeros(len(opening.clients), np.bool_)
        self._sums = Sums.zero(opening.width, (len(opening.rows), opening.dim))

    def add(self, updates: Updates) -> None:
        sums = self._sums
        add_rows(sums.items, updates.own_rows, updates.own)
        if len(updates.pool_rows):
            add_rows(sums.items, updates.pool_rows, updates.pool.sum(0, dtype=torch.int32))
        sums.query += updates.query.sum(0, dtype=torch.int32)
        self.count(updates.members, updates.saturated)

    def add_sum(self, query: Tensor, items: Tensor) -> None:
        """Takes the sum over some clients, query (P,) and items (R, d), of whoever has it; `count` says whose it is."""
        self._sums.query += query
        self._sums.items += items

    def count(self, members: I64, saturated: int) -> None:
        """The clients whose updates are in the sum, and how many of their coordinates were clipped."""
        self._sums.clients += len(members)
        self._sums.saturated += saturated
        self._uploaded[members] = True

    def close(self) -> tuple[Sums, Sizes]:
        opening = self._opening
        rows = opening.own.lengths + opening.hidden.lengths + len(opening.pool)
        sizes = messages.size([opening.width, rows * opening.dim]) * self._uploaded
        return self._sums, {messages.ClientUpdate: sizes}


Open = Callable[[Opening], Aggregation]
AGGREGATIONS: dict[str, Open] = {"sum": IdealSum, "ring": Ring}
BY_MESSAGES: dict[str, Open] = {**AGGREGATIONS, "ring": RingByMessages}
# Where a simulation takes the secrets of its clients from; a run records it.
SECRETS: dict[str, str] = {"ring": SeededSecrets.origin}
