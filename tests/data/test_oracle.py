from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.purchases import Purchases, merge
from spfedrec_cli.data.rows import Rows
from spfedrec_cli.data.schema import OracleEntry

ENTRY = OracleEntry(clusters=2, purity=0.8, repeat=0.1, again=0.3, season=0.5, first_day=100, weeks=30)
WORLD = World(
    ENTRY,
    cluster=np.array([0, 1, 0, 1, 1], np.int32),
    popularity=1 / np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
    phase=np.array([0.0, 0.25, 0.5, 0.1, 0.9]),
)
FLAT = World(replace(ENTRY, season=0.0), WORLD.cluster, WORLD.popularity, WORLD.phase)
Row = tuple[int, int, int]


def purchases(rows: list[Row]) -> Purchases:
    client, item, time = np.array(rows, np.int32).reshape(-1, 3).T
    return merge(Rows(client, item, time, np.full(len(rows), np.nan, np.float32)))[0]


def test_a_client_without_history_gets_the_average_taste() -> None:
    scores = FLAT.predict(purchases([]), np.array([7]), 150)[0]
    # Cluster 0 holds popularity 1 + 1/3 = 4/3, cluster 1 holds 1/2 + 1/4 + 1/5 = 19/20; together 137/60.
    own = np.array([1 / (4 / 3), (1 / 2) / (19 / 20), (1 / 3) / (4 / 3), (1 / 4) / (19 / 20), (1 / 5) / (19 / 20)])
    expected = 0.5 * 0.8 * own + 0.2 * WORLD.popularity / (137 / 60)
    assert scores == pytest.approx(expected, rel=1e-6)


def test_one_purchase_by_hand() -> None:
    scores = FLAT.predict(purchases([(0, 2, 101)]), np.array([0]), 150)[0]
    # Item 2 is in cluster 0: p(2 | 0) = .8 * (1/3)/(4/3) + .2 * (1/3)/(137/60), p(2 | 1) is the second term alone.
    rest = 0.2 * (1 / 3) / (137 / 60)
    first = (0.8 / 4 + rest) / (0.8 / 4 + 2 * rest)
    fresh = first * 0.8 * (1 / 3) / (4 / 3) + rest
    assert scores[2] == pytest.approx(0.1 * 1 + 0.9 * fresh, rel=1e-6)
    assert scores.sum() == pytest.approx(1, rel=1e-6)


def test_a_second_one_on_the_same_day_says_less_than_another_day_would() -> None:
    def own(days: list[int]) -> float:
        return float(FLAT.predict(purchases([(0, 2, day) for day in days]), np.array([0]), 150)[0][0])

    # Cluster 0 grows more likely with each purchase of item 2, and so does item 0: p = .2 + .2 * (1/3)/(137/60).
    rest = 0.2 * (1 / 3) / (137 / 60)
    odds = (0.2 + rest) / rest * (0.2 + rest + 0.3) / (rest + 0.3)
    expected = 0.9 * (odds / (1 + odds) * 0.8 / (4 / 3) + 0.2 / (137 / 60))
    assert own([101, 101]) == pytest.approx(expected, rel=1e-6)
    assert own([101]) < own([101, 101]) < own([101, 108])


def brute_force(world: World, rows: list[Row], day: int) -> np.ndarray:
    """Bayes' rule over the clusters, one purchase after the other, as the module's docstring states the world."""
    entry = world.entry

    def fresh(item: int, taste: int, day: int) -> float:
        week = (day - entry.first_day) // 7
        demand = world.popularity * (1 + entry.season * np.cos(2 * np.pi * (week / 52 - world.phase)))
        own = demand[item] / demand[world.cluster == taste].sum() if world.cluster[item] == taste else 0.0
        return float(entry.purity * own + (1 - entry.purity) * demand[item] / demand.sum())

    def drawn(item: int, taste: int, day: int, earlier: list[int]) -> float:
        if not earlier:
            return fresh(item, taste, day)
        copied = earlier.count(item) / len(earlier)
        return entry.repeat * copied + (1 - entry.repeat) * fresh(item, taste, day)

    def chance(item: int, taste: int, day: int, earlier: list[int], today: list[int]) -> float:
        if not today:
            return drawn(item, taste, day, earlier)
        again = entry.again * len(today) / (1 + entry.again * len(today))
        return again * today.count(item) / len(today) + (1 - again) * drawn(item, taste, day, earlier)

    weights = np.ones(entry.clusters)
    for place, (_, item, when) in enumerate(rows):
        earlier = [other for _, other, before in rows if before < when]
        today = [other for _, other, before in rows[:place] if before == when]
        weights *= [chance(item, taste, when, earlier, today) for taste in range(entry.clusters)]
    weights /= weights.sum()
    bought = [item for _, item, _ in rows]
    return np.array(
        [
            sum(weights[taste] * drawn(item, taste, day, bought) for taste in range(entry.clusters))
            for item in range(len(world.cluster))
        ]
    )


DAYS = st.sampled_from([100, 101, 150, 290])
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), DAYS), max_size=15)


@given(ROWS, st.sampled_from([0.0, 0.3, 5.0]))
def test_the_prediction_agrees_with_brute_force(rows: list[Row], again: float) -> None:
    world = World(replace(ENTRY, again=again), WORLD.cluster, WORLD.popularity, WORLD.phase)
    scores = world.predict(purchases(rows), np.array([2, 0, 1, 0]), 300)
    for place, client in enumerate([2, 0, 1, 0]):
        expected = brute_force(world, [row for row in rows if row[0] == client], 300)
        assert scores[place] == pytest.approx(expected, rel=1e-5)
        assert expected.sum() == pytest.approx(1)


@given(ROWS)
def test_one_client_alone_is_predicted_as_among_others(rows: list[Row]) -> None:
    together = WORLD.predict(purchases(rows), np.array([0, 1, 2]), 300)
    alone = WORLD.predict(purchases(rows), np.array([1]), 300)
    assert together[1] == pytest.approx(alone[0])


def test_seasons_average_to_one_over_a_year() -> None:
    year = np.mean([WORLD.demand(week) for week in range(52)], axis=0)
    assert year == pytest.approx(WORLD.popularity)


def test_a_world_survives_its_table() -> None:
    again = World.from_table(ENTRY, WORLD.to_table())
    assert (again.cluster == WORLD.cluster).all()
    assert (again.totals == WORLD.totals).all()


def test_a_world_of_an_earlier_version_drew_the_purchases_of_a_day_independently() -> None:
    said = {name: value for name, value in asdict(ENTRY).items() if name != "again"}
    entry = TypeAdapter(OracleEntry).validate_python({**said, "zipf": 1.0})
    assert entry.again == 0
