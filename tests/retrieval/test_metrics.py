import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.dtypes import Bool
from spfedrec_cli.retrieval.metrics import CATALOGUE_METRICS, LIST_METRICS, METRICS, Lists, coverage, gini
from spfedrec_cli.retrieval.places import Places

PLACES = 12

# Ground truth of two items, found at places 2 and 5 of 6; k = 5.
TWO_AND_FIVE = {
    "hit_rate": 1,
    "recall": 2 / 2,
    "precision": 2 / 5,
    "ndcg": (1 / log2(3) + 1 / log2(6)) / (1 / log2(2) + 1 / log2(3)),
    "mrr": 1 / 2,
    "map": (1 / 2 + 2 / 5) / 2,
}
# Ground truth of five items, found at places 1, 3 and 4 (past k); k = 3.
MORE_TRUTH_THAN_PLACES = {
    "hit_rate": 1,
    "recall": 2 / 5,
    "precision": 2 / 3,
    "ndcg": (1 / log2(2) + 1 / log2(4)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4)),
    "mrr": 1,
    "map": (1 / 1 + 2 / 3) / 3,  # min(k, |T|) = min(3, 5)
}
BEST_POSSIBLE: dict[str, Callable[[int, int], float]] = {
    "recall": lambda k, size: min(k, size) / size,
    "precision": lambda k, size: min(k, size) / k,
}


def places(*found: int, width: int = 6) -> Bool:
    return np.isin(np.arange(1, width + 1), found)[None]


def value(name: str, hits: Bool, size: int, k: int) -> float:
    result = METRICS[name](Places.of_hits(hits), np.array([size]), k)
    assert result.shape == (1,)
    assert result.dtype == np.dtype(np.float64)
    return float(result[0])


@pytest.mark.parametrize("name", METRICS)
def test_known_values(name: str) -> None:
    assert value(name, places(2, 5), 2, 5) == pytest.approx(TWO_AND_FIVE[name], rel=1e-12)
    assert value(name, places(1, 3, 4), 5, 3) == pytest.approx(MORE_TRUTH_THAN_PLACES[name], rel=1e-12)


def test_every_metric_has_known_values() -> None:
    assert METRICS.keys() == TWO_AND_FIVE.keys() == MORE_TRUTH_THAN_PLACES.keys()


@pytest.mark.parametrize("name", METRICS)
@given(k=st.integers(1, PLACES), size=st.integers(1, 20))
def test_conformance_at_the_ends(name: str, k: int, size: int) -> None:
    perfect, none = places(*range(1, size + 1), width=PLACES), places(width=PLACES)
    best = BEST_POSSIBLE[name](k, size) if name in BEST_POSSIBLE else 1
    assert value(name, perfect, size, k) == pytest.approx(best)
    assert value(name, none, size, k) == 0
    assert value(name, places(k + 1, width=PLACES + 1), size, k) == 0  # a hit past k


@pytest.mark.parametrize("name", METRICS)
@given(
    hits=st.lists(st.booleans(), min_size=PLACES, max_size=PLACES), k=st.integers(1, PLACES), unseen=st.integers(0, 9)
)
def test_conformance_in_between(name: str, hits: list[bool], k: int, unseen: int) -> None:
    size = max(1, sum(hits) + unseen)
    now = value(name, np.array([hits]), size, k)
    assert 0 <= now <= 1 + 1e-12
    for i in np.flatnonzero(np.diff(np.array(hits, np.int8)) == 1):  # a miss at i, a hit behind it
        better = [*hits[:i], True, False, *hits[i + 2 :]]
        assert value(name, np.array([better]), size, k) >= now - 1e-12


@pytest.mark.parametrize("name", METRICS)
def test_conformance_each_client_alone(name: str) -> None:
    draw = np.random.default_rng(5)
    hits, sizes = draw.random((50, PLACES)) < 0.3, draw.integers(PLACES, 20, 50)
    together = METRICS[name](Places.of_hits(hits), sizes, 10)
    assert together.tolist() == pytest.approx([value(name, hits[i : i + 1], int(sizes[i]), 10) for i in range(50)])


# Lists of a catalogue of 4, by how many bits each item surprises: 0, 1, 2 and 3.
BITS = np.array([0.0, 1.0, 2.0, 3.0])
LISTS = Lists(np.array([[3, 1, 0], [2, -1, -1], [-1, -1, -1]], np.int32), BITS, np.array([1.0, 2.5, 3.0]))
KNOWN_OF_LISTS = {
    "novelty": [(3 + 1) / 2, 2 / 1, 0],  # at 2: of the second list one place is filled, of the third none
    "popularity_bias": [1 - (3 + 1) / 2, 2.5 - 2 / 1, 0],
}
KNOWN_OF_ALL = {
    "coverage": 3 / 4,  # at 2: items 3, 1 and 2
    # Shown 0, 1, 1 and 1 times: (-3 · 0 - 1 · 1 + 1 · 1 + 3 · 1) / (4 · 3)
    "gini": 3 / 12,
}


@pytest.mark.parametrize("name", LIST_METRICS)
def test_known_values_of_lists(name: str) -> None:
    assert LIST_METRICS[name](LISTS, 2).tolist() == KNOWN_OF_LISTS[name]
    assert LIST_METRICS[name](LISTS, 2).dtype == np.dtype(np.float64)


@pytest.mark.parametrize("name", CATALOGUE_METRICS)
def test_known_values_of_all_lists_together(name: str) -> None:
    assert CATALOGUE_METRICS[name](LISTS.items, 4, 2) == pytest.approx(KNOWN_OF_ALL[name])


def test_coverage_counts_an_item_once_and_empty_places_never() -> None:
    lists = np.array([[3, 1, 4], [3, -1, -1]], np.int32)
    assert coverage(lists, 10, 1) == 1 / 10  # item 3
    assert coverage(lists, 10, 3) == 3 / 10  # items 1, 3, 4


@given(seed=st.integers(0, 2**32 - 1), n_items=st.integers(1, 12))
def test_gini_is_half_the_relative_mean_difference(seed: int, n_items: int) -> None:
    items = np.random.default_rng(seed).integers(-1, n_items, (6, 3)).astype(np.int32)
    shown = [int((items == item).sum()) for item in range(n_items)]
    apart = sum(abs(a - b) for a in shown for b in shown)
    expected = apart / (2 * n_items * sum(shown)) if sum(shown) else 0
    assert gini(items, n_items, 3) == pytest.approx(expected, abs=1e-12)


def test_gini_at_the_ends() -> None:
    assert gini(np.array([[0, 1], [2, 3]], np.int32), 4, 2) == 0  # all equally often
    assert gini(np.array([[2], [2]], np.int32), 4, 1) == 1 - 1 / 4  # only one
    assert gini(np.array([[-1]], np.int32), 4, 1) == 0


def test_novelty_and_bias_equal_a_plain_loop() -> None:
    draw = np.random.default_rng(2)
    bits, items = draw.random(30) * 9, draw.integers(-1, 30, (40, 6)).astype(np.int32)
    truths = [draw.permutation(30)[: draw.integers(1, 5)] for _ in range(40)]
    lists = Lists(items, bits, np.array([bits[truth].mean() for truth in truths]))
    for k in (1, 4, 6):
        plain = [[bits[item] for item in row[:k] if item >= 0] for row in items]
        novelty = [sum(row) / len(row) if row else 0 for row in plain]
        np.testing.assert_allclose(LIST_METRICS["novelty"](lists, k), novelty, rtol=1e-12)
        bias = [
            sum(bits[truth]) / len(truth) - mean if row else 0
            for truth, row, mean in zip(truths, plain, novelty, strict=True)
        ]
        np.testing.assert_allclose(LIST_METRICS["popularity_bias"](lists, k), bias, atol=1e-12)


# Without compiling, which takes it most of a minute: the same code, run by Python. numba asks once, where it is loaded.
RANX = """
import json, sys
import ranx

told = []
for k, lists, truths, metrics in json.load(sys.stdin):
    qrels = ranx.Qrels({f"{i:03}": {f"{item}": 1 for item in truth} for i, truth in enumerate(truths)})
    run = ranx.Run({f"{i:03}": {f"{item}": float(-p) for p, item in enumerate(row)} for i, row in enumerate(lists)})
    told.append({name: ranx.evaluate(qrels, run, f"{name}@{k}", return_mean=False).tolist() for name in metrics})
json.dump(told, sys.stdout)
"""


def random_run(k: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Lists of 60 clients, and their truths."""
    draw = np.random.default_rng(k)
    n, n_items = 60, 40
    sizes = draw.integers(1, 20, n)
    lists = [draw.permutation(n_items)[:PLACES] for _ in range(n)]
    return lists, [draw.permutation(n_items)[:size] for size in sizes]


def test_metrics_equal_ranx() -> None:
    if importlib.util.find_spec("ranx") is None:
        pytest.skip("ranx is not installed")
    runs = {k: random_run(k) for k in (1, 5, 12)}
    words = [[k, *([row.tolist() for row in rows] for rows in both), list(METRICS)] for k, both in runs.items()]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    line = [sys.executable, "-c", RANX]
    done = subprocess.run(line, env=environment, input=json.dumps(words), capture_output=True, text=True, check=True)
    for (k, (lists, truths)), theirs in zip(runs.items(), json.loads(done.stdout), strict=True):
        hits = np.array([np.isin(ranked, truth) for ranked, truth in zip(lists, truths, strict=True)])
        sizes = np.array([len(truth) for truth in truths])
        # ranx divides the sum of precisions by |T|; ours divides by min(k, |T|), so theirs · |T| / min(k, |T|) is ours.
        factors = {"map": sizes / np.minimum(k, sizes)}
        for name, metric in METRICS.items():
            expected = np.array(theirs[name]) * factors.get(name, 1)
            ours = metric(Places.of_hits(hits), sizes, k)
            np.testing.assert_allclose(ours, expected, rtol=1e-12, err_msg=f"{name}@{k}")
