import numpy as np
import pytest

from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources.synthetic_customers import Rows, make_rows, sizes, tastes
from spfedrec_cli.data.sources.synthetic_world import make_world

N = 20_000
CUSTOMERS = np.arange(N)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return make_rows(0, CUSTOMERS)


@pytest.fixture(scope="module")
def baskets(rows: Rows) -> np.ndarray:
    """(3, n): client, day counted from 0, and size of every basket, in order."""
    moments, size = np.unique(rows.client * facts.DAYS + rows.day - facts.FIRST_DAY, return_counts=True)
    return np.stack([moments // facts.DAYS, moments % facts.DAYS, size])


def test_rows_are_sorted_and_counted(rows: Rows) -> None:
    assert (np.bincount(rows.client, minlength=N) == sizes(0, CUSTOMERS)).all()
    assert (np.diff(rows.client * 10**6 + rows.day) >= 0).all()
    assert (rows.nth == np.arange(len(rows.nth)) - rows.start).all()
    assert (rows.start == np.searchsorted(rows.client, rows.client)).all()


def test_some_never_bought() -> None:
    size = sizes(0, np.arange(500_000))
    assert (size == 0).mean() == pytest.approx(0.0071, abs=0.0006)
    # Whoever they are: of the others as many bought one thing as of all (see PURCHASES: 1.5 is its .1565 quantile).
    assert (size[size > 0] == 1).mean() == pytest.approx(0.1565, abs=0.0026)


def test_baskets(baskets: np.ndarray) -> None:
    size = baskets[2]
    assert size.mean() == pytest.approx(3.6, abs=0.25)
    assert np.median(size) == 2
    assert np.quantile(size, 0.9) == pytest.approx(8, abs=1)


def test_days_between_purchases(baskets: np.ndarray) -> None:
    gaps = np.diff(baskets[1])[np.diff(baskets[0]) == 0]
    assert np.median(gaps) == pytest.approx(22, abs=2)
    assert np.quantile(gaps, 0.25) == pytest.approx(7, abs=1.5)
    # H&M's is 125: the made-up customers pause longer.
    assert np.quantile(gaps, 0.9) == pytest.approx(125, rel=0.25)


def test_the_last_week(baskets: np.ndarray) -> None:
    last = np.unique(baskets[0][baskets[1] >= facts.DAYS - 7])
    before = np.unique(baskets[0][baskets[1] < facts.DAYS - 7])
    assert len(last) / N == pytest.approx(0.0503, abs=0.008)
    assert np.isin(last, before, invert=True).mean() == pytest.approx(0.081, abs=0.03)


def test_volume_has_a_season_and_no_trend(rows: Rows) -> None:
    days = rows.day - facts.FIRST_DAY
    assert (days.min(), days.max()) == (0, facts.DAYS - 1)
    midsummer = (np.datetime64("2019-06-22") - np.datetime64("1970-01-01")).astype(int)
    angle = np.exp(-2j * np.pi * (rows.day - midsummer) / 365.25).mean()
    # The mean of cos under 1 + a cos is a / 2; with no other part, its angle is 0.
    assert 2 * angle == pytest.approx(0.21, abs=0.03)
    # The period is four days longer than two years, which have the same volume.
    first = (days < 365).sum() / (days >= 369).sum()
    assert first == pytest.approx(1, abs=0.04)


def test_channels(rows: Rows) -> None:
    assert set(rows.channel) == {1, 2}
    assert (rows.channel == 2).mean() == pytest.approx(0.704, abs=0.012)
    online = (np.bincount(rows.client, rows.channel - 1, N) / np.maximum(np.bincount(rows.client, minlength=N), 1))[
        np.bincount(rows.client, minlength=N) > 4
    ]
    assert (online == 1).mean() > 0.3
    assert (online == 0).mean() > 0.08


def test_a_customer_alone_is_the_same_as_among_others(rows: Rows) -> None:
    for some in (np.array([17]), np.arange(300, 340)):
        alone, kept = make_rows(0, some), np.isin(rows.client, some)
        assert (some[alone.client] == rows.client[kept]).all()
        for column in ("nth", "day", "channel"):
            assert (getattr(alone, column) == getattr(rows, column)[kept]).all()


def test_tastes_are_equally_likely() -> None:
    counts = np.bincount(tastes(0, make_world(0, 1000), CUSTOMERS), minlength=50)
    # Of 50 equally likely: 400 each, standard deviation 20.
    assert abs(counts - 400).max() < 100


def test_what_a_customer_does_is_drawn_apart(rows: Rows) -> None:
    """Of customers with one day of purchases: how much, what taste, which channel, and when do not go together."""
    once = np.flatnonzero(
        (rows.nth == 0) & (np.bincount(rows.client, rows.day != rows.day[rows.start], N) == 0)[rows.client]
    )
    taste = tastes(0, make_world(0, 1000), CUSTOMERS)[rows.client[once]]
    size = sizes(0, CUSTOMERS)[rows.client[once]]
    correlation = np.corrcoef([np.log(size), taste, rows.channel[once], rows.day[once]]) - np.eye(4)
    assert len(once) > 5000
    assert abs(correlation).max() < 5 / np.sqrt(len(once))


def test_nobody_and_somebody_who_never_bought() -> None:
    never = CUSTOMERS[sizes(0, CUSTOMERS) == 0]
    assert len(make_rows(0, never).day) == 0
    assert len(make_rows(0, never[:0]).day) == 0


def test_the_seed_changes_every_stream(rows: Rows) -> None:
    world, other = make_world(0, 1000), make_rows(1, CUSTOMERS)
    assert (sizes(0, CUSTOMERS) == sizes(1, CUSTOMERS)).mean() < 0.2
    assert ((sizes(0, CUSTOMERS) == 0) != (sizes(1, CUSTOMERS) == 0)).any()
    assert (tastes(0, world, CUSTOMERS) == tastes(1, world, CUSTOMERS)).mean() < 0.1
    firsts = [made.day[made.nth == 0][:1000] for made in (rows, other)]
    assert (firsts[0] == firsts[1]).mean() < 0.05
    assert (rows.channel[rows.nth == 0][:1000] == other.channel[other.nth == 0][:1000]).mean() < 0.8
