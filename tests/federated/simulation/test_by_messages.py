"""Devices that are computed at once send what they send one by one: the same messages, updates within a unit."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world, merged

from spfedrec_cli.audit.attacks.misled import fingerprints
from spfedrec_cli.federated.simulation.by_messages import train_by_messages
from spfedrec_cli.federated.simulation.state import State, initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire.channel import Crossing, End, Recorder
from spfedrec_cli.federated.wire.messages import ClientUpdate, Embeddings, MaskedUpdate, serialise

MODES: dict[str, dict[str, Any]] = {
    "public": {"client": {"negatives": "public"}},
    "request": {"client": {"negatives": "request"}, "request": {"redraw": True}},
    "both": {"client": {"negatives": "both", "pool_size": 1000}},
    "slate": {"client": {"negatives": "public"}, "request": {"mode": "slate", "slate_size": 12, "refresh": 3}},
    "catalogue": {"client": {"negatives": "public"}, "request": {"mode": "catalogue"}},
    "chains": {"federated": {"aggregation": "ring", "chain_length": 3}},
    "silent": {"federated": {"aggregation": "ring", "chain_length": 3, "dropout": 0.2}},
    "embedding": {"client": {"private_state": "embedding", "batch_size": 3}},
    "tower": {"client": {"private_state": "tower", "local_epochs": 2}},
}


class Liar:
    """Answers everybody with other rows than those that stand in the model, and each with its own."""

    def __call__(self, crossing: Crossing, data: bytes) -> bytes | None:
        answer = crossing.message
        if not isinstance(answer, Embeddings):
            return None
        assert isinstance(crossing.receiver, int)
        return serialise(replace(answer, rows=fingerprints(*answer.rows.shape, crossing.receiver, answer.round)))


def recorded(world: World, engine: Any, *ends: End) -> tuple[list[Crossing], State, Report]:
    train = world.config.train.model_copy(update={"engine": "reference"})
    known = replace(world.known, config=world.config.model_copy(update={"train": train}))
    recorder, state = Recorder(), initial_state(world)
    world = replace(world, known=known, ends=(recorder, *ends))
    for _ in range(2):
        state, report = split_round(state, world, engine)
    return recorder.crossings, state, report


def assert_alike(one: Crossing, two: Crossing) -> int:
    """Returns how many coordinates are a unit apart."""
    assert (one.sender, one.receiver, type(one.message)) == (two.sender, two.receiver, type(two.message))
    apart = 0
    for field in fields(one.message):
        ours, theirs = (np.asarray(getattr(each.message, field.name)) for each in (one, two))
        assert ours.shape == theirs.shape
        if isinstance(one.message, ClientUpdate):
            assert np.abs(ours.astype(np.int64) - theirs).max(initial=0) <= 1
            apart += np.count_nonzero(ours != theirs)
        elif ours.dtype == np.float32:
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
        elif not isinstance(one.message, MaskedUpdate):  # a unit in the update is a unit in the upload
            np.testing.assert_array_equal(ours, theirs)
    return apart


@pytest.mark.parametrize("lies", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_same_messages_cross(mode: str, lies: bool) -> None:
    world = build_world(merged({"federated": {"sampling": "fixed"}}, MODES[mode]))
    ends = [Liar()] if lies else []
    (plain, first, report), (fast, second, told) = (recorded(world, each, *ends) for each in (None, train_by_messages))
    assert len(plain) == len(fast)
    of_first = [[each for each in some if each.message.round == 1] for some in (plain, fast)]
    apart = sum(assert_alike(one, two) for one, two in zip(*of_first, strict=True))
    coordinates = sum(each.message.query.size + each.message.items.size for each in of_first[0] if is_update(each))
    assert apart <= 0.02 * coordinates
    assert report.clients == told.clients
    assert [each.bytes for each in report.ledger.entries] == [each.bytes for each in told.ledger.entries]
    for name in first.item:
        torch.testing.assert_close(first.item[name], second.item[name], rtol=1e-2, atol=2e-3)
    if first.private is not None:
        torch.testing.assert_close(first.private, second.private, rtol=1e-3, atol=1e-4)


def is_update(crossing: Crossing) -> bool:
    return isinstance(crossing.message, ClientUpdate)


@pytest.mark.parametrize("mode", ["public", "request"])
def test_a_device_trains_on_what_it_was_sent(mode: str) -> None:
    world = build_world(MODES[mode])
    honest, lied = (recorded(world, train_by_messages, *ends)[0] for ends in ([], [Liar()]))
    updates = [[each.message for each in some if is_update(each)] for some in (honest, lied)]
    assert all(not np.array_equal(one.items, two.items) for one, two in zip(*updates, strict=True))


def test_what_is_saturated_is_counted_alike() -> None:
    world = build_world({"federated": {"range_query": 0.001, "range_item": 0.01}})
    plain, fast = (recorded(world, each)[2] for each in (None, train_by_messages))
    assert plain.saturated > 100
    assert plain.saturated == pytest.approx(fast.saturated, abs=4)
