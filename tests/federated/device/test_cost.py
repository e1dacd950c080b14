"""Multiply-adds and bytes of a client: by hand, against the weights there are, and against the ledger of a round."""

from typing import Any

import numpy as np
import pytest
from worlds import build_world, merged

from spfedrec_cli.config import Config, validate
from spfedrec_cli.federated.device import cost
from spfedrec_cli.federated.device.cost import Cost, Shapes, client_cost
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.model.towers import Sizes, flatten

SHAPES = Shapes(items=(50, 5), clients=(4, 3))


def small(strategy: str, **client: Any) -> Config:
    """d = 2, fields of 3, one hidden layer of 4, squeeze-and-excitation over two fields to one."""
    return validate(
        {
            "model": {"dim": 2, "field_dim": 3, "hidden": [4], "se_ratio": 2},
            "client": {"negatives": "request", "target_share": 0.5, **client},
            "request": {"rate": 0.25},
            "federated": {"strategy": strategy},
        }
    )


def test_towers_by_hand() -> None:
    """Query: excitation 2·1·2 = 4, layers (2·3 + 2)·4 = 32 and 4·2 = 8; biases 4 + 2. Item: no history, 6·4 = 24.
    Held: two fields of 3, and 4 + 2."""
    assert cost.query_tower(small("split"), SHAPES) == Sizes(tables=7 * 3, dense=44 + 6, forward=44, held=6 + 6)
    assert cost.item_tower(small("split"), SHAPES) == Sizes(tables=55 * 3, dense=36 + 6, forward=36, held=6 + 6)


def test_split_by_hand() -> None:
    """Eight purchases, four of them targets, two obfuscating items that are the negatives; one local step.

    Pooling 8·2 forward and back, tower 3·44, scores (4 + 2)·2 forward and twice back, step of 2 rows of 3 and 50.
    θ_u: 21 + 50 = 71 weights. Down: a broadcast (10 + 3·9 + 71·4) and ten embeddings (10 + 9 + 20·4).
    Up: a request (10 + 9 + 10·4) and an update (10 + 2·9 + (71 + 20)·4).
    """
    assert client_cost(small("split"), SHAPES, 8) == Cost(
        multiply_adds=2 * 16 + 3 * 44 + 3 * 12 + (6 + 50),
        bytes_down=(10 + 27 + 284) + (19 + 80),
        bytes_up=(19 + 40) + (28 + 364),
    )


def test_full_by_hand() -> None:
    """The same, and the item tower over ten candidates: 3·10·36, and the step of ten id rows, five types, and 42.

    θ_i: 165 + 42 = 207 weights. Down: both towers and no pool. Up: both towers.
    """
    assert client_cost(small("full"), SHAPES, 8) == Cost(
        multiply_adds=(2 * 16 + 3 * 44 + 3 * 12 + (6 + 50)) + (3 * 10 * 36 + (10 + 5) * 3 + 42),
        bytes_down=10 + 27 + (71 + 207) * 4,
        bytes_up=10 + 18 + (71 + 207) * 4,
    )


def test_local_steps_by_hand() -> None:
    """Two epochs of four targets in batches of three: four steps, eight targets in all."""
    once, again = (client_cost(small("full", **settings), SHAPES, 8) for settings in ({}, STEPS))
    a_step = 2 * 16 + 3 * 44 + 56 + 3 * 2 * 2 + 3 * 10 * 36 + 45 + 42
    assert once.multiply_adds == a_step + 3 * 4 * 2
    assert again.multiply_adds == 4 * a_step + 3 * 8 * 2
    assert (again.bytes_down, again.bytes_up) == (once.bytes_down, once.bytes_up)


STEPS = {"local_epochs": 2, "batch_size": 3}


def test_a_public_pool_by_hand() -> None:
    """Twenty public negatives: under `split` their embeddings and g_v cross, and the two obfuscating items stay
    negatives beside them; under `full` their ids alone cross."""
    public = {"negatives": "public", "pool_size": 20}
    split, full = (client_cost(small(name, **public), SHAPES, 8) for name in ("split", "full"))
    alone = [client_cost(small(name), SHAPES, 8) for name in ("split", "full")]
    assert split.bytes_down - alone[0].bytes_down == 20 * 4 + 20 * 2 * 4
    assert split.bytes_up - alone[0].bytes_up == 20 * 2 * 4
    assert (full.bytes_down - alone[1].bytes_down, full.bytes_up) == (20 * 4, alone[1].bytes_up)
    assert split.multiply_adds - alone[0].multiply_adds == 3 * 20 * 2
    assert full.multiply_adds - alone[1].multiply_adds == 3 * 18 * 2 + 3 * 18 * 36 + 18 * 3


def test_both_kinds_of_negatives_by_hand() -> None:
    """What twenty public negatives cost, the two obfuscating items being scored beside them in any case; under `full`
    those two are candidates as well: of 30 in all, every one of the five types is touched in any case."""
    split, full = (client_cost(small(name, negatives="both", pool_size=20), SHAPES, 8) for name in ("split", "full"))
    public = [client_cost(small(name, negatives="public", pool_size=20), SHAPES, 8) for name in ("split", "full")]
    assert split.multiply_adds == public[0].multiply_adds
    assert full.multiply_adds - public[1].multiply_adds == 3 * 2 * 2 + 3 * 2 * 36 + 2 * 3
    for one, other in zip((split, full), public, strict=True):
        assert (one.bytes_down, one.bytes_up) == (other.bytes_down, other.bytes_up)


def test_slates_by_hand() -> None:
    """Of 50 items 20 are published; a client uploads the gradients of those and asks for none. Its negatives are 20 in
    place of two."""
    public = {**small("split", negatives="public").model_dump(), "request": {"mode": "slate", "slate_size": 20}}
    assert client_cost(validate(public), SHAPES, 8) == Cost(
        multiply_adds=client_cost(small("split"), SHAPES, 8).multiply_adds + 3 * 18 * 2,
        bytes_down=(10 + 27 + 284) + (10 + 18 + 20 * 4 + 20 * 2 * 4),
        bytes_up=10 + 18 + (71 + 40) * 4,
    )


SETTINGS: dict[str, dict[str, Any]] = {
    "public": {},
    "request": {"client": {"negatives": "request"}, "request": {"rate": 1.0, "negatives": "uniform"}},
    "both": {"client": {"negatives": "both"}, "request": {"rate": 1.0, "negatives": "uniform"}},
    "no history, no excitation": {"model": {"history": "none", "se_ratio": 0, "hidden": [5, 6]}},
}


MODES = {
    "slate": {"request": {"mode": "slate", "slate_size": 99}},
    "catalogue": {"request": {"mode": "catalogue"}},
}
ROUNDS = [(strategy, settings) for strategy in cost.COSTS for settings in SETTINGS.values()]


@pytest.mark.parametrize("strategy, settings", [*ROUNDS, *(("split", mode) for mode in MODES.values())])
def test_shapes_have_the_weights_and_the_bytes_of_a_real_round(strategy: str, settings: dict[str, Any]) -> None:
    """Every client with its own purchases: together, what the second round's ledger says of the whole cohort."""
    world = build_world(merged(settings, {"federated": {"strategy": strategy, "cohort_size": 10}}))
    state = initial_state(world)
    for tower, weights in ((cost.query_tower, state.query), (cost.item_tower, state.item)):
        found = tower(world.config, world.shapes)
        assert found.tables + found.dense == flatten(weights).numel()
    state, _ = STRATEGIES[strategy](state, world)
    _, report = STRATEGIES[strategy](state, world)
    each = [
        client_cost(world.config, world.shapes, n)
        for n in world.devices.purchased.lengths[world.known.eligible].tolist()
    ]
    assert sum(one.bytes_down for one in each) == report.ledger.total("down")
    assert sum(one.bytes_up for one in each) == report.ledger.total("up")


def test_work_of_a_tower_against_a_count_of_its_products() -> None:
    """PyTorch's own count of the matrix products of the item tower, forward and back, twice as large: it counts
    multiplications and additions apart."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from spfedrec_cli.model.towers import item_tower

    world = build_world({"model": {"se_ratio": 2}})
    leaves = {name: weight.requires_grad_() for name, weight in initial_state(world).item.items()}
    with FlopCounterMode(display=False) as counter:
        item_tower(world.config.model, leaves, world.known.items.codes[:10], torch.ones(10)).sum().backward()
    assert counter.get_total_flops() == 2 * 3 * 10 * cost.item_tower(world.config, world.shapes).forward


def test_the_mean_work_counts_every_client() -> None:
    config = small("full")
    one, two = (client_cost(config, SHAPES, n).multiply_adds for n in (3, 8))
    assert cost.mean_work(config, SHAPES, np.array([8, 3, 8, 8])) == pytest.approx((one + 3 * two) / 4)
    assert cost.mean_work(small("central"), SHAPES, np.array([3])) == 0


def test_central_costs_clients_nothing_that_could_be_counted() -> None:
    with pytest.raises(KeyError):
        client_cost(small("central"), SHAPES, 8)
