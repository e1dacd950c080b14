"""How client updates become one sum. Every protocol yields the same integers for the same survivors.

A protocol is one function and one row of `AGGREGATIONS`. It sees named integers, never a model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spfedrec_cli.federated.codec import MODULUS


def modulo(total: Tensor) -> Tensor:
    """total mod 2^32, negative ones too: of a power of two, far cheaper than a division. `total` is used up."""
    return total.bitwise_and_(MODULUS - 1)


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


@dataclass(frozen=True)
class Sums:
    """What the aggregator learns, modulo 2^32 (int64): query (P,), items (R, d); and the clients in it."""

    query: Tensor
    items: Tensor
    clients: int
    saturated: int

    @classmethod
    def zero(cls, width: int, shape: tuple[int, ...]) -> "Sums":
        return cls(torch.zeros(width, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64), 0, 0)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            modulo(self.query + other.query),
            modulo(self.items + other.items),
            self.clients + other.clients,
            self.saturated + other.saturated,
        )


Aggregation = Callable[[Updates, int], Sums]


def ideal_sum(updates: Updates, rows: int) -> Sums:
    """The ideal functionality of secure aggregation: the sum over clients and nothing else."""
    # 32 bits suffice, by the codec's choice of qmax; and are several times faster here than 64.
    items = torch.zeros(rows, updates.own.shape[1], dtype=torch.int32)
    items.index_add_(0, updates.own_rows, updates.own)
    items.index_add_(0, updates.pool_rows, updates.pool.sum(0, dtype=torch.int32))
    query = updates.query.sum(0, dtype=torch.int32)
    return Sums(modulo(query.long()), modulo(items.long()), len(updates.query), updates.saturated)


AGGREGATIONS: dict[str, Aggregation] = {"sum": ideal_sum}
