from typing import Any

import numpy as np
import pytest

from spfedrec_cli.retrieval.baselines import BASELINES, best_possible, popularity, repeat_last
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
    scorer = BASELINES[name](dataset, split)
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
        scorer = BASELINES[name](dataset, split)
        assert scorer is not None
        scorer(np.arange(3, dtype=np.int32))
        assert not dataset.read & hidden
