"""Whatever a table of results varies is a setting that is read: another value ends in other towers."""

from typing import Any

import pytest
from worlds import build_world, merged

from spfedrec_cli.federated.simulation.state import initial_state, state_tensors
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.run import digest

REQUEST = {"client": {"negatives": "request"}, "request": {"rate": 0.5}}
ABLATIONS: dict[str, dict[str, Any]] = {
    "no squeeze-and-excitation": {"model": {"se_ratio": 0}},
    "no item fields": {"model": {"item_fields": False}},
    "r = 1": {"model": {"se_ratio": 1}},
    "no history": {"model": {"history": "none"}},
    "recent history": {"model": {"history": "recency"}},
    "half-life": {"model": {"history": "recency", "half_life": 2.0}},
    "target share": {"client": {"target_share": 0.9}},
    "private embedding": {"client": {"private_state": "embedding"}},
    "temperature": {"model": {"temperature": 0.2}},
    "no logQ": {"client": {"logq": False}},
    "negatives of the request": REQUEST,
    "P": merged(REQUEST, {"request": {"rate": 2.0}}),
    "redrawn": merged(REQUEST, {"request": {"redraw": True}}),
    "popularity of the request": merged(REQUEST, {"request": {"negatives": "uniform"}}),
    "both kinds of negatives": {"client": {"negatives": "both"}, "request": {"rate": 0.5}},
    "both kinds, no logQ": {"client": {"negatives": "both", "logq": False}, "request": {"rate": 0.5}},
    "both kinds, half the pool": {"client": {"negatives": "both", "pool_size": 10}, "request": {"rate": 0.5}},
    "dim": {"model": {"dim": 4}},
    "local epochs": {"client": {"local_epochs": 3}},
    "pool": {"client": {"pool_size": 5}},
    "bce": {"client": {"loss": "bce"}},
    "bpr": {"client": {"loss": "bpr"}},
}


def learned(settings: dict[str, Any]) -> str:
    """The hash of the towers after two rounds, from one start."""
    world = build_world(settings)
    state = initial_state(world)
    for _ in range(2):
        state, _ = split_round(state, world)
    return digest({name: tensor for name, tensor in state_tensors(state).items() if "moments" not in name})


def test_each_ablation_learns_something_of_its_own() -> None:
    reached = {name: learned(settings) for name, settings in {"base": {}, **ABLATIONS}.items()}
    assert len(set(reached.values())) == len(reached)


@pytest.mark.parametrize("name", ABLATIONS)
def test_each_ablation_lowers_its_own_loss(name: str) -> None:
    world = build_world(merged(ABLATIONS[name], {"federated": {"cohort_size": 9}}))
    state, losses = initial_state(world), []
    for _ in range(40):
        state, report = split_round(state, world)
        losses.append(report.loss)
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
