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
from spfedrec_cli.dtypes import F32, I64, U64, Bool
from spfedrec_cli.federated.device.client import TARGETS, target_counts
from spfedrec_cli.federated.device.negatives import side_by_side
from spfedrec_cli.federated.sampling.pool import Pool
from spfedrec_cli.federated.simulation.round import Cohort
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.rng import uniform_own


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
    prior: Tensor  # (K, L) of the purchases; anything at padding
    offsets: Tensor  # (K, H + M) what the score of each negative loses, V− first; inf: not a negative


def batches(
    world: World,
    config: Settings,
    cohort: Cohort,
    pool: Pool,
    prior: F32,
    round_: int,
    fitting: Callable[[int], int],
    trains: Bool,
) -> Iterator[Batch]:
    """The cohort, `fitting` clients at a time, given how many candidates each has at most; `config` has the local
    steps, `trains` (K,) who makes them, `prior` (n_items,) what all scores have."""
    shards, lengths, others = world.shards.of(cohort.clients), cohort.own.lengths, cohort.hidden.items.lengths
    for shard in np.unique(shards):
        members = np.flatnonzero((shards == shard) & trains)
        members = members[np.lexsort((cohort.clients[members], -lengths[members]))]
        while len(members):
            most = int(lengths[members[0]] + others[members].max()) + len(pool.items)
            size = max(1, fitting(max(1, most)))
            yield _padded(world, config, cohort, members[:size], int(shard), pool, prior, round_)
            members = members[size:]


def _padded(
    world: World, config: Settings, cohort: Cohort, members: I64, shard: int, pool: Pool, prior: F32, round_: int
) -> Batch:
    own = cohort.own.take(members)
    targets, steps = _targets(config, cohort.keys[members], own.lengths, round_)
    drawn = cohort.hidden.take(members)
    negatives = side_by_side(world.config.client, own, drawn, pool.items, pool.chance, prior)
    padded = own.padded(-1).astype(np.int64)
    hidden, offsets = map(torch.from_numpy, negatives)
    bought = torch.from_numpy(padded), targets, steps
    return Batch(
        members, shard, *bought, hidden, torch.from_numpy(pool.items), torch.from_numpy(prior[padded]), offsets
    )


def _targets(config: Settings, own_keys: U64, lengths: I64, round_: int) -> tuple[Tensor, I64]:
    """(S, K, L) and (K,): every epoch's order of a client's purchases, whose first ones are cut into batches."""
    client, rank = config.client, np.arange(int(lengths.max()))
    wanted, size = target_counts(client.target_share, lengths), client.batch_size or len(rank)
    batches_each = -(-wanted // size)
    targets = np.zeros((client.local_epochs * int(batches_each.max()), len(own_keys), len(rank)), np.bool_)
    member, place = np.nonzero(rank < wanted[:, None])
    for epoch in range(client.local_epochs):
        keys = uniform_own(own_keys, TARGETS + epoch, round_, len(rank))
        keys[rank >= lengths[:, None]] = 2.0
        order = np.argsort(keys, axis=1, kind="stable")
        targets[epoch * batches_each[member] + place // size, member, order[member, place]] = True
    return torch.from_numpy(targets), np.asarray(client.local_epochs * batches_each, np.int64)
