"""Ties: every metric is its mean over all orders of equal scores."""

from itertools import pairwise, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.retrieval.evaluate import Task, evaluate
from spfedrec_cli.retrieval.metrics import METRICS
from spfedrec_cli.retrieval.places import Places


def task(truth: list[list[int]], n_items: int, seen: list[list[int]] | None = None) -> Task:
    owned = None if seen is None else Ragged.from_rows(seen)
    clients = np.arange(len(truth), dtype=np.int32)
    return Task("test", "full", clients, Ragged.from_rows(truth), owned, None, None, 0, n_items)


def in_every_order(scores: list[int], truth: list[int], seen: list[int], name: str, k: int) -> float:
    """The mean of a metric over all orders of the catalogue that respect the scores."""
    allowed = [item for item in range(len(scores)) if item not in seen]
    values = []
    for order in permutations(allowed):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            hits = np.isin(order, truth)[None]
            hits = np.hstack([hits, np.zeros((1, k), np.bool_)])[:, :k]
            values.append(METRICS[name](Places.of_hits(hits), np.array([len(truth)]), k)[0])
    return float(np.mean(values))


@settings(max_examples=60)
@given(data=st.data(), n_items=st.integers(2, 6), levels=st.integers(1, 3))
def test_ties_are_worth_the_mean_over_all_their_orders(data: st.DataObject, n_items: int, levels: int) -> None:
    scores = data.draw(st.lists(st.integers(1, levels), min_size=n_items, max_size=n_items))
    items = data.draw(st.permutations(range(n_items)))
    truth = sorted(items[: data.draw(st.integers(1, n_items - 1))])
    seen = items[n_items - 1 :] if data.draw(st.booleans()) else []  # never of the ground truth here
    k = data.draw(st.integers(1, n_items - 1))
    fixed = np.array([scores], np.float32)
    found = evaluate(lambda clients: fixed, task([truth], n_items, [seen]), [k])
    for name in METRICS:
        expected = in_every_order(scores, truth, seen, name, k)
        assert found.metrics[f"{name}@{k}"] == pytest.approx(expected, abs=1e-12), name


def test_a_constant_score_is_worth_chance() -> None:
    n_items, truth = 50, [[3, 40], [0], [49]]
    found = evaluate(lambda clients: np.zeros((len(clients), n_items), np.float32), task(truth, n_items), [10])
    # 1 of 50 is among 10 with chance 1/5; of 2, none is with chance C(48, 10) / C(50, 10).
    expected = [1 - comb(48, 10) / comb(50, 10), 0.2, 0.2]
    assert found.per_client["hit_rate@10"] == pytest.approx(expected)
    assert found.per_client["recall@10"] == pytest.approx([0.2, 0.2, 0.2])


def test_where_the_ground_truth_has_a_low_id_does_not_matter() -> None:
    scores = np.array([[1, 1, 1, 0]], np.float32)
    per_item = [evaluate(lambda _: scores, task([[item]], 4), [2]).metrics["mrr@2"] for item in range(3)]
    assert per_item == pytest.approx([(1 + 1 / 2) / 3] * 3)  # first, second or third, equally likely


def test_ground_truth_that_may_not_be_ranked_is_in_no_tie() -> None:
    found = evaluate(lambda _: np.zeros((1, 4), np.float32), task([[0, 1]], 4, [[0]]), [1])
    # Of items 1, 2, 3, one is ground truth; item 0 counts as missed.
    assert found.metrics["hit_rate@1"] == pytest.approx(1 / 3)
    assert found.metrics["recall@1"] == pytest.approx(1 / 6)
