import numpy as np
import pytest

from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources.synthetic_facts import Curve, Shares


def test_a_curve_passes_through_its_points_and_is_a_power_of_the_rest_between() -> None:
    curve = Curve(((0, 1), (0.5, 4), (0.9, 100)))
    assert curve(np.array([0, 0.5, 0.9, 0.99])) == pytest.approx([1, 4, 100, 100])
    # Half way between 0 and .5 in -log(1 - u) is u = 1 - sqrt(1/2); the value is then sqrt(1 * 4) = 2.
    assert curve(np.array([1 - np.sqrt(0.5)])) == pytest.approx([2])


def test_shares_are_cut_at_their_sums() -> None:
    shares = Shares((("a", 1), (None, 3)))
    assert shares.values == ("a", None)
    assert shares(np.array([0.001, 0.249, 0.25, 0.999])).tolist() == [0, 0, 1, 1]


def test_the_period() -> None:
    assert np.datetime64("1970-01-01") + facts.FIRST_DAY == np.datetime64("2018-09-20")
    assert np.datetime64("1970-01-01") + facts.LAST_DAY == np.datetime64("2020-09-22")


def test_purchases_have_the_stated_quantiles_and_mean() -> None:
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    purchases = np.maximum(np.rint(facts.PURCHASES(u)), 1)
    assert np.quantile(purchases, [0.25, 0.5, 0.75, 0.9, 0.99]).tolist() == [3, 9, 26, 60, 187]
    assert purchases.mean() == pytest.approx(23.3, rel=0.01)
    assert facts.PURCHASES(np.array([1 - 2.0**-33])) == pytest.approx([1895])


def test_sales_have_the_stated_quantiles_and_concentration() -> None:
    rank = np.arange(facts.ARTICLES)
    sales = facts.SALES(1 - (rank + 0.5) / facts.ARTICLES)
    assert np.quantile(sales, [0.5, 0.9, 0.99]) == pytest.approx([65, 793, 3185], rel=0.01)
    assert sales[0] == pytest.approx(50_287, rel=0.001)
    assert sales.mean() == pytest.approx(31_788_324 / facts.ARTICLES, rel=0.02)
    assert sales[:1055].sum() / sales.sum() == pytest.approx(0.186, abs=0.005)
    assert sales[:10_554].sum() / sales.sum() == pytest.approx(0.60, abs=0.005)
    # An article that is expected to sell m times remains unsold with probability e^-m.
    assert np.exp(-sales).mean() == pytest.approx(1 - 104_547 / facts.ARTICLES, abs=0.003)


def test_online_shares_average_to_the_stated_one() -> None:
    u = (np.arange(10_000) + 0.5) / 10_000
    assert np.interp(u, facts.ONLINE_PLACES, facts.ONLINE_SHARES).mean() == pytest.approx(0.704, abs=0.005)
