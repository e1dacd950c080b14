"""Every row of the table of towers, and one that stands outside of the package."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from worlds import build_world, features, merged, seeded

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.simulation.state import State, initial_state, state_tensors
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.model import towers
from spfedrec_cli.model.architecture import Tower
from spfedrec_cli.model.architectures import TOWERS
from spfedrec_cli.model.features import Features

FIELDS = {"id": 6, "type": 3, "colour": 4}


def model(name: str, **settings: Any) -> ModelConfig:
    chosen = {"dim": 4, "field_dim": 3, "hidden": (5,), "query_tower": name, "item_tower": name}
    return ModelConfig(**(chosen | settings))


def fields() -> Features:
    return features(np.random.default_rng(0), 6, FIELDS)


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("history", ["none", "mean"])
class TestEveryTower:
    def test_many_are_one_and_one(self, name: str, history: str) -> None:
        shape, pooled = model(name, history=history), torch.randn(6, 4, generator=seeded())
        weights = towers.init_query_tower(shape, fields(), 0)
        many = towers.query_tower(shape, weights, fields().codes, pooled)
        for row in range(6):
            one = towers.query_tower(shape, weights, fields().codes[row], pooled[row])
            torch.testing.assert_close(one, many[row])

    def test_weights_of_each_client(self, name: str, history: str) -> None:
        shape, pooled = model(name, history=history), torch.randn(6, 4, generator=seeded())
        shared = towers.init_query_tower(shape, fields(), 0)
        each = {k: weight + torch.randn(6, *weight.shape, generator=seeded()) for k, weight in shared.items()}
        together = towers.query_tower(shape, each, fields().codes, pooled)
        for row in range(6):
            alone = {k: weight[row] for k, weight in each.items()}
            one = towers.query_tower(shape, alone, fields().codes[row], pooled[row])
            torch.testing.assert_close(together[row], one, rtol=1e-4, atol=1e-5)

    def test_its_sizes_are_those_of_its_weights(self, name: str, history: str) -> None:
        shape = model(name, history=history)
        for sizes, init in (
            (towers.query_sizes, towers.init_query_tower),
            (towers.item_sizes, towers.init_item_tower),
        ):
            weights, told = init(shape, fields(), 0), sizes(shape, list(FIELDS.values()))
            assert told.tables == towers.flatten(towers.tables(weights)).numel() == 13 * 3
            assert told.dense == towers.flatten(towers.dense(weights)).numel()
            assert told.held >= 3 * 3 + 4

    def test_its_multiply_adds_are_those_of_torch(self, name: str, history: str) -> None:
        shape = model(name, history=history)
        weights = towers.init_query_tower(shape, fields(), 0)
        with FlopCounterMode(display=False) as counter:
            towers.query_tower(shape, weights, fields().codes, torch.randn(6, 4, generator=seeded()))
        assert counter.get_total_flops() == 2 * 6 * towers.query_sizes(shape, list(FIELDS.values())).forward

    def test_it_starts_by_the_seed(self, name: str, history: str) -> None:
        first, second, again = (
            towers.flatten(towers.init_query_tower(model(name, history=history), fields(), seed)) for seed in (0, 1, 0)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, second)


def test_linear_by_hand() -> None:
    """Two fields of one number each, 2 and -3, through W = (1, 0; 0, 2) and b = (0, 2): (2, -4)."""
    weights = {
        "field.a": torch.tensor([[0.0], [2.0]]),
        "field.b": torch.tensor([[0.0], [-3.0]]),
        "mlp.0.weight": torch.tensor([[1.0, 0.0], [0.0, 2.0]]),
        "mlp.0.bias": torch.tensor([0.0, 2.0]),
    }
    embedded = towers.item_tower(model("linear", dim=2, field_dim=1), weights, torch.tensor([[1, 1]]))
    torch.testing.assert_close(embedded, torch.tensor([[2.0, -4.0]]) / 20**0.5)


def summed(dense: towers.Weights, pooled: torch.Tensor, history: torch.Tensor | None) -> torch.Tensor:
    """The mean of the fields, scaled number by number: e = d, and no history enters."""
    return pooled.mean(-2) * dense["scale"]


OUTSIDE = Tower(
    shapes=lambda model, fields, history: {"scale": (model.dim,)},
    apply=summed,
    held=lambda model, fields: fields * model.field_dim + model.dim,
)
BOTH = {"model": {"query_tower": "summed", "item_tower": "summed", "dim": 4}}


def trained(settings: dict[str, Any]) -> tuple[State, State]:
    """The state at the start, apart from what rounds write into, and after two rounds."""
    world = build_world(settings)
    start, state = initial_state(world), initial_state(world)
    for _ in range(2):
        state, _ = STRATEGIES[world.config.federated.strategy](state, world)
    return start, state


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_tower_from_outside_of_the_package_trains(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row in the table; what it has of weights moves, on devices and on the server."""
    monkeypatch.setitem(TOWERS, "summed", OUTSIDE)
    start, state = trained(merged(BOTH, {"federated": {"strategy": strategy}, "train": {"engine": "reference"}}))
    assert list(state.query) == ["field.age", "field.status", "scale"]
    assert list(state.item) == ["field.id", "field.type", "field.colour", "scale"]
    before, after = state_tensors(start), state_tensors(state)
    for name in (f"{whose}/{weight}" for whose in ("query", "item") for weight in getattr(state, whose)):
        assert not torch.equal(before[name], after[name]), name
        assert after[name].isfinite().all()


def test_either_engine_trains_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """`full` differentiates whatever stands in the table."""
    monkeypatch.setitem(TOWERS, "summed", OUTSIDE)
    one, two = (
        trained(merged(BOTH, {"federated": {"strategy": "full"}, "train": {"engine": engine}}))[1]
        for engine in ("reference", "simulation")
    )
    for name, weight in state_tensors(one).items():
        torch.testing.assert_close(weight, state_tensors(two)[name], rtol=1e-3, atol=1e-4)


def test_what_is_not_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOWERS, "summed", OUTSIDE)
    with pytest.raises(InputError, match=r"no compiled form of .* = summed") as refused:
        build_world(merged(BOTH, {"train": {"engine": "simulation"}}))
    assert refused.value.hint == "set train.engine=reference"
    build_world({"model": {"item_tower": "summed", "dim": 4}})  # on the server it goes by autograd


@pytest.mark.parametrize("setting", ["query_tower", "item_tower"])
def test_a_name_that_is_not_there(setting: str) -> None:
    with pytest.raises(InputError, match="no tower 'liner'") as refused:
        build_world({"model": {setting: "liner"}})
    assert refused.value.where == f"model.{setting}"
    assert refused.value.hint == "did you mean 'linear'?"


def test_a_dense_weight_with_the_name_of_a_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optimisers would take it for rows of a field."""
    monkeypatch.setitem(TOWERS, "summed", replace(OUTSIDE, shapes=lambda model, fields, history: {"field.x": (4,)}))
    with pytest.raises(ValueError, match=r"name of a table: field\.x"):
        towers.init_item_tower(model("summed"), fields(), 0)
