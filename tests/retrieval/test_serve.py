from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval import serve
from spfedrec_cli.retrieval.index import exclusions, top_k
from spfedrec_cli.retrieval.serve import recommend

ITEMS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
QUERIES = np.array([[2, 1], [0, 3]], np.float32)


@pytest.fixture(autouse=True, scope="module", params=[0, 10**9], ids=["many rows", "few rows"])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of keeping the best: by machine code, and by numpy for a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spfedrec_cli.retrieval.index.FEW", request.param)
        yield


def test_recommend_ranks_inner_products() -> None:
    items, scores = recommend(QUERIES, ITEMS, 3)
    assert items.tolist() == [[2, 0, 1], [1, 2, 0]]  # scores 2, 1, 3, 0 and 0, 3, 3, 0
    assert scores.tolist() == [[3, 2, 1], [3, 3, 0]]


def test_recommend_leaves_seen_items_out() -> None:
    items, scores = recommend(QUERIES, ITEMS, 3, Ragged.from_rows([[2, 3], []]))
    assert items.tolist() == [[0, 1, -1], [1, 2, 0]]
    assert scores[0, 2] == -np.inf


def test_blocks_do_not_show() -> None:
    draw = np.random.default_rng(0)
    # Small whole numbers: their products are exact, so that the size of a block cannot show in the last bit either.
    queries, items = draw.integers(-3, 4, (40, 8)).astype(np.float32), draw.integers(-3, 4, (90, 8)).astype(np.float32)
    seen = Ragged.from_rows([draw.permutation(90)[: i % 5].tolist() for i in range(40)])
    whole = recommend(queries, items, 6, seen)
    with mock.patch.object(serve, "QUERIES", 7), mock.patch.object(serve, "ITEMS", 11):
        cut = recommend(queries, items, 6, seen)
    assert (whole[0] == cut[0]).all()
    assert (whole[1] == cut[1]).all()


def test_nobody_gets_nothing() -> None:
    assert recommend(QUERIES[:0], ITEMS, 2)[0].shape == (0, 2)


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_the_catalogue(k: int) -> None:
    with pytest.raises(InputError, match="from 1 to the 4"):
        recommend(QUERIES, ITEMS, k)


def test_other_dimensions() -> None:
    with pytest.raises(SpfedrecError, match="1 dimensions, item embeddings 2"):
        recommend(QUERIES[:, :1], ITEMS, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_may_come_to_no_number_is_refused(value: float) -> None:
    broken = np.array([[1, 0], [value, 1e30]], np.float32)
    with pytest.raises(SpfedrecError, match=r"NaN.*client 1"):
        recommend(broken, ITEMS * np.float32(1e10), 2)
    with pytest.raises(SpfedrecError, match=r"NaN.*client 0"):
        recommend(QUERIES * np.float32(1e10), np.where(ITEMS > 0, np.float32(value), 0), 2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12))
def test_recommend_equals_top_k_of_all_scores(seed: int, n_items: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    queries, items = (draw.integers(-2, 3, (n, 4)).astype(np.float32) for n in (9, n_items))
    seen = Ragged.from_rows([draw.permutation(n_items)[: draw.integers(0, n_items + 1)].tolist() for _ in range(9)])
    k = min(k, n_items)
    with mock.patch.object(serve, "QUERIES", 4), mock.patch.object(serve, "ITEMS", 7):
        found = recommend(queries, items, k, seen, threads=3)
    expected = top_k(queries @ items.T, k, exclusions(n_items, 9, seen, None))
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
