import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.negatives import draw
from spfedrec_cli.data.ragged import Ragged


@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=6), st.integers(1, 14), st.integers(0, 99))
def test_negatives_are_distinct_and_never_bought(bought: list[set[int]], size: int, seed: int) -> None:
    clients = np.arange(len(bought), dtype=np.int32) * 3
    drawn = draw(clients, Ragged.from_rows([sorted(row) for row in bought]), 12, seed, size)
    assert drawn.shape == (len(bought), size)
    for row, own in zip(drawn.tolist(), bought, strict=True):
        real = [item for item in row if item >= 0]
        assert real == sorted(set(real))
        assert not set(real) & own
        assert set(real) <= set(range(12))
        assert row == real + [-1] * (size - len(real))
        assert len(real) == min(size, 12 - len(own))


def test_every_item_never_bought_is_equally_likely() -> None:
    n, bought, size = 20_000, [1, 2, 5, 9], 3
    drawn = draw(np.arange(n, dtype=np.int32), Ragged.from_rows([bought] * n), 10, 0, size)
    counts = np.bincount(drawn.ravel(), minlength=10)
    share = size / 6  # six of ten items were never bought
    free = np.setdiff1d(np.arange(10), bought)
    assert np.abs(counts[free] - n * share).max() < 5 * np.sqrt(n * share * (1 - share))
    assert counts[bought].sum() == 0


def test_every_subset_is_equally_likely() -> None:
    n = 20_000
    drawn = draw(np.arange(n, dtype=np.int32), Ragged.from_rows([[]] * n), 4, 0, 2)
    subsets = np.bincount(drawn[:, 0] * 4 + drawn[:, 1])
    counts = subsets[subsets > 0]
    assert len(counts) == 6  # 4 over 2
    assert np.abs(counts - n / 6).max() < 5 * np.sqrt(n * 1 / 6 * 5 / 6)


def test_one_client_alone_gets_what_it_gets_among_others() -> None:
    bought = Ragged.from_rows([[1], [2, 300], [7]])
    clients = np.array([4, 9, 20], np.int32)
    together = draw(clients, bought, 500, 7)
    alone = draw(clients[1:2], bought.take(np.array([1])), 500, 7)
    assert together[1].tolist() == alone[0].tolist()


def test_the_seed_changes_the_draw() -> None:
    bought = Ragged.from_rows([[]])
    one = np.zeros(1, np.int32)
    assert draw(one, bought, 1000, 0).tolist() != draw(one, bought, 1000, 1).tolist()
