"""Clients side by side: laid out as on their devices, and cut the same way whoever simulates them."""

import numpy as np
import pytest
import torch
from worlds import build_world

from spfedrec_cli.federated.batches import Batch, batches
from spfedrec_cli.federated.client import split_batches
from spfedrec_cli.federated.exchange import Cohort
from spfedrec_cli.federated.state import World, initial_state
from spfedrec_cli.federated.strategies import without_requests
from spfedrec_cli.federated.team import Team

LENGTHS = [4, 1, 25, 4, 13, 4, 9, 1, 2, 30, 7, 1]
POOL = np.array([3, 8, 20])
BUDGET = 60  # candidates of one batch


def cut(world: World, clients: np.ndarray) -> tuple[Cohort, list[Batch]]:
    cohort = without_requests(initial_state(world), world, clients, 1)
    return cohort, list(batches(world, world.config, cohort, POOL, 1, lambda most: BUDGET // most))


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
            for name in ("own", "targets", "negatives", "expected"):
                assert torch.equal(getattr(batch, name), getattr(alone[members], name)), name
            assert batch.shard == alone[members].shard
            seen.append(members)
    assert sorted(seen) == sorted(alone)


def test_every_client_stands_in_one_batch_as_on_its_device() -> None:
    world = build_world({"client": {"batch_size": 3, "local_epochs": 2}}, LENGTHS)
    cohort, found = cut(world, np.arange(len(LENGTHS)))
    assert sorted(member for batch in found for member in batch.members) == list(range(len(cohort)))
    for batch in found:
        assert len(batch.members) == 1 or len(batch.members) * (batch.own.shape[1] + len(POOL)) <= BUDGET
        assert (np.diff(batch.steps) <= 0).all()
        for place, member in enumerate(batch.members):
            bought = cohort.own.row(member)
            assert batch.own[place, : len(bought)].tolist() == bought.tolist()
            assert (batch.own[place, len(bought) :] == -1).all()
            masks = split_batches(world.config, int(cohort.clients[member]), 1, len(bought))
            assert batch.steps[place] == len(masks)
            for step, mask in enumerate(masks):
                assert torch.equal(batch.targets[step, place, : len(bought)], mask)
            assert not batch.targets[len(masks) :, place].any()
            own = torch.isinf(batch.expected[place])
            assert own.tolist() == [item in bought for item in POOL]
            torch.testing.assert_close(batch.expected[place, ~own], torch.full((3,), np.log(3 / 60)).float()[~own])
