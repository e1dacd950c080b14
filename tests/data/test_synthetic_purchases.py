from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.raw import Progress
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources.synthetic_customers import tastes
from spfedrec_cli.data.sources.synthetic_purchases import Shelves, Sold, make_purchases
from spfedrec_cli.data.sources.synthetic_world import make_world


def frame(sold: Sold) -> pd.DataFrame:
    return pd.DataFrame({"client": sold.client, "item": sold.item, "day": sold.day})


def flat_world(n: int, repeat: float, again: float) -> World:
    """So many equal items that an item is hardly ever drawn twice."""
    changes = {"clusters": 1, "season": 0.0, "repeat": repeat, "again": again, "purity": 0.0}
    entry = replace(make_world(0, 1000).entry, **changes)
    return World(entry, np.zeros(n, np.int32), np.ones(n), np.zeros(n))


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1, 1000)


@pytest.fixture(scope="module")
def sold(world: World) -> Sold:
    return make_purchases(1, world, 20_000)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_the_purchases_do_not_depend_on_the_block(block: int) -> None:
    world = make_world(3, 100)
    whole, parts = make_purchases(3, world, 150), make_purchases(3, world, 150, block)
    for column in ("client", "item", "day", "channel"):
        assert (getattr(whole, column) == getattr(parts, column)).all()


def test_the_same_customers_come_first_in_a_larger_shop() -> None:
    world = make_world(3, 100)
    few, many = (make_purchases(3, world, n) for n in (20, 40))
    kept = many.client < 20
    assert all((getattr(few, name) == getattr(many, name)[kept]).all() for name in ("client", "item", "day", "channel"))


def test_purchases_are_sorted_and_progress_is_told(world: World) -> None:
    told: list[Progress] = []
    sold = make_purchases(1, world, 100, 40, told.append)
    assert (np.diff(sold.client * 10**6 + sold.day) >= 0).all()
    assert [(one.stage, one.done, one.total) for one in told] == [("making purchases", n, 100) for n in (40, 80, 100)]
    assert told[-1].rows == len(sold.day)
    assert told[0].rows == (sold.client < 40).sum()


def test_later_copies_are_as_likely_as_stated() -> None:
    rows = frame(make_purchases(0, flat_world(200_000, 0.05, 0.0), 5000))
    first = rows.groupby(["client", "item"]).day.transform("min")
    could = rows.day > rows.groupby("client").day.transform("min")
    seen = rows.day > first
    assert not (seen & ~could).any()
    n = int(could.sum())
    assert abs(int(seen.sum()) - 0.05 * n) < 5 * np.sqrt(0.05 * 0.95 * n)
    assert (rows.duplicated() & ~seen).sum() < 20  # by chance


def test_a_purchase_that_copies_none_of_its_day_copies_earlier_ones_as_often_as_any_other() -> None:
    rows = frame(make_purchases(0, flat_world(200_000, 0.3, 1 / 10), 5000))
    today = rows.groupby(["client", "day"]).cumcount()
    many_before = rows.groupby("client").cumcount() - today > 100
    new_today = many_before & (today > 3) & ~rows.duplicated()
    seen = rows.day > rows.groupby(["client", "item"]).day.transform("min")
    # A little less than .3, since what was bought before may have been copied today already.
    assert seen[new_today].mean() == pytest.approx(0.29, abs=0.02)


def test_later_copies_are_drawn_uniformly_from_the_days_before() -> None:
    rows = frame(make_purchases(0, flat_world(200_000, 0.5, 0.0), 5000))
    place, size = rows.groupby("client").cumcount(), rows.groupby("client").client.transform("size")
    first = place.groupby([rows.client, rows["item"]]).transform("min")
    basket = place.groupby([rows.client, rows.day]).transform("min")
    second = (size > 20) & (basket > 5) & (first < basket)
    # Copies of copies favour early ones a little; all of the days before are nevertheless there.
    assert 0.3 < (first / basket)[second].mean() < 0.5
    assert ((first / basket)[second] > 0.9).mean() > 0.03


def test_copies_within_a_day_are_as_likely_as_stated() -> None:
    again = 1 / 38
    rows = frame(make_purchases(0, flat_world(200_000, 0.0, again), 20_000))
    today = rows.groupby(["client", "day"]).cumcount()
    chance = again * today / (1 + again * today)
    copies = rows.duplicated()
    assert abs(int(copies.sum()) - chance.sum()) < 5 * np.sqrt((chance * (1 - chance)).sum())
    assert not copies[today == 0].any()
    large = today > 10
    assert abs(int(copies[large].sum()) - chance[large].sum()) < 5 * np.sqrt(chance[large].sum())
    # The second of three is copied as often as the first, if it is none itself.
    third = rows[(today == 2) & copies].index
    of_first = (rows["item"].to_numpy()[third] == rows["item"].to_numpy()[third - 2]).mean()
    assert of_first == pytest.approx(0.5, abs=0.1)


def test_first_purchases_follow_the_stated_probabilities(world: World, sold: Sold) -> None:
    first = np.unique(sold.client, return_index=True)[1]  # always fresh
    client, item, week = sold.client[first], sold.item[first], world.week(sold.day[first])
    taste = tastes(1, world, client.astype(np.int64))
    expected = np.zeros(1000)
    everything = np.arange(1000, dtype=np.int32)
    for one in np.unique(week):
        own, rest = world.fresh(everything, int(one))
        per_cluster = np.bincount(taste[week == one], minlength=50)
        expected += per_cluster[world.cluster] * own + (week == one).sum() * rest
    counts = np.bincount(item, minlength=1000)
    often = expected > 5
    chi_square = float(((counts - expected) ** 2 / expected)[often].sum())
    # As many degrees of freedom as cells: standard deviation sqrt(2 n).
    assert abs(chi_square - often.sum()) < 5 * np.sqrt(2 * often.sum())
    own_share = (world.cluster[item] == taste).mean()
    assert own_share == pytest.approx(0.8 + 0.2 / 50, abs=0.02)


def test_articles_sell_in_their_season() -> None:
    flat = flat_world(1000, 0.0, 0.0)
    entry = replace(flat.entry, season=0.5)
    world = World(entry, flat.cluster, flat.popularity, np.arange(1000) / 1000)
    sold = make_purchases(0, world, 5000)
    part = world.week(sold.day) / 52 - world.phase[sold.item]
    # The mean of cos(x) under 1 + cos(x) / 2 is 1/4.
    assert np.cos(2 * np.pi * part).mean() == pytest.approx(0.25, abs=0.02)


def test_shelves_pick_by_inversion() -> None:
    world = make_world(0, 100)
    shelves, week = Shelves.of(world), np.full(3, 7)
    demand, own = world.demand(7), np.flatnonzero(world.cluster == 4)
    edges = np.cumsum(demand[own]) / demand[own].sum()
    cluster = np.full(3, 4)
    assert shelves.pick(week, cluster, np.array([1e-9, edges[0] + 1e-9, 1 - 1e-9])).tolist() == [
        own[0],
        own[1],
        own[-1],
    ]
    assert shelves.pick(week[:1], cluster[:1], np.array([1.0])).tolist() == [own[-1]]  # should rounding go up
    anything = shelves.pick(week, np.full(3, -1), np.array([1e-9, 0.5, 1 - 1e-9]))
    assert (anything[0], anything[2]) == (shelves.item[0], shelves.item[-1])


@pytest.fixture(scope="module")
def medium() -> pd.DataFrame:
    """30,000 customers buying from 20,000 articles."""
    return frame(make_purchases(0, make_world(0, 20_000), 30_000))


def test_rows_that_repeat_exactly(medium: pd.DataFrame) -> None:
    assert medium.duplicated().mean() == pytest.approx(0.094, abs=0.008)


def test_the_same_article_on_a_later_day(medium: pd.DataFrame) -> None:
    first = medium.groupby(["client", "item"]).day.transform("min")
    assert (medium.day > first).mean() == pytest.approx(0.038, abs=0.004)


def test_sales_keep_their_shape_in_a_smaller_catalogue(medium: pd.DataFrame) -> None:
    sales = np.sort(np.bincount(medium["item"], minlength=20_000))[::-1]
    scaled = sales * (31_788_324 / facts.ARTICLES) / sales.mean()
    assert np.median(scaled) == pytest.approx(65, rel=0.1)
    assert np.quantile(scaled, [0.9, 0.99]) == pytest.approx([793, 3185], rel=0.06)
    assert sales[:200].sum() / sales.sum() == pytest.approx(0.186, abs=0.01)
    assert sales[:2000].sum() / sales.sum() == pytest.approx(0.6, abs=0.03)


@pytest.mark.slow
def test_the_catalogue_at_full_size() -> None:
    """A fifth of the customers, all articles: what does not depend on the number of customers is as stated."""
    sold = make_purchases(0, make_world(0, facts.ARTICLES), 280_000)
    pair = np.stack([sold.client, sold.item]).astype(np.int64)
    key = (pair[0] * facts.ARTICLES + pair[1]) * facts.DAYS + (sold.day - facts.FIRST_DAY)
    key.sort()
    exact = np.append(False, np.diff(key) == 0)
    same = np.append(False, np.diff(key // facts.DAYS) == 0)
    group = np.maximum.accumulate(np.where(same, 0, np.arange(len(key))))
    later = key > key[group]
    assert exact.mean() == pytest.approx(0.094, abs=0.004)
    assert later.mean() == pytest.approx(0.038, abs=0.002)
