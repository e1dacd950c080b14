import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spfedrec_cli.data import grouping
from spfedrec_cli.data.grouping import chunks, distinct, ends, first_of, groups, latest, stable_order
from spfedrec_cli.data.ragged import Ragged

N_ITEMS = 7
Rows = list[list[int]]

items = st.lists(st.integers(0, N_ITEMS - 1), max_size=12)


def rows(ragged: Ragged) -> Rows:
    return [ragged.row(i).tolist() for i in range(len(ragged))]


def plain_distinct(bought: Sequence[int]) -> list[int]:
    return sorted(set(bought))


def plain_latest(bought: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(reversed(bought)))[::-1]


FORMS = [(distinct, plain_distinct), (latest, plain_latest)]
Fast, Plain = Callable[[Ragged, int, int], Ragged], Callable[[Sequence[int]], list[int]]


@pytest.mark.parametrize("fast, plain", FORMS)
@given(bought=st.lists(items, max_size=9), size=st.integers(1, 30))
@example(bought=[], size=1)
@example(bought=[[], []], size=1)
@example(bought=[[], [3, 3, 3], [], [6, 0, 6, 0], []], size=4)
def test_the_fast_form_equals_the_plain_one(fast: Fast, plain: Plain, bought: Rows, size: int) -> None:
    assert rows(fast(Ragged.from_rows(bought), N_ITEMS, size)) == [plain(row) for row in bought]


@pytest.mark.parametrize("fast, plain", FORMS)
def test_one_client_with_thousands_of_purchases_among_small_ones(fast: Fast, plain: Plain) -> None:
    draw = np.random.default_rng(0)
    bought = [draw.integers(0, 105_542, n).tolist() for n in (3, 0, 2000, 1, 5)] + [[105_541] * 700]
    for size in (1, 100, 2003, 10_000):
        assert rows(fast(Ragged.from_rows(bought), 105_542, size)) == [plain(row) for row in bought]


@pytest.mark.parametrize("fast, plain", FORMS)
def test_items_up_to_the_last_number_there_is(fast: Fast, plain: Plain) -> None:
    last = 2**31 - 2
    bought = [[last, 0, last], [1, last - 1]]
    assert rows(fast(Ragged.from_rows(bought), last + 1, 1 << 21)) == [plain(row) for row in bought]


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 25))
def test_chunks_cover_all_clients_once_and_stay_small(lengths: list[int], size: int) -> None:
    offsets = Ragged.from_lengths(np.array(lengths, np.int64), np.empty(0, np.int32)).offsets
    made = list(chunks(offsets, size))
    assert [client for low, high in made for client in range(low, high)] == list(range(len(lengths)))
    for low, high in made:
        assert high - low + offsets[high] - offsets[low] <= size or high - low == 1


@pytest.mark.parametrize("most", [9, 2**59, 2**60, 2**62])
def test_groups_of_large_keys(most: int) -> None:
    """Whether key and place fit into one number or not."""
    order, starts = groups(np.array([most, 3, most, 0, most - 1]))
    assert (order.tolist(), starts.tolist()) == ([3, 1, 4, 0, 2], [0, 1, 2, 3])


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 5))
def test_an_order_by_several_cores_is_that_of_one(keys: list[int], cores: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_MANY", 0)
        patch.setattr(os, "cpu_count", lambda: cores)
        order = stable_order(np.array(keys, np.int32))
    assert order.tolist() == sorted(range(len(keys)), key=lambda place: keys[place])


def test_each_core_sorts_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_by: list[list[int]] = []
    monkeypatch.setattr(grouping, "_MANY", 3)
    monkeypatch.setattr(grouping, "each", lambda work, parts: sorted_by.extend(part.tolist() for part in parts))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    stable_order(np.array([3, 2, 1, 0]))
    stable_order(np.array([2, 1, 0]))
    assert [len(part) for part in sorted_by] == [2, 2, 3]
    assert max(sorted_by[0]) < min(sorted_by[1])


def test_groups_keep_the_order_of_equals() -> None:
    order, starts = groups(np.array([7, 3, 7, 3, 3, 9]))
    assert order.tolist() == [1, 3, 4, 0, 2, 5]
    assert starts.tolist() == [0, 3, 5]
    assert ends(starts, 6).tolist() == [2, 4, 5]
    assert [one.tolist() for one in groups(np.array([], np.int64))] == [[], []]


def test_first_of() -> None:
    assert first_of(np.array([2, 2, 3, 5, 5])).tolist() == [True, False, True, True, False]
    assert first_of(np.array([])).tolist() == []


def test_what_goes_with_the_latest() -> None:
    """Client 0 bought 5, 7, 5: its latest are 7 and 5, which stand at places 1 and 2."""
    bought = Ragged.from_rows([[5, 7, 5], [], [7]])
    assert latest(bought, 10).values.tolist() == [7, 5, 7]
    found = latest(bought, 10, of=np.array([10, 20, 30, 40], np.int32))
    assert (found.lengths.tolist(), found.values.tolist()) == ([2, 0, 1], [20, 30, 40])
