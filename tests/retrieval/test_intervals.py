from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spfedrec_cli.retrieval import intervals as module
from spfedrec_cli.retrieval.intervals import HANDS, differences, holm, intervals, replicates, signed_rank


@pytest.mark.parametrize("n", [2, 100, HANDS, 20 * HANDS + 7])
def test_the_spread_of_the_replicates_is_the_standard_error(n: int) -> None:
    values = np.random.default_rng(n).gamma(0.5, size=n)
    means = replicates(values[:, None])[:, 0]
    # 1,000 replicates know their own spread to 2 %, 1,024 hands that of the clients to another 2 %.
    assert means.std() == pytest.approx(values.std() / np.sqrt(n), rel=0.12)
    assert means.mean() == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(1000 * n) + 1e-12)


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    samples = draw.random((300, 400)) < 0.3
    found = intervals({str(i): sample.astype(np.float64) for i, sample in enumerate(samples.reshape(300, 400))})
    held = np.mean([low <= 0.3 <= high for low, high in found.values()])
    assert held == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 300))


def test_an_interval_of_a_constant_or_of_one_client_is_a_point() -> None:
    assert intervals({"a": np.full(50, 0.25)}) == {"a": (0.25, 0.25)}
    assert intervals({"a": np.array([0.7])}) == {"a": (0.7, 0.7)}
    assert intervals({}) == {}


def test_a_column_alone_or_in_company_has_the_same_interval() -> None:
    values = np.random.default_rng(1).random((2, 5000))
    alone, both = intervals({"b": values[1]}), intervals({"a": values[0], "b": values[1]})
    assert alone["b"] == pytest.approx(both["b"], rel=1e-12)


def test_customers_are_drawn_with_all_their_weeks() -> None:
    """a, a: 1; a, b: 3 of 4; b, b: 0. Weeks drawn one by one would hardly ever all be b's."""
    values, customers = np.array([1.0, 1.0, 0.0, 1.0]), np.array([7, 7, 9, 7])
    assert intervals({"a": values}, customers) == {"a": (0.0, 1.0)}
    many = np.tile([0.0, 1.0], 100)
    assert intervals({"a": many}, np.arange(200))["a"] == intervals({"a": many})["a"]
    together = intervals({"a": many}, np.arange(200) % 4)["a"]  # two customers of 0, two of 1
    assert together == (0.0, 1.0)


def test_a_value_that_is_missing_is_none() -> None:
    """The mean is of those there are: an interval of .5 alone, whoever is drawn."""
    values = np.where(np.arange(60) % 2, np.nan, 0.5)
    assert intervals({"a": values, "b": np.ones(60)}) == {"a": (0.5, 0.5), "b": (1.0, 1.0)}
    (found,) = differences({"a": values}, {"a": values - 0.25}).values()
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("n", [30, 3000])
def test_the_seed_changes_the_draws(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random(n)
    before = intervals({"a": values})
    for cached in (module._draws, module._deal):
        cached.cache_clear()
    assert intervals({"a": values}) == before
    monkeypatch.setattr(module, "_SEED", 1)
    for cached in (module._draws, module._deal):
        cached.cache_clear()
    assert intervals({"a": values}) != before
    for cached in (module._draws, module._deal):
        cached.cache_clear()


def test_pairing_finds_what_intervals_apart_do_not() -> None:
    draw = np.random.default_rng(3)
    hard = draw.random(200)  # what clients have in common is far larger than what the two differ by
    first, second = hard + 0.01 + 0.01 * draw.random(200), hard
    (one,) = differences({"ndcg@10": first, "only": first}, {"ndcg@10": second}).values()
    assert one.mean == pytest.approx((first - second).mean())
    assert 0.01 < one.low < one.mean < one.high < 0.02
    assert one.p < 1e-6
    low, high = intervals({"a": first})["a"]
    assert low < second.mean() < high


def test_signed_rank_by_all_signs() -> None:
    values = np.array([0.1, -0.2, 0.3, 0.4, 0.5, 0.0])  # the last one differs in nothing
    ranks = stats.rankdata(np.abs(values[:5]))
    observed = ranks[values[:5] > 0].sum()
    every = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in product((0, 1), repeat=5)]
    centre = ranks.sum() / 2
    expected = np.mean([abs(total - centre) >= abs(observed - centre) for total in every])
    assert signed_rank(values) == pytest.approx(expected)
    assert signed_rank(np.zeros(9)) == 1


@pytest.mark.parametrize("n", [51, 200, 5000])
@pytest.mark.parametrize("steps, bias", [(3, 0.0), (20, 0.2), (10**9, 0.05), (2, 5.0)])
def test_signed_rank_of_many_is_scipys(n: int, steps: int, bias: float) -> None:
    """Ties of few different values, none of many; differences of nothing, and all on one side."""
    values = np.round((np.random.default_rng(n).normal(size=n) + bias) * steps) / steps
    values[::9] = 0
    assert signed_rank(values) == pytest.approx(stats.wilcoxon(values[values != 0]).pvalue, rel=1e-12)


def test_holm_by_hand() -> None:
    # Ascending .01, .02, .03, .04 times 4, 3, 2, 1: .04, .06, .06, .04, and no smaller than the one before.
    assert holm(np.array([0.04, 0.01, 0.03, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.9, 0.6])).tolist() == [1, 1]
    assert holm(np.array([])).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_p_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(np.array(p))
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()
