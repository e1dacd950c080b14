"""The ideal functionality of secure aggregation: the sum over clients, and nothing else."""

from dataclasses import replace

import torch
from torch import Tensor

from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.aggregation.protocol import Opening, Sums, Updates, add_rows
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.wire.channel import Channel, Role


class IdealSum:
    """The updates of any number of clients at a time; what would cross is told by its size."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self.uploads = opening, opening.silent > Phase.UPLOAD
        self._sums = Sums.zero(opening.width, (len(opening.rows), opening.dim))

    def add(self, updates: Updates) -> None:
        sums = self._sums
        add_rows(sums.items, updates.own_rows, updates.own)
        if len(updates.pool_rows):
            add_rows(sums.items, updates.pool_rows, _summed(updates.pool))
        sums.query += _summed(updates.query)
        self.count(updates.members, updates.saturated)

    def add_sum(self, query: Tensor, items: Tensor) -> None:
        """Takes the sum over some clients, query (P,) and items (R, d), of whoever has it; `count` says whose it is."""
        self._sums.query += query
        self._sums.items += items

    def count(self, members: I64, saturated: int) -> None:
        """The clients whose updates are in the sum, and how many of their coordinates were clipped."""
        self._sums.clients += len(members)
        self._sums.saturated += saturated

    def close(self) -> Sums:
        opening = self._opening
        opening.channel.account(opening.update, opening.update_sizes * self.uploads)
        return self._sums


class SumByMessages:
    """The same of one client at a time, each of whose updates crosses."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self._sum = opening, IdealSum(replace(opening, channel=Channel(opening.round)))
        self.uploads = self._sum.uploads

    def add(self, updates: Updates) -> None:
        """Of one client."""
        (member,), sent = updates.members.tolist(), updates.sent
        assert sent is not None
        client = int(self._opening.clients[member])
        self._sum.add(sent.read(self._opening.channel.send(sent.message, client, Role.AGGREGATOR)))

    def close(self) -> Sums:
        return self._sum.close()


def _summed(each: Tensor) -> Tensor:
    """Over clients (k, …), modulo 2^32. (Torch takes milliseconds to sum what one client has alone.)"""
    return each[0] if len(each) == 1 else each.sum(0, dtype=torch.int32)
