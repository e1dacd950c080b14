from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.retrieval import index
from spfedrec_cli.retrieval.index import blocks, exclusions, refuse_nan, top_k


def by_sorting(row: npt.NDArray[np.float32], k: int, excluded: npt.NDArray[np.bool_]) -> list[int]:
    ranked = sorted(np.flatnonzero(~excluded).tolist(), key=lambda item: (-row[item], item))[:k]
    return ranked + [-1] * (k - len(ranked))


@pytest.fixture(autouse=True, scope="module", params=[0, 10**9], ids=["many rows", "few rows"])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of keeping the best: by machine code, and by numpy for a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spfedrec_cli.retrieval.index.FEW", request.param)
        yield


def test_top_k_orders_by_score_then_by_item() -> None:
    items, scores = top_k(np.array([[0.5, 2, 0.5, 2, 1]], np.float32), 4)
    assert items.tolist() == [[1, 3, 4, 0]]  # of the two 0.5 at the border of the list, item 0 and not item 2
    assert scores.tolist() == [[2, 2, 1, 0.5]]
    assert items.dtype == np.dtype(np.int32)
    assert scores.dtype == np.dtype(np.float32)


def test_both_zeros_are_one_score() -> None:
    assert top_k(np.array([[0.0, -0.0, 0.0, -0.0]], np.float32), 3)[0].tolist() == [[0, 1, 2]]


def test_excluded_items_do_not_come_back_when_few_are_left() -> None:
    excluded = np.array([[True, False, True, True], [True, True, True, True]])
    items, scores = top_k(np.ones((2, 4), np.float32), 2, excluded)
    assert items.tolist() == [[1, -1], [-1, -1]]
    assert scores.tolist() == [[1, -np.inf], [-np.inf, -np.inf]]


def test_an_allowed_item_of_score_minus_infinity_is_ranked_and_an_excluded_one_is_not() -> None:
    row = np.array([[-np.inf, -np.inf, 3, -np.inf]], np.float32)
    excluded = np.array([[True, False, False, False]])
    assert top_k(row, 4, excluded)[0].tolist() == [[2, 1, 3, -1]]


def test_top_k_leaves_its_input_alone() -> None:
    scores = np.broadcast_to(np.arange(5, dtype=np.float32), (3, 5))  # read-only
    assert top_k(scores, 2, np.eye(3, 5, k=2, dtype=np.bool_))[0].tolist() == [[4, 3], [4, 2], [3, 2]]


def test_k_beyond_the_items_leaves_places_empty() -> None:
    assert top_k(np.array([[1, 2]], np.float32), 3)[0].tolist() == [[1, 0, -1]]


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 600),
    k=st.integers(1, 12),
    levels=st.integers(1, 30),
    share=st.sampled_from([0.0, 0.3, 0.95]),
)
def test_top_k_equals_sorting(seed: int, width: int, k: int, levels: int, share: float) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(-levels, levels, (4, width)).astype(np.float32)  # few levels: ties at every border
    excluded = draw.random((4, width)) < share
    items, best = top_k(scores, k, excluded if share else None)
    for i in range(4):
        assert items[i].tolist() == by_sorting(scores[i], k, excluded[i])
        filled = items[i] >= 0
        assert best[i, filled].tolist() == scores[i, items[i, filled]].tolist()


@pytest.mark.parametrize("levels", [1, 40, 10**6])
def test_top_k_of_a_whole_catalogue_equals_sorting(levels: int) -> None:
    scores = np.random.default_rng(levels).integers(0, levels, (3, 105_542)).astype(np.float32)
    expected = np.lexsort((np.broadcast_to(np.arange(105_542), scores.shape), -scores), axis=1)[:, :12]
    assert (top_k(scores, 12)[0] == expected).all()


def test_blocks_cover_every_row_within_the_bound() -> None:
    cut = list(blocks(70_000, 105_542))
    assert np.concatenate([np.arange(block.start, block.stop) for block in cut]).tolist() == list(range(70_000))
    assert max(4 * 105_542 * (block.stop - block.start) for block in cut) <= index.BLOCK_BYTES
    assert list(blocks(2, 10**9)) == [slice(0, 1), slice(1, 2)]  # one row at least
    assert list(blocks(0, 10)) == []


def test_exclusions_join_seen_items_and_items_outside_the_candidates() -> None:
    seen, candidates = Ragged.from_rows([[2, 0], []]), np.array([True, False, True])
    both = exclusions(3, 2, seen, candidates)
    assert both is not None
    assert both.tolist() == [[True, True, True], [False, True, False]]
    assert exclusions(3, 2, None, None) is None


def test_refuse_nan_names_the_client() -> None:
    scores = np.zeros((3, 4), np.float32)
    refuse_nan(scores, np.array([7, 8, 9]))
    scores[1, 2] = np.nan
    with pytest.raises(SpfedrecError, match="client 8"):
        refuse_nan(scores, np.array([7, 8, 9]))
