from unittest import mock

import numpy as np
import pytest

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval import index
from spfedrec_cli.retrieval.serve import recommend

ITEMS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
QUERIES = np.array([[2, 1], [0, 3]], np.float32)


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
    with mock.patch.object(index, "BLOCK_BYTES", 7 * 90 * 4):
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


def test_nan_is_refused() -> None:
    with pytest.raises(SpfedrecError, match="NaN"):
        recommend(QUERIES * np.nan, ITEMS, 2)
