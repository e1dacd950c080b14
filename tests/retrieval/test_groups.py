from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from spfedrec_cli.retrieval.evaluate import evaluate, make_task, measure, rank
from spfedrec_cli.retrieval.groups import ACTIVITY, BY, NEVER_TRAINED, Groups, across, by_group, make_kinds
from spfedrec_cli.retrieval.popularity import BANDS, bands, buyers, self_information

# Client 0 bought item 0 in train and 1 in validation, client 1 five items in train, client 2 nothing.
TRAIN = [(0, 0, 1, 3), (1, 0, 1, 1), (1, 1, 2, 1), (1, 2, 3, 1), (1, 3, 4, 1), (1, 4, 5, 1), (1, 4, 6, 1)]
VALIDATION = [(0, 1, 8, 1)]
TEST = [(0, 1, 15, 1), (0, 5, 15, 1), (1, 5, 15, 1), (2, 0, 15, 1)]
SCORES = np.tile(np.array([1, 6, 2, 3, 4, 5], np.float32), (3, 1))  # lists 1, 5, 4, 3, ...


def groups(make_dataset: Any) -> Groups:
    dataset = make_dataset(3, 6, TRAIN, VALIDATION, TEST)
    task = make_task(dataset)
    ranking = rank(lambda clients: SCORES[clients], task, 2)
    found = measure(ranking, task, [2])
    return by_group(ranking, task, found.per_client, [2], make_kinds(dataset, task, buyers(dataset)))


def recalls(found: Groups, by: str) -> dict[str, tuple[int, float]]:
    return {name: (group.clients, group.metrics["recall@2"]) for name, group in found[by].items()}


def test_clients_by_what_they_bought_before(make_dataset: Any) -> None:
    found = groups(make_dataset)
    # Recall at 2 of items 1 and 5: client 0 has 2 of 2, client 1 1 of 1, client 2 0 of 1.
    assert recalls(found, "customer") == {"warm": (2, 1.0), "cold": (1, 0.0)}
    assert recalls(found, "activity") == {"0": (1, 0.0), "1-4": (1, 1.0), "5-19": (1, 1.0)}
    assert tuple(found) == BY


def test_ground_truth_by_whether_it_was_bought_before(make_dataset: Any) -> None:
    # Repeat: item 1 of client 0, bought in validation. New: item 5 of clients 0 and 1, item 0 of client 2.
    assert recalls(groups(make_dataset), "purchase") == {"new": (3, 2 / 3), "repeat": (1, 1.0)}


def test_recall_of_new_and_of_repeated_items_apart(make_dataset: Any) -> None:
    """Client 0 has 1 of 1 new and 1 of 1 repeated, client 1 1 of 1 new, client 2 0 of 1 new."""
    dataset = make_dataset(3, 6, TRAIN, VALIDATION, TEST)
    task = make_task(dataset)
    again = make_kinds(dataset, task, buyers(dataset)).again
    found = evaluate(lambda clients: SCORES[clients], task, [2], again=again)
    assert found.per_client["recall_new@2"].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(found.per_client["recall_repeat@2"], [1, np.nan, np.nan])
    assert (found.metrics["recall_new@2"], found.metrics["recall_repeat@2"]) == (2 / 3, 1)
    assert "recall_repeat@2" not in evaluate(lambda clients: SCORES[clients], task, [2], again=again & False).metrics


def test_customers_who_were_never_trained_are_some_of_the_warm(make_dataset: Any) -> None:
    dataset = make_dataset(3, 6, TRAIN, VALIDATION, TEST)
    task = make_task(dataset)
    ranking = rank(lambda clients: SCORES[clients], task, 2)
    kinds = make_kinds(dataset, task, buyers(dataset), trained=np.array([False, True, False]))
    found = by_group(ranking, task, measure(ranking, task, [2]).per_client, [2], kinds)
    assert recalls(found, "customer") == {"warm": (2, 1.0), "cold": (1, 0.0), NEVER_TRAINED: (1, 1.0)}


def test_ground_truth_by_how_popular_its_item_is(make_dataset: Any) -> None:
    # Buyers 2, 1, 1, 1, 1, 0: item 0 begins at 0 of 6, items 1 and 2 at 2 and 3, items 3 and 4 at 4 and 5.
    assert recalls(groups(make_dataset), "item") == {"head": (1, 0.0), "middle": (1, 1.0), "unsold": (2, 1.0)}


def test_groups_have_intervals(make_dataset: Any) -> None:
    for group in (group for kinds in groups(make_dataset).values() for group in kinds.values()):
        assert group.intervals.keys() == group.metrics.keys()
        assert all(low <= group.metrics[name] <= high for name, (low, high) in group.intervals.items())


def test_the_parts_of_a_breakdown_make_up_the_whole(make_dataset: Any) -> None:
    draw = np.random.default_rng(4)
    rows = sorted((int(c), int(i), int(t), 1) for c, i, t in draw.integers(0, (30, 20, 50), (200, 3)))
    dataset = make_dataset(
        30, 20, rows, [], sorted((int(c), int(i), 60, 1) for c, i in draw.integers(0, (30, 20), (60, 2)))
    )
    task, scores = make_task(dataset), draw.integers(0, 6, (30, 20)).astype(np.float32)
    ranking = rank(lambda clients: scores[clients], task, 5)
    whole = measure(ranking, task, [5])
    found = by_group(ranking, task, whole.per_client, [5], make_kinds(dataset, task, buyers(dataset)))
    for by in ("customer", "activity"):
        assert sum(group.clients for group in found[by].values()) == len(task.clients)
        total = sum(group.clients * group.metrics["map@5"] for group in found[by].values())
        assert total / len(task.clients) == pytest.approx(whole.metrics["map@5"])
    for by in ("purchase", "item"):  # hits of the parts, each client's own denominators aside
        hits = sum(group.clients * group.metrics["precision@5"] for group in found[by].values())
        assert hits / len(task.clients) == pytest.approx(whole.metrics["precision@5"])


def test_bands_hold_a_third_of_the_buyers_each() -> None:
    assert [BANDS[band] for band in bands(np.array([1, 4, 0, 1, 2, 1]))] == [
        "tail",  # begins at 6 of 9
        "head",
        "unsold",
        "tail",
        "middle",  # begins at 4
        "tail",
    ]
    assert [BANDS[band] for band in bands(np.zeros(2, np.int64))] == ["unsold", "unsold"]


def test_a_client_who_buys_twice_is_one_buyer(make_dataset: Any) -> None:
    counted = buyers(make_dataset(3, 6, TRAIN))
    assert counted.tolist() == [2, 1, 1, 1, 1, 0]
    # Of three who bought anything, with one added who bought everything: -log2(3/4), -log2(2/4), -log2(1/4).
    assert self_information(counted, 3)[[0, 1, 5]] == pytest.approx([np.log2(4 / 3), 1, 2])


def test_across_clients() -> None:
    values = np.arange(11) / 10
    assert across({"ndcg@10": values}) == {"ndcg@10": {"p10": pytest.approx(0.1), "median": pytest.approx(0.5)}}


def test_bands_of_activity_leave_no_gap() -> None:
    assert all(high is not None and high + 1 == low for (_, high), (low, _) in pairwise(ACTIVITY))


def test_an_evaluation_without_breakdown_is_the_same(make_dataset: Any) -> None:
    task = make_task(make_dataset(3, 6, TRAIN, VALIDATION, TEST))
    ranking = rank(lambda clients: SCORES[clients], task, 2)
    assert measure(ranking, task, [2]).metrics == evaluate(lambda clients: SCORES[clients], task, [2]).metrics
