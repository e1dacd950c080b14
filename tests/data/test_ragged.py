import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.ragged import Ragged, firsts

ROWS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5), min_size=1, max_size=8)


def test_known_rows() -> None:
    ragged = Ragged.from_rows([[7, 8], [], [9]])
    assert len(ragged) == 3
    assert ragged.offsets.tolist() == [0, 2, 2, 3]
    assert ragged.values.tolist() == [7, 8, 9]
    assert ragged.lengths.tolist() == [2, 0, 1]
    assert ragged.row(0).tolist() == [7, 8]
    assert ragged.row(1).tolist() == []
    assert ragged.row_index().tolist() == [0, 0, 2]
    assert ragged.position().tolist() == [0, 1, 0]
    assert ragged.padded(-1).tolist() == [[7, 8], [-1, -1], [9, -1]]
    assert ragged.padded(0, width=3).tolist() == [[7, 8, 0], [0, 0, 0], [9, 0, 0]]
    assert ragged.values.dtype == np.int32
    assert ragged.offsets.dtype == np.int64


def test_no_rows() -> None:
    ragged = Ragged.from_rows([])
    assert len(ragged) == 0
    assert ragged.padded(-1).shape == (0, 0)


@given(ROWS)
def test_rows_come_back(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    assert [ragged.row(i).tolist() for i in range(len(ragged))] == rows
    again = Ragged.from_lengths(ragged.lengths, ragged.values)
    assert again.offsets.tolist() == ragged.offsets.tolist()
    assert again.values.tolist() == ragged.values.tolist()


@given(ROWS, st.data())
def test_take_is_indexing(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6))
    taken = Ragged.from_rows(rows).take(np.array(chosen, np.int64))
    assert [taken.row(i).tolist() for i in range(len(taken))] == [rows[i] for i in chosen]


@given(ROWS)
def test_every_value_knows_its_row_and_place(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    places = zip(ragged.row_index(), ragged.position(), ragged.values, strict=True)
    assert all(rows[row][position] == value for row, position, value in places)
    width = max(len(row) for row in rows)
    assert ragged.padded(-1).tolist() == [row + [-1] * (width - len(row)) for row in rows]


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.lists(st.integers(0, 9), max_size=4))))
def test_followed_by_joins_row_by_row(rows: list[tuple[list[int], list[int]]]) -> None:
    one, two = (Ragged.from_rows([row[side] for row in rows]) for side in (0, 1))
    both = one.followed_by(two)
    assert [both.row(i).tolist() for i in range(len(both))] == [first + second for first, second in rows]
    assert both.values.dtype == np.int32


def test_the_first_place_of_each_group() -> None:
    assert firsts(np.array([5, 5, 7, 7, 7])).tolist() == [0, 0, 2, 2, 2]
    assert firsts(np.array([5, 5, 7, 7, 7]), np.array([1, 2, 2, 2, 3])).tolist() == [0, 1, 2, 2, 4]
    assert firsts(np.array([], np.int64)).tolist() == []
