"""Clients side by side: laid out as on their devices, and cut the same way whoever simulates them."""

import numpy as np
import pytest
import torch
from worlds import build_world

from spfedrec_cli.federated.device import client
from spfedrec_cli.federated.device.client import split_batches
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.sampling.pool import Pool
from spfedrec_cli.federated.simulation.on_request import without_requests
from spfedrec_cli.federated.simulation.round import Cohort
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.padded import Batch, batches

LENGTHS = [4, 1, 25, 4, 13, 4, 9, 1, 2, 30, 7, 1]
POOL = np.array([3, 8, 20])
PRIOR = np.log1p(np.arange(60)).astype(np.float32)  # of each item
BUDGET = 60  # candidates of one batch


def cut(world: World, clients: np.ndarray) -> tuple[Cohort, list[Batch]]:
    cohort = without_requests(initial_state(world), world, clients)
    everybody = np.ones(len(cohort), np.bool_)
    public = pool_of(world), PRIOR, 1
    return cohort, list(batches(world, world.config, cohort, *public, lambda most: BUDGET // most, everybody))


def pool_of(world: World) -> Pool:
    items = POOL if world.config.client.uses_pool else POOL[:0]
    return Pool.of(world.config.client, np.ones(world.n_items), items)


@pytest.mark.parametrize("size", [2, 3])
def test_a_team_cuts_as_one_process_does(size: int) -> None:
    """The longest client is in one process only: what the others cut must not depend on it."""
    settings = {"train": {"shards": 4}, "client": {"batch_size": 3, "local_epochs": 2}}
    clients = np.arange(len(LENGTHS))
    cohort, whole = cut(build_world(settings, LENGTHS), clients)
    alone = {tuple(cohort.clients[batch.members]): batch for batch in whole}
    seen = []
    for rank in range(size):
        part, found = cut(build_world(settings, LENGTHS, team=Team(rank, size)), clients)
        for batch in found:
            members = tuple(part.clients[batch.members])
            for name in ("own", "targets", "hidden", "pool", "prior", "offsets"):
                assert torch.equal(getattr(batch, name), getattr(alone[members], name)), name
            assert batch.shard == alone[members].shard
            seen.append(members)
    assert sorted(seen) == sorted(alone)


@pytest.mark.parametrize("negatives", ["public", "request", "both"])
def test_every_client_stands_in_one_batch_as_on_its_device(negatives: str) -> None:
    world = build_world({"client": {"batch_size": 3, "local_epochs": 2, "negatives": negatives}}, LENGTHS)
    cohort, found = cut(world, np.arange(len(LENGTHS)))
    state, uniform = initial_state(world), np.ones(world.n_items) / world.n_items
    public = client.Public(world.config, *world.known.codecs(), state.query, uniform, PRIOR)
    pool = pool_of(world).items.astype(np.int32)
    assert sorted(member for batch in found for member in batch.members) == list(range(len(cohort)))
    for batch in found:
        others = len(batch.pool) + batch.hidden.shape[1]
        assert len(batch.members) == 1 or len(batch.members) * (batch.own.shape[1] + others) <= BUDGET
        assert (np.diff(batch.steps) <= 0).all()
        for place, member in enumerate(batch.members):
            bought = cohort.own.row(member)
            assert batch.own[place, : len(bought)].tolist() == bought.tolist()
            assert (batch.own[place, len(bought) :] == -1).all()
            masks = split_batches(world.config, cohort.keys[member], 1, len(bought))
            assert batch.steps[place] == len(masks)
            for step, mask in enumerate(masks):
                assert torch.equal(batch.targets[step, place, : len(bought)], mask)
            assert not batch.targets[len(masks) :, place].any()
            device = client.Device(
                int(cohort.clients[member]), cohort.keys[member], bought, world.devices.fields.codes[0], None
            )
            probabilities = {} if negatives == "public" else client.make_request(device, public, 1)[1]
            hidden, seats, offsets = client.training_negatives(public, bought, probabilities, pool)
            real = ~torch.isinf(batch.offsets[place])
            torch.testing.assert_close(batch.offsets[place, real], offsets, rtol=0, atol=0)
            assert batch.prior[place, : len(bought)].tolist() == PRIOR[bought].tolist()
            width = batch.hidden.shape[1]
            assert torch.cat([batch.hidden[place], batch.pool])[real].tolist() == [*hidden, *pool[seats]]
            assert real[:width].sum() == len(hidden)
