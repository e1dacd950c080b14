import json
import shutil
from math import log2
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli import files
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval import index
from spfedrec_cli.retrieval.evaluate import (
    Evaluation,
    Scorer,
    Task,
    evaluate,
    history_splits,
    make_task,
    rank,
)
from spfedrec_cli.retrieval.written import read_clients, read_entries, write_evaluation

TRAIN = [(0, 0, 100, 1), (1, 1, 60, 1), (1, 2, 73, 1), (3, 5, 72, 1)]
VALIDATION = [(0, 1, 104, 1), (1, 1, 105, 2), (1, 5, 105, 1)]
TEST = [(1, 0, 110, 1), (1, 4, 111, 1), (2, 2, 112, 1)]


def table(scores: npt.ArrayLike) -> Scorer:
    fixed = np.asarray(scores, np.float32)
    return lambda clients: fixed[clients]


def task(truth: list[list[int]], n_items: int, **options: Any) -> Task:
    fixed: dict[str, Any] = {"protocol": "full", "seen": None, "candidates": None, "negatives": None, "skipped": 0}
    clients = np.arange(len(truth), dtype=np.int32)
    return Task("test", clients=clients, truth=Ragged.from_rows(truth), n_items=n_items, **(fixed | options))


def rows(ragged: Ragged | None) -> list[list[int]]:
    assert ragged is not None
    return [ragged.row(i).tolist() for i in range(len(ragged))]


# make_task


def test_only_clients_with_ground_truth_take_part_and_the_others_are_counted(make_dataset: Any) -> None:
    made = make_task(make_dataset(4, 6, TRAIN, VALIDATION, TEST), "test")
    assert made.clients.tolist() == [1, 2]
    assert rows(made.truth) == [[0, 4], [2]]
    assert (made.skipped, made.seen, made.candidates, made.negatives) == (2, None, None, None)


def test_ground_truth_is_a_set(make_dataset: Any) -> None:
    made = make_task(make_dataset(1, 6, [], [], [(0, 4, 1, 1), (0, 2, 2, 3), (0, 4, 3, 1)]), "test")
    assert rows(made.truth) == [[2, 4]]


def test_seen_items_are_left_out_where_nothing_is_bought_again(make_dataset: Any) -> None:
    dataset = make_dataset(4, 6, TRAIN, VALIDATION, TEST, repeats=False)
    assert rows(make_task(dataset, "validation").seen) == [[0], [1, 2]]  # clients 0 and 1: train
    assert [sorted(row) for row in rows(make_task(dataset, "test").seen)] == [[1, 2, 5], []]  # 1, 2: validation too
    # In validation client 1 buys its item 1 again; where the Dataset repeats, that is ranked.
    assert [make_task(dataset, split).out_of_reach for split in ("validation", "test")] == [1, 0]
    assert make_task(make_dataset(4, 6, TRAIN, VALIDATION, TEST), "validation").out_of_reach == 0


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("protocol, candidates", [("full", "all"), ("full", "active"), ("sampled", "all")])
def test_a_task_of_validation_never_reads_test(
    repeats: bool, protocol: str, candidates: str, make_dataset: Any
) -> None:
    negatives = (np.array([0, 1, 2], np.int32), np.full((3, 99), 3, np.int32))
    dataset = make_dataset(4, 6, TRAIN, VALIDATION, TEST, repeats=repeats, negatives=negatives)
    made = make_task(dataset, "validation", protocol, candidates)
    evaluate(table(np.zeros((4, 6))), made, [1])
    assert "test" not in dataset.read
    assert history_splits("validation") == ("train",)


@pytest.mark.parametrize("unit, length, earlier", [("day", 1, 0), ("second", 86_400, 0), ("day", 1, 12_000)])
def test_active_items_were_sold_in_the_last_28_days_of_train(
    unit: str, length: int, earlier: int, make_dataset: Any
) -> None:
    train = [(client, item, (time - earlier) * length, quantity) for client, item, time, quantity in TRAIN]
    made = make_task(make_dataset(4, 6, train, VALIDATION, TEST, time_unit=unit), "test", candidates="active")
    # The last day is 100, so day 73 is the first of 28: item 0 (day 100) and item 2 (day 73), not item 5 (day 72).
    assert made.candidates is not None
    assert np.flatnonzero(made.candidates).tolist() == [0, 2]


def test_sampled_takes_the_negatives_of_each_client(make_dataset: Any) -> None:
    items = np.arange(4, dtype=np.int32)[:, None].repeat(99, axis=1)
    dataset = make_dataset(4, 6, TRAIN, VALIDATION, TEST, negatives=(np.array([2, 0, 1, 3], np.int32), items))
    made = make_task(dataset, "test", "sampled")
    assert made.negatives is not None
    assert made.negatives[:, 0].tolist() == [2, 0]  # client 1 is row 2, client 2 is row 0


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (("train",), {}, "Unknown split 'train'; choose from validation, test"),
        (("tests",), {}, "did you mean test"),
        (("test", "samples"), {}, "Unknown protocol 'samples'; did you mean sampled"),
        (("test", "full", "some"), {}, "Unknown candidates 'some'; choose from all, active"),
        (("test", "sampled", "active"), {}, "has its own candidates"),
        (("test", "full", "active"), {"time_unit": "row"}, "no dates"),
        (("validation",), {"validation": []}, "No client has ground truth in validation .*; prepare it again"),
        (("test", "sampled"), {"negatives": (np.array([1]), np.zeros((1, 99), int))}, "Client 2 has no negatives"),
    ],
)
def test_bad_requests(arguments: Any, options: dict[str, Any], message: str, make_dataset: Any) -> None:
    dataset = make_dataset(4, 6, TRAIN, **({"validation": VALIDATION, "test": TEST} | options))
    with pytest.raises(InputError, match=message):
        make_task(dataset, *arguments)


# evaluate, full protocol


def test_full_ranking_by_hand() -> None:
    scores = [[5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [1, 1, 1, 1, 1]]
    result = evaluate(table(scores), task([[1, 4], [0], [1]], 5), [2, 1])
    # Places of the ground truth: client 0: 2 and 5; client 1: 5; client 2: all equal, so 1, 2, 3, 4 or 5.
    assert result.per_client["recall@2"] == pytest.approx([1 / 2, 0, 2 / 5])
    assert result.metrics["hit_rate@1"] == pytest.approx((0 + 0 + 1 / 5) / 3)
    assert result.metrics["hit_rate@2"] == pytest.approx((1 + 0 + 2 / 5) / 3)
    tied = (1 + 1 / log2(3)) / 5
    assert result.metrics["ndcg@2"] == pytest.approx(((1 / log2(3)) / (1 + 1 / log2(3)) + 0 + tied) / 3)
    assert result.metrics["coverage@1"] == 2 / 5  # items 0, 4, 0
    assert result.metrics["coverage@2"] == 4 / 5  # items 0 1, 4 3, 0 1
    assert (result.candidates, result.skipped, result.clients.tolist()) == ("all", 0, [0, 1, 2])


def test_seen_items_and_items_outside_the_candidates_take_no_place() -> None:
    scores = np.tile(np.array([5, 4, 3, 2, 1]), (2, 1))
    candidates = np.array([True, False, True, True, False])
    made = task([[2], [3]], 5, seen=Ragged.from_rows([[0, 3], []]), candidates=candidates)
    assert rank(table(scores), made, 3).items.tolist() == [[2, -1, -1], [0, 2, 3]]
    result = evaluate(table(scores), made, [3])
    assert result.per_client["mrr@3"].tolist() == [1, 1 / 3]
    assert result.per_client["precision@3"].tolist() == [1 / 3, 1 / 3]  # k, not the one item that was left
    assert result.candidates == "active"


def test_an_empty_place_is_not_the_last_item_of_the_client_before() -> None:
    made = task([[1], [0]], 2, seen=Ragged.from_rows([[], [0, 1]]))  # 1 * 2 + (-1) is the key of client 0's item 1
    assert evaluate(table([[1, 0], [0, 0]]), made, [1]).per_client["hit_rate@1"].tolist() == [0, 0]


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 8), size=st.integers(1, 5))
def test_evaluation_equals_a_plain_loop_for_any_block(seed: int, k: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    n, n_items = 11, 9
    scores = draw.integers(0, 4, (n, n_items)).astype(np.float32)
    truth = [sorted(draw.permutation(n_items)[: draw.integers(1, 5)].tolist()) for _ in range(n)]
    seen = [draw.permutation(n_items)[: draw.integers(0, 9)].tolist() for _ in range(n)]
    with mock.patch.object(index, "BLOCK_BYTES", size * n_items * 4):
        result = evaluate(table(scores), task(truth, n_items, seen=Ragged.from_rows(seen)), [k])
        ranking = rank(table(scores), task(truth, n_items, seen=Ragged.from_rows(seen)), k)
    for i in range(n):
        left = [item for item in range(n_items) if item not in seen[i]]
        chances = []
        for item in set(truth[i]) & set(left):
            above = sum(scores[i, other] > scores[i, item] for other in left)
            tied = sum(scores[i, other] == scores[i, item] for other in left)
            chances.append(min(max((k - above) / tied, 0), 1))
        assert result.per_client[f"recall@{k}"][i] == pytest.approx(sum(chances) / len(truth[i]))
        served = sorted(left, key=lambda item: (-scores[i, item], item))[:k]
        assert ranking.items[i].tolist() == served + [-1] * (k - len(served))


def test_a_scorer_is_asked_for_a_bounded_block() -> None:
    asked: list[list[int]] = []

    def scorer(clients: npt.NDArray[np.int32]) -> F32:
        asked.append(clients.tolist())
        return np.zeros((clients.size, 6), np.float32)

    with mock.patch.object(index, "BLOCK_BYTES", 2 * 6 * 4):
        evaluate(scorer, task([[0]] * 5, 6), [1])
    assert asked == [[0, 1], [2, 3], [4]]


def test_bad_scores_are_refused() -> None:
    made = task([[0], [1]], 2)
    with pytest.raises(SpfedrecError, match=r"NaN.*client 1"):
        evaluate(table(np.array([[1, 2], [np.nan, 1]])), made, [1])
    with pytest.raises(SpfedrecError, match=r"shape \(2, 3\), not \(2, 2\)"):
        evaluate(table(np.zeros((2, 3))), made, [1])


@pytest.mark.parametrize(
    "ks, options, message",
    [
        ([], {}, "k must be 1 or more"),
        ([0], {}, "k must be 1 or more"),
        ([2, 6], {}, "k = 6 is more than the 5 candidates"),
        ([3], {"candidates": np.array([True, True, False, False, False])}, "more than the 2 candidates"),
        ([4], {"protocol": "sampled", "negatives": np.array([[1, 2, -1]])}, "more than the 3 candidates"),
    ],
)
def test_bad_k(ks: list[int], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(table(np.zeros((1, 5))), task([[0]], 5, **options), ks)


# evaluate, sampled protocol


def test_sampled_ranks_the_ground_truth_among_the_negatives() -> None:
    scores = np.array([[9, 1, 8, 3, 2], [7, 7, 7, 7, 7]])
    negatives = np.array([[3, 1, -1], [4, 0, -1]], np.int32)
    made = task([[4], [1, 3]], 5, protocol="sampled", negatives=negatives)
    # Client 0: items 1, 3, 4 in the order 3 4 1; items 0 and 2 score more but are no candidates.
    # Client 1: items 0, 1, 3, 4 all equal, served by id, measured in random order; the padding takes no place.
    assert rank(table(scores), made, 4).items.tolist() == [[3, 4, 1, -1], [0, 1, 3, 4]]
    result = evaluate(table(scores), made, [2, 3])
    # The first of two hits among four stands first, second or third with chances 1/2, 1/2 · 2/3 and 1/2 · 1/3.
    assert result.per_client["mrr@3"] == pytest.approx([1 / 2, 1 / 2 + 1 / 3 / 2 + 1 / 6 / 3])
    assert result.per_client["recall@3"] == pytest.approx([1, 3 / 4])
    assert result.per_client["recall@2"] == pytest.approx([1, 1 / 2])
    assert "coverage@2" not in result.metrics  # of lists that were given, it would say nothing


def test_a_constant_scorer_gains_nothing_from_the_place_of_the_ground_truth() -> None:
    n, n_items = 400, 1000
    draw = np.random.default_rng(3)
    lists = np.array([draw.permutation(n_items)[:100] for _ in range(n)], np.int32)
    made = task(lists[:, :1].tolist(), n_items, protocol="sampled", negatives=lists[:, 1:])
    # One among 100 is in the first 10 with chance .1, for every client and whatever its id.
    assert evaluate(table(np.zeros((n, n_items))), made, [10]).per_client["hit_rate@10"] == pytest.approx([0.1] * n)


def test_lists_are_measured_where_the_surprise_of_items_is_known(make_dataset: Any) -> None:
    made = task([[0], [2]], 3)
    scores, bits = np.array([[1, 2, 3], [1, 2, 3]]), np.array([4.0, 2.0, 1.0])
    result = evaluate(table(scores), made, [2], bits)
    assert result.per_client["novelty@2"].tolist() == [1.5, 1.5]  # items 2 and 1
    assert result.per_client["popularity_bias@2"].tolist() == [4 - 1.5, 1 - 1.5]
    assert result.metrics["gini@2"] == pytest.approx((-2 * 0 + 0 * 2 + 2 * 2) / (3 * 4))
    assert "novelty@2" not in evaluate(table(scores), made, [2]).metrics
    negatives = np.array([[1, 2], [0, 1]], np.int32)
    sampled = evaluate(table(scores), task([[0], [2]], 3, protocol="sampled", negatives=negatives), [2], bits)
    assert not {"novelty@2", "gini@2"} & set(sampled.metrics)


# write_evaluation


def evaluation(protocol: str = "full", candidates: str = "all", value: float = 0.5) -> Evaluation:
    per_client = {"ndcg@10": np.array([value, 1.0]), "map@12": np.array([0.0, 0.25])}
    metrics = {name: float(values.mean()) for name, values in per_client.items()}
    return Evaluation("test", protocol, candidates, np.array([3, 8], np.int32), 4, per_client, metrics)


def test_what_is_written(tmp_path: Path) -> None:
    path = write_evaluation(tmp_path, evaluation(), {"checkpoint_round": 7})
    entry = json.loads(path.read_text())["test/full/all"]
    assert entry == {
        "checkpoint_round": 7,
        "split": "test",
        "protocol": "full",
        "candidates": "all",
        "clients": 2,
        "skipped": 4,
        "metrics": {"ndcg@10": 0.75, "map@12": 0.125},
        "per_client": "evaluation-test-full.parquet",
        "files": {"evaluation-test-full.parquet": files.hash_of(tmp_path / "evaluation-test-full.parquet")},
        "sha256": files.seal(entry),
    }
    clients = pq.read_table(tmp_path / entry["per_client"])
    assert clients.schema.types == [pa.int32(), pa.float64(), pa.float64()]
    assert clients.to_pydict() == {"client": [3, 8], "ndcg@10": [0.5, 1.0], "map@12": [0.0, 0.25]}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["evaluation-test-full.parquet", "evaluation.json"]


def test_evaluations_of_a_run_stay_side_by_side(tmp_path: Path) -> None:
    for each in (evaluation(), evaluation("sampled"), evaluation("full", "active"), evaluation(value=0.0)):
        path = write_evaluation(tmp_path, each, {})
    entries = json.loads(path.read_text())
    assert list(entries) == ["test/full/all", "test/sampled/all", "test/full/active"]
    assert entries["test/full/all"]["metrics"]["ndcg@10"] == 0.5  # the later one replaced it: (0 + 1) / 2
    assert len({entry["per_client"] for entry in entries.values()}) == 3
    assert all((tmp_path / entry["per_client"]).is_file() for entry in entries.values())


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_file_that_is_no_report_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError, match=r"not a report of evaluations, or was changed \(.*evaluation\.json\); move it away"
    ):
        write_evaluation(tmp_path, evaluation(), {})
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation.json"]


def test_a_failed_write_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    write_evaluation(tmp_path, evaluation(), {})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    full = mock.patch("os.replace", side_effect=OSError(28, "No space left on device"))
    with full, pytest.raises(SpfedrecError, match=r"cannot be written.*disk is full"):
        write_evaluation(tmp_path, evaluation(value=0.1), {})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpfedrecError, match=r"cannot be written.*nowhere"):
        write_evaluation(tmp_path / "nowhere", evaluation(), {})


def test_each_recommender_beside_the_run_has_a_file(tmp_path: Path) -> None:
    write_evaluation(tmp_path, evaluation("full", "active"), {}, {"ease": evaluation("full", "active", 0.25)})
    file = tmp_path / "evaluation-test-full-active-ease.parquet"
    entry = read_entries(tmp_path)["test/full/active"]
    clients, values = read_clients(file, entry)
    assert clients.tolist() == [3, 8]
    assert {name: found.tolist() for name, found in values.items()} == {"ndcg@10": [0.25, 1.0], "map@12": [0.0, 0.25]}
    shutil.copy(tmp_path / "evaluation-test-full-active.parquet", file)
    with pytest.raises(InputError, match="cannot be read"):
        read_clients(file, entry)


def test_a_report_that_was_changed_is_refused(tmp_path: Path) -> None:
    file = write_evaluation(tmp_path, evaluation(), {})
    file.write_text(file.read_text().replace("0.75", "0.76"))
    with pytest.raises(InputError, match="or was changed"):
        read_entries(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", None])
def test_values_that_cannot_be_read_are_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read \(.*x\.parquet\); evaluate again"):
        read_clients(tmp_path / "x.parquet", {"files": {"x.parquet": files.sha256(content or b"")}})
