"""Figures of guesses: their arithmetic, and another library on random data."""

import numpy as np
import pytest
from jax_privacy.auditing import CanaryScoreAuditor, Explicit
from scipy import stats

from spfedrec_cli.judging.metrics import auc_within, epsilon_bound, judge, most_likely


def test_auc_counts_pairs_and_halves_of_ties() -> None:
    true, scores = np.array([1, 0, 1, 0], bool), np.array([3.0, 3.0, 2.0, 1.0])
    # Pairs (true, false): 3 against 3 is a tie, 3 against 1 right, 2 against 3 wrong, 2 against 1 right.
    assert auc_within(np.zeros(4, np.int64), scores, true).tolist() == [(0.5 + 1 + 0 + 1) / 4]


def test_auc_is_that_of_each_subject() -> None:
    place = np.array([1, 0, 1, 0, 2])
    scores, true = np.array([5.0, 1.0, 4.0, 2.0, 9.0]), np.array([0, 1, 1, 0, 1], bool)
    found = auc_within(place, scores, true)
    assert found[:2].tolist() == [0.0, 0.0]
    assert np.isnan(found[2])


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_mann_and_whitneys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    place, scores, true = rng.integers(0, 4, 200), rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
    expected = []
    for subject in range(4):
        ours = [scores[(place == subject) & (true == kind)] for kind in (True, False)]
        expected.append(stats.mannwhitneyu(*ours).statistic / (len(ours[0]) * len(ours[1])))
    np.testing.assert_allclose(auc_within(place, scores, true), expected)


def test_the_best_of_each_subject_are_named_as_many_as_are_true() -> None:
    subjects, scores = np.array([7, 7, 7, 9, 9]), np.array([0.1, 0.3, 0.2, 0.5, 0.4])
    true = np.array([1, 0, 1, 0, 1], bool)
    assert most_likely(subjects, scores, true).tolist() == [False, True, True, True, False]


def test_precision_is_the_share_of_named_claims_that_are_true() -> None:
    subjects, true = np.array([0, 0, 1, 1]), np.array([1, 0, 1, 0], bool)
    verdict = judge(subjects, np.array([2.0, 1.0, 1.0, 2.0]), true, np.array([1, 1, 0, 1], bool))
    assert verdict is not None
    assert verdict.precision == 1 / 3
    assert verdict.chance == 0.5
    assert verdict.auc == (1 + 0) / 2


def test_an_interval_holds_what_is_known() -> None:
    """Scores of true claims are one deviation higher: AUC is Φ(1/√2)."""
    rng, held, known = np.random.default_rng(0), 0, stats.norm.cdf(1 / np.sqrt(2))
    for seed in range(20):
        subjects, true = np.repeat(np.arange(60), 20), np.tile(np.arange(20) < 8, 60)
        verdict = judge(subjects, rng.normal(true.astype(float)), true, seed=seed)
        assert verdict is not None
        held += verdict.low <= known <= verdict.high
    assert held >= 17


def test_subjects_with_one_claim_are_compared_with_each_other() -> None:
    verdict = judge(np.arange(4), np.array([4.0, 3.0, 2.0, 1.0]), np.array([1, 1, 0, 0], bool))
    assert verdict is not None
    assert verdict.auc == 1.0


@pytest.mark.parametrize("true", [[True, True], [False, False], []])
def test_nothing_is_judged_without_both_kinds(true: list[bool]) -> None:
    count = len(true)
    assert judge(np.zeros(count, np.int64), np.zeros(count), np.array(true, bool)) is None


def test_epsilon_is_bounded_as_clopper_and_pearson_bound_the_share() -> None:
    # All of 40 right: the share is at least .05^(1/40) = .9278, and its odds are e^2.554.
    assert epsilon_bound(40, 40) == pytest.approx(np.log(0.05 ** (1 / 40) / (1 - 0.05 ** (1 / 40))))
    assert epsilon_bound(20, 40) == 0.0
    assert epsilon_bound(0, 40) == 0.0
    low = stats.binomtest(35, 40, alternative="greater").proportion_ci(0.95, "exact").low
    assert epsilon_bound(35, 40) == pytest.approx(np.log(low / (1 - low)))


@pytest.mark.parametrize("right, wrong", [(20, 0), (17, 3), (15, 5), (11, 9), (40, 2)])
def test_epsilon_is_bounded_as_jax_privacy_bounds_it_of_one_run(right: int, wrong: int) -> None:
    """Of guesses that a canary is in, so many are right; about all others nothing is guessed, and δ is next to 0."""
    auditor = CanaryScoreAuditor([*[1.0] * right, *[-1.0] * 7], [*[1.0] * wrong, *[-1.0] * 9])
    found = auditor.epsilon_one_run(0.05, 1e-12, threshold_strategy=Explicit(0.0))
    assert epsilon_bound(right, right + wrong) == pytest.approx(found, abs=1e-4)
