"""How client updates become one sum. Every protocol yields the same integers for the same survivors.

A protocol is one function and one row of `AGGREGATIONS`. It sees named integers, never a model.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spfedrec_cli.placement import CPU, fetched


@dataclass(frozen=True)
class Updates:
    """The uploads of K clients in fixed point (int32).

    query (K, P); own (n, d) belongs to the items at own_rows (n,), over all clients; pool (K, M, d) to pool_rows (M,).
    `saturated` counts coordinates that were clipped. Coordinates of query and pool stand `zero_point` above their
    value: a sum of K of them is that of the values once K · zero_point is taken off, modulo 2^32.
    """

    query: Tensor
    own_rows: Tensor
    own: Tensor
    pool_rows: Tensor
    pool: Tensor
    saturated: int
    zero_point: int = 0


@dataclass
class Sums:
    """What the aggregator learns, modulo 2^32: query (P,), items (R, d), int32 in two's complement; the clients in it.

    It is added to in place: a dense copy of all items for every few clients would cost more than their training.
    """

    query: Tensor
    items: Tensor
    clients: int
    saturated: int

    @classmethod
    def zero(cls, width: int, shape: tuple[int, ...], device: torch.device = CPU) -> "Sums":
        query, items = (torch.zeros(size, dtype=torch.int32, device=device) for size in (width, shape))
        return cls(query, items, 0, 0)

    def fetched(self) -> "Sums":
        """The same on the CPU."""
        return replace(self, query=fetched(self.query), items=fetched(self.items))

    def add(self, other: "Sums") -> None:
        """Adds another sum. (int32 of torch wraps.)"""
        self.query += other.query
        self.items += other.items
        self.clients += other.clients
        self.saturated += other.saturated


Aggregation = Callable[[Sums, Updates], None]


def ideal_sum(sums: Sums, updates: Updates) -> None:
    """The ideal functionality of secure aggregation: adds the sum over clients, and tells nothing else."""
    above = signed(len(updates.query) * updates.zero_point)
    _add_rows(sums.items, updates.own_rows, updates.own)
    if len(updates.pool_rows):
        _add_rows(sums.items, updates.pool_rows, updates.pool.sum(0, dtype=torch.int32).sub_(above))
    sums.query += updates.query.sum(0, dtype=torch.int32).sub_(above)
    sums.clients += len(updates.query)
    sums.saturated += updates.saturated


def _add_rows(total: Tensor, places: Tensor, added: Tensor) -> None:
    """total[places] += added, where a place may come more than once. (At half the time of `index_add_`.)"""
    total.index_put_((places,), added, accumulate=True)


def signed(number: int) -> int:
    """The 32-bit integer in two's complement that equals a number modulo 2^32."""
    return (number + 2**31) % 2**32 - 2**31


AGGREGATIONS: dict[str, Aggregation] = {"sum": ideal_sum}
