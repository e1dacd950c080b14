"""One client, written twice, proven once: `client.py` and `simulation.py` agree in every configuration there is."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import build_world, merged

from spfedrec_cli.config import validate
from spfedrec_cli.federated import client, simulation, strategies
from spfedrec_cli.federated.codec import MODULUS
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.ledger import Ledger
from spfedrec_cli.federated.request import draw_obfuscating
from spfedrec_cli.federated.state import State, World, initial_state

CHOICES: dict[str, list[dict[str, Any]]] = {
    "negatives": [
        {"client": {"negatives": "public"}},
        {"client": {"negatives": "public", "pool_size": 1000}},
        {"client": {"negatives": "request"}, "request": {"rate": 0.25}},
        {"client": {"negatives": "request"}, "request": {"rate": 1.0, "redraw": True}},
    ],
    "obfuscation": [{"request": {"negatives": "popularity"}}, {"request": {"negatives": "uniform"}}],
    "history": [{"model": {"history": kind}} for kind in ("none", "mean", "recency")],
    "private": [{"client": {"private_state": kind}} for kind in ("none", "embedding")],
    "logq": [{"client": {"logq": flag}} for flag in (True, False)],
    "excitation": [{"model": {"se_ratio": ratio}} for ratio in (0, 2)],
    "targets": [{"client": {"target_share": share}} for share in (0.3, 1.0)],
    "hidden": [{"model": {"hidden": widths}} for widths in ([], [8], [8, 8])],
    "sampling": [{"federated": {"sampling": kind}} for kind in ("fixed", "poisson")],
}


def every_configuration() -> list[Any]:
    """All values of negatives × obfuscation × history × private; the other choices in turn beside them."""
    crossed = list(itertools.product(*(CHOICES[name] for name in ("negatives", "obfuscation", "history", "private"))))
    others = [CHOICES[name] for name in ("logq", "excitation", "targets", "hidden", "sampling")]
    rows = []
    for number, row in enumerate(crossed):
        beside = [values[(number * (place + 1) + number // 7) % len(values)] for place, values in enumerate(others)]
        rows.append(pytest.param(merged(*row, *beside), id=str(number)))
    return rows


def both(world: World, state: State) -> tuple[CohortResult, Ledger, CohortResult, Ledger]:
    """One cohort's steps 2 to 6 by either engine, from the same state."""
    round_ = state.round + 1
    state = strategies.publish_popularity(state, world, Ledger(round_))
    clients = strategies.draw_cohort(world.config.federated, world.eligible, world.seed, round_)
    pool = strategies.draw_pool(world.config, world.n_items, round_)
    own, q = world.purchased.take(clients), strategies.obfuscating_distribution(state, world)
    hidden = draw_obfuscating(world.config.request, q, clients, own, world.seed, round_)
    rows = np.unique(np.concatenate([own.values, hidden.items.values, pool])).astype(np.int64)
    embeddings = strategies.server.serve(state.item, world.items, rows, 0.0, world.seed, round_).embeddings.detach()
    published = Published(round_, state.query, rows, embeddings, np.searchsorted(rows, pool), q)
    results: list[Any] = []
    for train in strategies.ENGINES.values():
        ledger = Ledger(round_)
        cohort = Cohort(clients, own, hidden, strategies.private_states(state, clients))
        results += [train(world, published, cohort, ledger), ledger]
    return tuple(results)  # type: ignore[return-value]


def signed(total: torch.Tensor) -> torch.Tensor:
    return (total + MODULUS // 2) % MODULUS - MODULUS // 2


def assert_equal(world: World, state: State, clients: int) -> CohortResult:
    fast, fast_ledger, plain, plain_ledger = both(world, state)
    assert fast_ledger == plain_ledger
    assert fast.sums.clients == plain.sums.clients
    torch.testing.assert_close(fast.losses, plain.losses, rtol=1e-5, atol=1e-6)
    if plain.private is not None:
        torch.testing.assert_close(fast.private, plain.private, rtol=1e-3, atol=1e-4)
    for ours, theirs in ((fast.sums.query, plain.sums.query), (fast.sums.items, plain.sums.items)):
        apart = (signed(ours) - signed(theirs)).abs()
        # One unit a client, where a float fell on either side of a half; and that in few places.
        assert int(apart.max()) <= clients
        assert float((apart > 0).float().mean()) < 0.1
    return plain


def trained_a_little(world: World, rounds: int = 2) -> State:
    """A state in which no weight is zero by initialisation."""
    state = initial_state(world)
    for _ in range(rounds):
        state, _ = strategies.split_round(state, world)
    return state


@pytest.mark.parametrize("setting", every_configuration())
def test_simulation_equals_reference(setting: dict[str, Any]) -> None:
    built = build_world(setting)
    plain = assert_equal(built, trained_a_little(built), len(built.eligible))
    assert int(plain.sums.query.count_nonzero()) > 0
    assert int(plain.sums.items.count_nonzero()) > 0


@given(st.lists(st.integers(0, 60), max_size=8).map(lambda rest: [4, *rest]), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_on_random_ragged_cohorts(lengths: list[int], seed: int) -> None:
    kind = {"client": {"negatives": ("public", "request")[seed % 2]}, "request": {"rate": 0.5}, "train": {"seed": seed}}
    built = build_world(kind, lengths, seed)
    assert_equal(built, trained_a_little(built, 1), len(built.eligible))


def test_clients_with_one_and_with_two_thousand_purchases() -> None:
    built = build_world({"client": {"negatives": "request"}}, [1, 2000, 3])
    assert_equal(built, initial_state(built), 3)


def test_saturated_coordinates_are_counted_alike() -> None:
    built = build_world({"federated": {"range_query": 0.001, "range_item": 0.01}})
    state = initial_state(built)
    fast, _, plain, _ = both(built, state)
    assert fast.sums.saturated == pytest.approx(plain.sums.saturated, abs=2)
    assert plain.sums.saturated > 100


def test_whole_rounds_agree() -> None:
    """Server steps included: after three rounds of either engine the towers are the same to rounding."""
    fast = build_world({"client": {"private_state": "embedding"}})
    plain = replace(fast, config=validate(merged(fast.config.model_dump(), {"train": {"engine": "reference"}})))
    one, two = trained_a_little(fast, 3), trained_a_little(plain, 3)
    for name in one.query:
        torch.testing.assert_close(one.query[name], two.query[name], rtol=1e-3, atol=1e-4)
    for name in one.item:
        torch.testing.assert_close(one.item[name], two.item[name], rtol=1e-2, atol=2e-3)
    torch.testing.assert_close(one.private, two.private, rtol=1e-3, atol=1e-4)


PERTURBATIONS = {
    "target split of the client": (client, "split_targets", lambda f: lambda c, i, r, n: f(c, i, r + 1, n)),
    "number of targets of the simulation": (simulation, "target_counts", lambda f: lambda s, n: f(s, n) + 1),
    "temperature of the simulation": (simulation, "query_tower", lambda f: lambda *a: f(*a) * 1.001),
    "query tower of the client": (client, "query_tower", lambda f: lambda *a: f(*a) * 1.001),
    "history of the client": (client, "history_weights", lambda f: lambda m, mask: f(m, mask) * 0.99),
    "rows of the simulation": (simulation, "_rows", lambda f: lambda e, p: f(e, p.roll(1, 0))),
}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbed_side_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    built = build_world({"client": {"negatives": "request"}, "request": {"rate": 1.0}})
    state = trained_a_little(built)
    module, attribute, change = PERTURBATIONS[name]
    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    with pytest.raises(AssertionError):
        assert_equal(built, state, len(built.eligible))
