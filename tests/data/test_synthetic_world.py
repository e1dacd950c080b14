import numpy as np
import pytest

from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources.synthetic_world import WEEKS, cents, make_world, purity, repeat


def test_the_last_week_of_the_world_is_the_week_of_the_test() -> None:
    world = make_world(0, 100)
    assert WEEKS == world.entry.weeks == 105
    assert world.week(facts.LAST_DAY) == 104
    assert world.week(facts.LAST_DAY - 6) == 104
    assert world.week(facts.LAST_DAY - 7) == 103
    assert world.week(facts.FIRST_DAY) == 0


def test_popularity_is_the_curve_of_sales_in_any_size() -> None:
    for n in (20, 1000, 20_000):
        popularity = np.sort(make_world(0, n).popularity)
        assert popularity == pytest.approx(facts.SALES((np.arange(n) + 0.5) / n))


def test_clusters_share_the_popular_articles() -> None:
    world = make_world(0, 1000)
    rank = np.empty(1000, np.int64)
    rank[np.argsort(-world.popularity)] = np.arange(1000)
    for first in range(0, 1000, 50):
        assert sorted(world.cluster[(rank >= first) & (rank < first + 50)]) == list(range(50))
    assert abs(np.corrcoef(world.cluster, rank % 50)[0, 1]) < 0.15


@pytest.mark.parametrize(
    "items, clusters", [(20, 2), (200, 20), (1000, 50), (20_000, 50), (79_900, 100), (105_542, 132), (200_000, 132)]
)
def test_the_number_of_clusters(items: int, clusters: int) -> None:
    entry = make_world(0, items).entry
    assert entry.clusters == clusters
    assert entry.purity == purity(items / clusters)


def test_taste_is_weaker_in_larger_clusters() -> None:
    assert purity(10) == purity(20) == 0.8
    # .8 * (20 / 640)^.4 = .8 * 2^-2
    assert purity(640) == pytest.approx(0.2)


def test_prices_are_whole_steps_with_discounts() -> None:
    made = cents(0, 5000)
    assert made.shape == (5000, WEEKS)
    assert made.dtype == np.int16
    base = made.max(axis=1)
    assert set(base) <= set(facts.PRICES.values)
    # 79 % at full price; every discount is a whole share, rounded down.
    assert (made == base[:, None]).mean() == pytest.approx(0.79, abs=0.005)
    assert ((made == base[:, None] // 2).mean()) == pytest.approx(0.01, abs=0.003)
    assert np.median(base) == 1499
    assert (base == 1999).mean() == pytest.approx(0.13, abs=0.02)


def test_the_seed_changes_every_stream() -> None:
    one, two = make_world(0, 100), make_world(1, 100)
    for column in ("cluster", "popularity", "phase"):
        assert (getattr(one, column) != getattr(two, column)).any()
    assert (cents(0, 100).max(axis=1) != cents(1, 100).max(axis=1)).any()
    assert ((cents(0, 100) < 199) != (cents(1, 100) < 199)).any()


def test_planted_repeats_are_what_chance_leaves() -> None:
    """Two articles a cluster, popularity 3 and 1: in the own cluster two purchases meet with (9 + 1) / 16 = .625."""
    popularity, cluster = np.array([3.0, 1.0, 3.0, 1.0]), np.array([0, 0, 1, 1], np.int32)
    # Among all, 2 * (9 + 1) / 64 = .3125. Chance leaves nothing.
    assert repeat(popularity, cluster, 0.8) == 0.005
    # 2,000 such clusters: purity .01 of .625, and else 2,000 * 10 / 8000^2 = .0003125.
    many = np.tile([3.0, 1.0], 2000), np.repeat(np.arange(2000, dtype=np.int32), 2)
    meet = 0.0001 * 0.625 + 0.9999 * 0.0003125
    assert repeat(*many, 0.01) == pytest.approx((0.038 - 28 * meet) / (5 / 6))
    assert repeat(*many, 0.02) < repeat(*many, 0.01)
