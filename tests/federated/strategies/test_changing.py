"""Features that change by round: every strategy and engine goes by those of its round."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from worlds import Aging, build_world, merged, told_otherwise

from spfedrec_cli.federated.simulation.state import State, initial_state, state_tensors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.model.features import Features

STATUS = {"whose": "query", "last": "field.status"}
COLOUR = {"whose": "item", "last": "field.colour"}


def aging(features: Features) -> Aging:
    return Aging(features.names, features.cardinalities, features.codes)


def a_world(strategy: str, engine: str) -> World:
    """Whose customers have a status, and whose items a colour, that is the number of the round."""
    world = build_world(merged({"federated": {"strategy": strategy}, "train": {"engine": engine}}))
    devices = replace(world.devices, fields=aging(world.devices.fields))
    return replace(told_otherwise(world, items=aging(world.known.items)), devices=devices)


@pytest.mark.parametrize("engine", ["simulation", "reference"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("table", [STATUS, COLOUR], ids=["clients", "items"])
def test_a_round_trains_the_rows_of_its_features(strategy: str, engine: str, table: dict[str, Any]) -> None:
    world = a_world(strategy, engine)
    assert row_moved(world, initial_state(world), table) == [1]
    after, _ = STRATEGIES[strategy](initial_state(world), world)
    assert 2 in row_moved(world, after, table)


def row_moved(world: World, state: State, table: dict[str, Any]) -> list[int]:
    """Which rows of a table the next round moves."""
    weights = getattr(state, table["whose"])[table["last"]]
    before = weights.clone()
    after, _ = STRATEGIES[world.config.federated.strategy](state, world)
    return (getattr(after, table["whose"])[table["last"]] != before).any(1).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("strategy", ["split", "full"])
def test_both_engines_agree(strategy: str) -> None:
    ends = []
    for engine in ("simulation", "reference"):
        world = a_world(strategy, engine)
        state = initial_state(world)
        for _ in range(2):
            state, _ = STRATEGIES[strategy](state, world)
        ends.append(state_tensors(state))
    for name, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][name], rtol=1e-3, atol=1e-3)


def test_fields_cross_anew_where_they_changed() -> None:
    """Colours go up to 3, in round 3: sent in rounds 1, 2 and 3, and not in round 4."""
    world, sent = a_world("full", "simulation"), []
    state = initial_state(world)
    for _ in range(4):
        state, report = STRATEGIES["full"](state, world)
        sent.append(sum(each.count for each in report.ledger.entries if each.kind == messages.ItemFields.kind))
    assert sent == [len(world.known.eligible)] * 3 + [0]
