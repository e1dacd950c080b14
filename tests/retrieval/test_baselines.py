import sys
from typing import Any

import numpy as np
import pytest

from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.baselines import (
    ALL,
    BASELINES,
    SECONDS,
    Chosen,
    Unavailable,
    best_possible,
    factors,
    known,
    neighbours,
    popularity,
    repeat_last,
    repeat_often,
)
from spfedrec_cli.retrieval.baselines.choice import best_of
from spfedrec_cli.retrieval.baselines.factors import ials
from spfedrec_cli.retrieval.baselines.linear import ease, item_weights
from spfedrec_cli.retrieval.baselines.neighbours import NEIGHBOURS, item_knn
from spfedrec_cli.retrieval.baselines.popular import popularity_7_days
from spfedrec_cli.retrieval.baselines.repeat import HALF_LIVES
from spfedrec_cli.retrieval.evaluate import evaluate, make_task

TRAIN = [(0, 3, 1, 1), (0, 1, 5, 1), (1, 2, 2, 4), (1, 3, 3, 2)]  # item 1: 1, item 2: 4, item 3: 1 + 2
VALIDATION = [(0, 3, 8, 1)]
TEST = [(0, 0, 15, 1), (2, 2, 15, 1)]


def ranking(scores: Any) -> list[list[int]]:
    order: list[list[int]] = np.argsort(-scores, axis=1, kind="stable").tolist()
    return order


def test_popularity_sums_the_quantities_of_train(make_dataset: Any) -> None:
    scorer = popularity(make_dataset(3, 4, TRAIN, VALIDATION, TEST), "test")
    scores = scorer(np.array([0, 2], np.int32))
    assert scores.tolist() == [[0, 1, 4, 3]] * 2
    assert scores.dtype == np.float32


def test_repeat_last_puts_the_newest_first_and_popularity_behind(make_dataset: Any) -> None:
    dataset, clients = make_dataset(3, 4, TRAIN, VALIDATION, TEST), np.arange(3, dtype=np.int32)
    before_validation, before_test = repeat_last(dataset, "validation"), repeat_last(dataset, "test")
    assert before_validation is not None
    assert before_test is not None
    # Client 0 bought 3 then 1 in train, and 3 again in validation; client 1 bought 2 then 3; client 2 is cold.
    assert ranking(before_validation(clients)) == [[1, 3, 2, 0], [3, 2, 1, 0], [2, 3, 1, 0]]
    assert ranking(before_test(clients)) == [[3, 1, 2, 0], [3, 2, 1, 0], [2, 3, 1, 0]]


def test_repeat_last_does_not_apply_where_nothing_is_bought_again(make_dataset: Any) -> None:
    assert repeat_last(make_dataset(3, 4, TRAIN, VALIDATION, TEST, repeats=False), "test") is None


def test_repeat_often_counts_recent_purchases_for_more(make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a half-life of 7 days, on day 28: item 1, once on day 28, 1; item 2, thrice on day 21, 3/2; item 3, seven
    times on day 0, 7/16; item 0, once on day 21, 1/2."""
    often = "spfedrec_cli.retrieval.baselines.repeat.HALF_LIVES"
    rows = [(0, 3, 0, 7), (0, 2, 21, 3), (0, 0, 21, 1), (0, 1, 28, 1), (1, 4, 1, 2), (1, 2, 1, 2)]
    dataset = make_dataset(3, 6, rows)

    def ranked(days: float, client: int) -> list[int]:
        monkeypatch.setattr(often, (days,))
        scorer = repeat_often(dataset, "validation")
        assert scorer is not None
        return ranking(scorer(np.array([client], np.int32)))[0]

    assert ranked(7, 0) == [2, 1, 0, 3, 4, 5]
    assert ranked(1e9, 0)[:2] == [3, 2]  # plain counts
    # Train's counts: 1, 1, 5, 7, 2, 0. Items 2 and 4 are as often client 1's: a tie, the others by popularity.
    assert ranked(7, 1) == [2, 4, 3, 0, 1, 5]
    scorer = repeat_often(dataset, "validation")
    assert scorer is not None
    assert scorer(np.array([1], np.int32))[0, [2, 4]].tolist() == [8, 8]
    assert ranked(7, 2) == [3, 2, 4, 0, 1, 5]  # cold: popularity


def test_the_half_life_is_chosen_on_validation(make_dataset: Any) -> None:
    """Five times on day 0, once on day 60: whoever buys the latter in validation has a short memory."""
    rows = [(0, 3, 0, 5), (0, 2, 60, 1)]
    for item, long in ((2, False), (3, True)):
        chosen = repeat_often(make_dataset(1, 400, rows, [(0, item, 70, 1)], [(0, 1, 80, 1)]), "test")
        assert isinstance(chosen, Chosen)
        assert chosen.setting == (HALF_LIVES[0] if long else 7.0)


def test_repeat_often_needs_dates_and_repeats(make_dataset: Any) -> None:
    assert repeat_often(make_dataset(3, 4, TRAIN, repeats=False), "validation") is None
    assert repeat_often(make_dataset(3, 4, TRAIN, time_unit="row"), "validation") is None


def test_what_takes_minutes_is_known_before(make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three clients with 2, 2 and 0 items: 4 pairs, 8 pairs of pairs; nine settings of 64, 32 and 128 factors,
    or the first."""
    dataset = make_dataset(3, 4, TRAIN)
    assert SECONDS["item_knn"](dataset) == pytest.approx(8 * neighbours.SECONDS_A_PAIR)
    each = factors.SECONDS_A_FACTOR * factors.ITERATIONS * 4
    assert SECONDS["ials"](dataset) == pytest.approx(each * 3 * (64 + 32 + 128))
    monkeypatch.setattr(factors, "LARGE", 4)
    assert SECONDS["ials"](dataset) == pytest.approx(each * 64)


def test_best_possible_needs_an_oracle(make_dataset: Any) -> None:
    assert best_possible(make_dataset(3, 4, TRAIN, VALIDATION, TEST), "test") is None
    chances = np.eye(3, 4, dtype=np.float32)
    scorer = best_possible(make_dataset(3, 4, TRAIN, VALIDATION, TEST, probabilities=chances), "test")
    assert scorer is not None
    assert scorer(np.array([2], np.int32)).tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_conformance(name: str, split: str, make_dataset: Any) -> None:
    dataset = make_dataset(3, 4, TRAIN, VALIDATION, TEST, probabilities=np.full((3, 4), 0.25, np.float32))
    scorer = BASELINES[name](dataset, split, "full")
    assert scorer is not None
    scores = scorer(np.array([2, 0], np.int32))
    assert scores.shape == (2, 4)
    assert scores.dtype == np.dtype(np.float32)
    # One client alone, or in company; matrix products of another size may round otherwise.
    np.testing.assert_allclose(scorer(np.array([0], np.int32))[0], scores[1], rtol=1e-5, atol=1e-7)
    assert 0 <= evaluate(scorer, make_task(dataset, split), [1, 2]).metrics["ndcg@2"] <= 1


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_reads_the_split_that_it_predicts(name: str, make_dataset: Any) -> None:
    for split, hidden in (("validation", {"validation", "test"}), ("test", {"test"})):
        dataset = make_dataset(3, 4, TRAIN, VALIDATION, TEST, probabilities=np.ones((3, 4), np.float32))
        scorer = BASELINES[name](dataset, split, "full")
        assert scorer is not None
        scorer(np.arange(3, dtype=np.int32))
        assert not dataset.read & hidden


def test_the_last_week_goes_first_and_all_of_train_behind_it(make_dataset: Any) -> None:
    dataset = make_dataset(3, 4, TRAIN, VALIDATION, TEST)
    before_validation, before_test = popularity_7_days(dataset, "validation"), popularity_7_days(dataset, "test")
    assert before_validation is not None
    assert before_test is not None
    # Before validation (day 5) all of train is of the last 7 days, before test (day 8) all but day 1.
    assert ranking(before_validation(np.array([0]))) == [[2, 3, 1, 0]]
    # Quantities since day 2: item 1 1, item 2 4, item 3 2 + 1.
    assert ranking(before_test(np.array([0]))) == [[2, 3, 1, 0]]
    late = make_dataset(3, 4, TRAIN, [(0, 1, 12, 1)], TEST)  # day 6 to 12: item 1 alone, then train's 2, 3, 0
    scorer = popularity_7_days(late, "test")
    assert scorer is not None
    assert ranking(scorer(np.array([0]))) == [[1, 2, 3, 0]]
    assert popularity_7_days(make_dataset(3, 4, TRAIN, time_unit="row"), "test") is None


@pytest.mark.parametrize("name", ["popularity_7_days", "repeat_often"])
def test_dates_before_1970_are_dates_like_others(name: str, make_dataset: Any) -> None:
    ranked = []
    for earlier in (0, 12_000):
        moved = [[(*row[:2], row[2] - earlier, row[3]) for row in rows] for rows in (TRAIN, [(0, 1, 12, 1)], TEST)]
        scorer = BASELINES[name](make_dataset(3, 4, *moved), "test", "full")
        assert scorer is not None
        ranked.append(ranking(scorer(np.arange(3, dtype=np.int32))))
    assert ranked[0] == ranked[1]


def history(rows: Any, client: int, n_items: int) -> Any:
    return np.isin(np.arange(n_items), [row[1] for row in rows if row[0] == client]).astype(float)


@pytest.fixture
def shop(make_dataset: Any) -> Any:
    """30 clients of two tastes among 12 items."""
    draw = np.random.default_rng(8)
    rows = sorted(
        {(c, 6 * (c % 2) + int(i), int(t), 1) for c in range(30) for i, t in draw.integers(0, (6, 50), (4, 2))}
    )
    later = [(c, 6 * (c % 2) + int(draw.integers(6)), 60, 1) for c in range(30)]
    return make_dataset(30, 12, rows, later, [(c, 0, 70, 1) for c in range(30)])


def test_item_knn_is_the_weighted_cosine(shop: Any) -> None:
    bought = np.array([history(shop.train, client, 12) for client in range(30)])
    weighted = bought * np.log(12 / (1 + bought.sum(axis=1)))[:, None]
    lengths = np.linalg.norm(weighted, axis=0)
    similar = weighted.T @ weighted / np.outer(lengths, lengths)
    np.fill_diagonal(similar, 0)
    assert NEIGHBOURS[0] >= 12  # all of them count
    np.testing.assert_allclose(item_knn(shop, "validation")(np.arange(30)), bought @ similar, rtol=1e-5, atol=1e-6)


def test_only_the_nearest_items_count(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    every = item_knn(shop, "validation")(np.arange(30))
    monkeypatch.setattr("spfedrec_cli.retrieval.baselines.neighbours.NEIGHBOURS", (1,))
    assert (item_knn(shop, "validation")(np.arange(30)) <= every + 1e-6).all()
    bought = np.array([history(shop.train, client, 12) for client in range(30)])
    one = item_knn(shop, "validation")(np.arange(30))
    assert (np.count_nonzero(one, axis=0) <= bought.sum(axis=0).max()).all()


@pytest.mark.parametrize("penalty", [1.0, 500.0])
def test_ease_minimises_what_it_says(shop: Any, penalty: float) -> None:
    bought = np.array([history(shop.train, client, 12) for client in range(30)])
    weights = item_weights((bought.T @ bought).astype(np.float32), penalty).astype(float)
    assert (np.diag(weights) == 0).all()
    gradient = bought.T @ (bought @ weights - bought) + penalty * weights
    np.fill_diagonal(gradient, 0)  # the diagonal is held at zero
    assert np.abs(gradient).max() < 1e-3


def test_baselines_know_the_taste_that_popularity_does_not(shop: Any) -> None:
    for baseline in (item_knn, ease, ials):
        scores = baseline(shop, "validation")(np.array([0, 1]))
        assert scores[0, :6].sum() > scores[0, 6:].sum()
        assert scores[1, :6].sum() < scores[1, 6:].sum()


@pytest.mark.parametrize("baseline", [item_knn, ease, ials])
def test_the_history_at_test_time_holds_validation(baseline: Any, shop: Any) -> None:
    with_it = baseline(shop, "test")(np.arange(30))
    shop.validation = []
    assert not np.allclose(baseline(shop, "test")(np.arange(30)), with_it)


def test_settings_are_chosen_on_validation_and_never_on_what_is_predicted(make_dataset: Any) -> None:
    dataset = make_dataset(3, 4, TRAIN, [(0, 0, 8, 1)], TEST)
    asked: list[tuple[int, str]] = []

    def fit(setting: int) -> Any:
        def of_split(split: str) -> Any:
            asked.append((setting, split))
            return lambda clients: np.tile((np.arange(4) == setting).astype(np.float32), (len(clients), 1))

        return of_split

    found = best_of(dataset, "test", "full", (1, 0, 2), fit)  # item 0 is what client 0 bought
    assert found(np.array([0])).tolist() == [[1, 0, 0, 0]]
    assert found.setting == 0
    assert asked == [(1, "validation"), (0, "validation"), (2, "validation"), (0, "test")]
    asked.clear()
    best_of(dataset, "validation", "full", (1, 0, 2), fit)
    assert asked == [(1, "validation")]
    asked.clear()
    dataset.validation = []
    best_of(dataset, "test", "full", (1, 0, 2), fit)
    assert asked == [(1, "test")]


def test_what_cannot_be_had_says_why(make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="up to 10,000 of them, and here are 10,001"):
        ease(make_dataset(3, 10_001, TRAIN), "test")
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(Unavailable, match=r"install it with `pip install 'spfedrec\[baselines\]'`"):
        ials(make_dataset(3, 4, TRAIN), "test")


def test_names_of_baselines() -> None:
    assert known(["ease", "popularity", "ease"]) == ["popularity", "ease"]
    assert known(["ease", ALL]) == list(BASELINES)
    with pytest.raises(InputError, match=r"no baseline 'popularty'; did you mean popularity\?"):
        known(["popularty"])
