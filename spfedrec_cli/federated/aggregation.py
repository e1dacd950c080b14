"""How client updates become one sum. Every protocol yields the same integers for the same survivors.

A protocol is one class and one row of `AGGREGATIONS`; one that single devices follow by real messages has a row of
`BY_MESSAGES` too.
"""

from collections.abc import Callable

import numpy as np
import torch

from spfedrec_cli.federated import messages
from spfedrec_cli.federated.ring import Ring, RingByMessages
from spfedrec_cli.federated.secagg.sources import SeededSecrets
from spfedrec_cli.federated.sums import Aggregation, Opening, Sizes, Sums, Updates, add_rows, signed


class IdealSum:
    """The ideal functionality of secure aggregation: adds the sum over clients, and tells nothing else."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self._uploaded = opening, np.zeros(len(opening.clients), np.bool_)
        self._sums = Sums.zero(opening.width, (len(opening.rows), opening.dim), device=opening.device)

    def add(self, updates: Updates) -> None:
        sums, above = self._sums, signed(len(updates.query) * updates.zero_point)
        add_rows(sums.items, updates.own_rows, updates.own)
        if len(updates.pool_rows):
            add_rows(sums.items, updates.pool_rows, updates.pool.sum(0, dtype=torch.int32).sub_(above))
        sums.query += updates.query.sum(0, dtype=torch.int32).sub_(above)
        sums.clients += len(updates.query)
        sums.saturated += updates.saturated
        self._uploaded[updates.members] = True

    def close(self) -> tuple[Sums, Sizes]:
        opening = self._opening
        rows = opening.own.lengths + opening.hidden.lengths + len(opening.pool)
        sizes = messages.size([opening.width, rows * opening.dim]) * self._uploaded
        return self._sums.fetched(), {messages.ClientUpdate: sizes}


Open = Callable[[Opening], Aggregation]
AGGREGATIONS: dict[str, Open] = {"sum": IdealSum, "ring": Ring}
BY_MESSAGES: dict[str, Open] = {**AGGREGATIONS, "ring": RingByMessages}
# Where a simulation takes the secrets of its clients from; a run records it.
SECRETS: dict[str, str] = {"ring": SeededSecrets.origin}
