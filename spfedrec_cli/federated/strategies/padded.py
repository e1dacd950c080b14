"""Clients of a cohort side by side, padded, for the strategies that run the item tower over their candidates.

Every client is laid out as on its device (`client.split_batches`): a test holds it. Batches are cut within a shard, by
(number of purchases, client id), never by worker.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.device.client import target_counts, targets_stream
from spfedrec_cli.federated.device.negatives import side_by_side
from spfedrec_cli.federated.sampling.pool import Pool
from spfedrec_cli.federated.simulation.round import Cohort
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.rng import uniform_rows


@dataclass(frozen=True)
class Batch:
    """Some clients, as places in the cohort, and their items (−1: padding). Most local steps come first."""

    members: I64
    shard: int
    own: Tensor  # (K, L) purchases
    targets: Tensor  # (S, K, L) which of them are the targets of each local step; none where a client has no such step
    steps: I64  # (K,) local steps of each client, descending
    hidden: Tensor  # (K, H) V−, where those are training negatives (else H = 0)
    pool: Tensor  # (M,) the public negatives
    expected: Tensor  # (K, H + M) log of the expected number of each negative, V− first; inf: not a negative


def batches(
    world: World, config: Settings, cohort: Cohort, pool: Pool, round_: int, fitting: Callable[[int], int]
) -> Iterator[Batch]:
    """The cohort, `fitting` clients at a time, given how many candidates each has at most; `config` has the local
    steps."""
    shards, lengths, others = world.shards.of(cohort.clients), cohort.own.lengths, cohort.hidden.items.lengths
    for shard in np.unique(shards):
        members = np.flatnonzero((shards == shard) & ~cohort.dropped)
        members = members[np.lexsort((cohort.clients[members], -lengths[members]))]
        while len(members):
            most = int(lengths[members[0]] + others[members].max()) + len(pool.items)
            size = max(1, fitting(max(1, most)))
            yield _padded(world, config, cohort, members[:size], int(shard), pool, round_)
            members = members[size:]


def _padded(world: World, config: Settings, cohort: Cohort, members: I64, shard: int, pool: Pool, round_: int) -> Batch:
    own = cohort.own.take(members)
    targets, steps = _targets(config, cohort.clients[members], own.lengths, round_)
    drawn = cohort.hidden.take(members)
    negatives = side_by_side(world.config.client, own, drawn, pool.items, world.n_items, pool.chance)
    padded = torch.from_numpy(own.padded(-1).astype(np.int64))
    hidden, expected = map(torch.from_numpy, negatives)
    return Batch(members, shard, padded, targets, steps, hidden, torch.from_numpy(pool.items), expected)


def _targets(config: Settings, clients: I64, lengths: I64, round_: int) -> tuple[Tensor, I64]:
    """(S, K, L) and (K,): every epoch's order of a client's purchases, whose first ones are cut into batches."""
    client, rank = config.client, np.arange(int(lengths.max()))
    wanted, size = target_counts(client.target_share, lengths), client.batch_size or len(rank)
    batches_each = -(-wanted // size)
    targets = np.zeros((client.local_epochs * int(batches_each.max()), len(clients), len(rank)), np.bool_)
    member, place = np.nonzero(rank < wanted[:, None])
    for epoch in range(client.local_epochs):
        keys = uniform_rows(config.train.seed, targets_stream(epoch), clients, round_, len(rank))
        keys[rank >= lengths[:, None]] = 2.0
        order = np.argsort(keys, axis=1, kind="stable")
        targets[epoch * batches_each[member] + place // size, member, order[member, place]] = True
    return torch.from_numpy(targets), np.asarray(client.local_epochs * batches_each, np.int64)
