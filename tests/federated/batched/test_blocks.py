"""Blocks of a cohort: how they are cut, and that the cut changes rounding alone."""

from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world

from spfedrec_cli.federated import strategies
from spfedrec_cli.federated.batched import blocks, cohort
from spfedrec_cli.federated.client import target_counts
from spfedrec_cli.federated.exchange import Published
from spfedrec_cli.federated.state import initial_state
from spfedrec_cli.federated.strategies import split_round
from spfedrec_cli.model.towers import flatten


@pytest.fixture(autouse=True)
def batched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(strategies.ENGINES, "simulation", cohort.train_cohort)


def test_the_steps_of_clients() -> None:
    settings = {"batch_size": 3, "local_epochs": 2, "target_share": 0.7}
    lengths = np.array([1, 10, 11])
    counts = blocks.step_counts(build_world({"client": settings}).config.client, target_counts(0.7, lengths))
    assert counts.tolist() == [2 * 1, 2 * 3, 2 * 3]


def test_blocks_of_several_steps_put_longer_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits depend on the cohort alone: any cut gives the same integers but for rounding, and the same for one cut."""
    world = build_world({"client": {"batch_size": 2, "optimizer": "adam", "eps": 1e-3, "lr": 0.01}})
    one, _ = split_round(initial_state(world), world)
    again, _ = split_round(initial_state(world), world)
    assert torch.equal(flatten(one.query), flatten(again.query))
    monkeypatch.setattr(blocks, "BLOCK_CELLS", 1)
    other, _ = split_round(initial_state(world), world)
    torch.testing.assert_close(flatten(one.query), flatten(other.query), rtol=1e-3, atol=1e-4)


def test_blocks_are_cut_by_shard_then_length_then_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_CELLS", 1)  # one client a block
    monkeypatch.setattr(blocks, "_WORTH_A_BLOCK", 0)  # no bucket joins a longer one
    seen: list[int] = []
    inner = blocks._block

    def watched(world: strategies.World, published: Published, clients: np.ndarray, *rest: Any) -> Any:
        seen.extend(clients.tolist())
        return inner(world, published, clients, *rest)

    monkeypatch.setattr(blocks, "_block", watched)
    world = build_world({"train": {"shards": 2}}, lengths=[4, 1, 4, 4, 1, 4, 4])
    split_round(initial_state(world), world)
    assert seen == [4, 0, 2, 6, 1, 3, 5]
