"""How client updates become one sum. Every protocol yields the same integers for the same survivors.

A protocol is one function and one row of `AGGREGATIONS`. It sees named integers, never a model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Updates:
    """The uploads of K clients in fixed point (int32).

    query (K, P); own (n, d) belongs to the items at own_rows (n,), over all clients; pool (K, M, d) to pool_rows (M,).
    `saturated` counts coordinates that were clipped.
    """

    query: Tensor
    own_rows: Tensor
    own: Tensor
    pool_rows: Tensor
    pool: Tensor
    saturated: int


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
    def zero(cls, width: int, shape: tuple[int, ...]) -> "Sums":
        return cls(torch.zeros(width, dtype=torch.int32), torch.zeros(shape, dtype=torch.int32), 0, 0)

    def add(self, other: "Sums") -> None:
        """Adds another sum. (int32 of torch wraps.)"""
        self.query += other.query
        self.items += other.items
        self.clients += other.clients
        self.saturated += other.saturated


Aggregation = Callable[[Sums, Updates], None]


def ideal_sum(sums: Sums, updates: Updates) -> None:
    """The ideal functionality of secure aggregation: adds the sum over clients, and tells nothing else."""
    sums.items.index_add_(0, updates.own_rows, updates.own)
    if len(updates.pool_rows):
        sums.items.index_add_(0, updates.pool_rows, updates.pool.sum(0, dtype=torch.int32))
    sums.query += updates.query.sum(0, dtype=torch.int32)
    sums.clients += len(updates.query)
    sums.saturated += updates.saturated


AGGREGATIONS: dict[str, Aggregation] = {"sum": ideal_sum}
