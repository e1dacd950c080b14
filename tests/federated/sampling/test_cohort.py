"""Cohorts are a function of the seed and the round."""

import numpy as np
import pytest

from spfedrec_cli.config import FederatedConfig
from spfedrec_cli.federated.sampling.cohort import draw_cohort, largest_cohort

ELIGIBLE = np.arange(0, 3000, 3)


@pytest.mark.parametrize("sampling", ["fixed", "poisson"])
def test_a_cohort(sampling: str) -> None:
    config = FederatedConfig(cohort_size=100, sampling=sampling)
    cohorts = [draw_cohort(config, ELIGIBLE, 0, round_) for round_ in range(1, 200)]
    assert np.mean([len(cohort) for cohort in cohorts]) == pytest.approx(100, abs=4)
    for cohort in cohorts:
        assert np.isin(cohort, ELIGIBLE).all()
        assert (np.diff(cohort) > 0).all()
        assert len(cohort) <= largest_cohort(config, len(ELIGIBLE))
    taken = np.bincount(np.concatenate(cohorts) // 3, minlength=1000)
    assert taken.std() == pytest.approx(np.sqrt(199 * 0.1 * 0.9), rel=0.15)
    assert not np.array_equal(cohorts[0], cohorts[1])
    assert np.array_equal(cohorts[0], draw_cohort(config, ELIGIBLE, 0, 1))
    assert not np.array_equal(cohorts[0], draw_cohort(config, ELIGIBLE, 1, 1))


def test_fixed_cohorts_have_one_size_and_take_everybody_where_there_are_fewer() -> None:
    config = FederatedConfig(cohort_size=100)
    assert {len(draw_cohort(config, ELIGIBLE, 0, round_)) for round_ in range(20)} == {100}
    assert np.array_equal(draw_cohort(config, ELIGIBLE[:7], 0, 1), ELIGIBLE[:7])


def test_poisson_cohorts_vary_but_are_bounded() -> None:
    config = FederatedConfig(cohort_size=2, sampling="poisson")
    sizes = {len(draw_cohort(config, ELIGIBLE, 0, round_)) for round_ in range(100)}
    assert 0 in sizes
    assert len(sizes) > 3
    assert largest_cohort(config, 10**6) == 2 + 20  # ceil(8·√2 + 8)


def test_shuffled_cohorts_take_everybody_once_a_pass_in_an_order_of_its_own() -> None:
    config, eligible = (
        FederatedConfig(cohort_size=4, sampling="shuffled"),
        np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29]),
    )
    passes = [[draw_cohort(config, eligible, 0, 3 * number + round_) for round_ in (1, 2, 3)] for number in (0, 1)]
    for cohorts in passes:
        assert [len(cohort) for cohort in cohorts] == [4, 4, 2]
        assert sorted(np.concatenate(cohorts).tolist()) == eligible.tolist()
        assert all((np.diff(cohort) > 0).all() for cohort in cohorts)
    assert passes[0][0].tolist() != passes[1][0].tolist()
    assert draw_cohort(config, eligible, 1, 1).tolist() != passes[0][0].tolist()
    assert len(draw_cohort(FederatedConfig(cohort_size=99, sampling="shuffled"), eligible, 0, 5)) == 10
