"""The public pool: how often each item is in it, and that this is what a score is corrected for."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import build_world, entries

from spfedrec_cli.config import ClientConfig
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.sampling.pool import Pool, chance_of, draw_items, pool_chances
from spfedrec_cli.federated.simulation.beginning import publish_popularity
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.table import STRATEGIES

BY_POPULARITY = ClientConfig(pool="popularity", pool_size=4)


def test_chances_by_hand() -> None:
    """w = 1/16 + q/2. Four of eight: w = 5/16, and 7 · 1/16 + 1/4 = 11/16 for the others. 4 · 5/16 > 1: certain.
    Three are left for 11/16: 3/16 · 16/11 = 3/11 of the heavier ones, and 1/16 · 48/11 = 3/11 each of the rest."""
    q = np.array([4, 1, 1, 1, 1, 0, 0, 0]) / 8
    weights = 1 / 16 + q / 2
    found = pool_chances(BY_POPULARITY, q)
    assert found[0] == 1
    assert found[1:] == pytest.approx(3 * weights[1:] / weights[1:].sum())
    assert found.sum() == pytest.approx(4)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60).filter(any), st.integers(1, 70))
def test_a_pool_has_as_many_items_as_it_should(counts: list[int], size: int) -> None:
    """Chances add up to its size, none is above 1, a more popular item has no lower one; every draw is that large."""
    client, q = ClientConfig(pool="popularity", pool_size=size), np.array(counts) / sum(counts)
    chances = np.broadcast_to(pool_chances(client, q), len(q))
    assert chances.sum() == pytest.approx(min(size, len(q)))
    assert ((chances > 0) & (chances <= 1)).all()
    assert (np.diff(chances[np.argsort(q, kind="stable")]) >= -1e-12).all()
    for round_ in range(3):
        items = draw_items(client, q, 0, round_)
        assert len(items) == min(size, len(q))
        assert (np.diff(items) > 0).all()
        assert set(np.flatnonzero(chances >= 1)) <= set(items)


def test_items_come_as_often_as_their_chances_say() -> None:
    """To within five standard deviations of a binomial."""
    rounds, q = 4000, np.arange(40.0) ** 2
    q /= q.sum()
    chances, counts = pool_chances(BY_POPULARITY, q), np.zeros(40)
    for round_ in range(rounds):
        counts[draw_items(BY_POPULARITY, q, 3, round_)] += 1
    assert (np.abs(counts / rounds - chances) <= 5 * np.sqrt(chances * (1 - chances) / rounds)).all()
    assert chances.max() > 3 * chances.min()


def test_an_even_pool_has_one_chance() -> None:
    even, q = ClientConfig(pool_size=4), np.arange(1.0, 9)
    assert pool_chances(even, q) == 0.5
    assert chance_of(even, q, np.array([1, 7])) == 0.5
    assert chance_of(BY_POPULARITY, q, np.empty(0, np.int64)).shape == ()
    assert Pool.of(BY_POPULARITY, q / q.sum(), np.array([7, 0])).chance.tolist() == [
        pool_chances(BY_POPULARITY, q / q.sum())[item] for item in (7, 0)
    ]


@pytest.mark.parametrize(
    "rate, law, shipped", [(0.0, "popularity", True), (0.0, "uniform", False), (0.5, "uniform", True)]
)
def test_clients_are_sent_what_they_correct_by(rate: float, law: str, shipped: bool) -> None:
    """Without obfuscating items too, where the pool goes by popularity."""
    world = build_world({"client": {"pool": law}, "request": {"rate": rate}})
    channel = world.channel(1)
    publish_popularity(initial_state(world), world, channel)
    assert ("counts" in [entry["kind"] for entry in entries(channel)]) == shipped


@pytest.mark.parametrize("strategy", ["full", "central"])
def test_strategies_without_requests_learn_popularity_for_it(strategy: str) -> None:
    settings: dict[str, Any] = {"client": {"pool": "popularity", "pool_size": 9}, "federated": {"strategy": strategy}}
    world = build_world(settings)
    state, report = STRATEGIES[strategy](initial_state(world), world)
    assert state.popularity is not None
    assert ("counts" in [entry.kind for entry in report.ledger.entries]) == (strategy == "full")
    assert math.isfinite(report.loss)


def test_a_pool_by_popularity_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match=r"client.pool = popularity goes by") as refused:
        build_world({"client": {"pool": "popularity"}, "request": {"negatives": "uniform"}})
    assert "client.pool=uniform" in str(refused.value)
    build_world({"client": {"pool": "popularity", "negatives": "request"}, "request": {"negatives": "uniform"}})
