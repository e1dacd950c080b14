import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data import packing
from spfedrec_cli.data.packing import sort, sort_by

EXTREME = st.one_of(st.integers(-5, 5), st.sampled_from([-(2**31), 2**31 - 1]))


@given(
    rows=st.lists(st.tuples(EXTREME, st.integers(-3, 3), st.integers(0, 9)), max_size=60),
    width=st.sampled_from([64, 8, 0]),
)
def test_rows_come_sorted_packed_or_by_an_order(rows: list[tuple[int, int, int]], width: int) -> None:
    columns = [np.array(column, np.int32) for column in zip(*rows, strict=True)] or [np.empty(0, np.int32)] * 3
    before = [(column, column.tolist()) for column in columns]
    found = sort_by(columns, width)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == sorted(rows)
    assert all(column.dtype == np.int32 for column in found)
    assert columns == []
    assert all(column.tolist() == values for column, values in before)


def test_what_does_not_fit_64_bits_is_still_sorted() -> None:
    high = np.array([2**31 - 1, -(2**31), 0], np.int32)
    found = sort_by([high, high.copy(), high.copy()])
    assert [column.tolist() for column in found] == [sorted(high.tolist())] * 3


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_many_steps_and_threads_sort_like_one(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(packing, "_STEP", step)
    monkeypatch.setattr(packing, "cores", lambda: 3)
    random = np.random.default_rng(0)
    values = random.integers(2**64, size=500, dtype=np.uint64)
    expected = np.sort(values)
    sort(values)
    assert (values == expected).all()
    columns = [random.integers(-9, 9, 500).astype(np.int32) for _ in range(3)]
    rows = sorted(zip(*(column.tolist() for column in columns), strict=True))
    assert list(zip(*(column.tolist() for column in sort_by(columns)), strict=True)) == rows
