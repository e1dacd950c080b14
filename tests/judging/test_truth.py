"""What is true of a claim."""

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.judging.truth import Truth

TRUTH = Truth(Ragged.from_rows([[0, 1], [1, 2, 3], []]), 5, np.array([True, False, True]), np.array([2], np.int32))


def of(claim: str, subjects: list[int], items: list[int]) -> list[bool]:
    return TRUTH.of(claim, np.array(subjects), np.array(items)).tolist()


def test_what_was_bought() -> None:
    assert of("bought", [0, 0, 1, 2], [1, 2, 3, 0]) == [True, False, True, False]
    assert of("trained on", [1], [2]) == [True]


def test_what_the_only_buyer_bought_too() -> None:
    assert of("bought by its only buyer", [2, 2, 0], [3, 0, 1]) == [True, False, True]
    assert of("bought by its only buyer", [4], [1]) == [False]  # which nobody bought


def test_who_was_trained_and_what_was_planted() -> None:
    assert of("customer trained on", [0, 1], [-1, -1]) == [True, False]
    assert of("planted", [0, 0], [2, 3]) == [True, False]


def test_of_an_only_buyer_as_many_false_claims_are_compared_as_there_are_true_ones() -> None:
    subjects, items = np.repeat([0, 2], 5), np.tile(np.arange(5), 2)
    true = TRUTH.of("bought by its only buyer", subjects, items)
    kept = TRUTH.compared("bought by its only buyer", subjects, items, true, 0)
    for subject in (0, 2):
        mine = kept[subjects[kept] == subject]
        assert true[mine].sum() == true[subjects == subject].sum()
        assert len(mine) <= 2 * true[mine].sum()
    assert TRUTH.compared("bought", subjects, items, true, 0).tolist() == list(range(10))
