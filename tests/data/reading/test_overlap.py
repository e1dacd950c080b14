from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.reading.overlap import seen_before

Row = tuple[str, int, float]


def seen(inputs: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """The rows of each input that are new."""
    rows = [row for one in inputs for row in one]
    text, number, price = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "item": pa.array(text, pa.string()).dictionary_encode(),
        "time": np.array(number, np.int32),
        "price": np.array(price, np.float32),
    }
    source = np.repeat(np.arange(len(inputs)), [len(one) for one in inputs])
    again = seen_before(columns, source)
    assert again.shape == (len(rows),)
    return [
        [row for row, old, of in zip(rows, again, source, strict=True) if of == place and not old]
        for place in range(len(inputs))
    ]


def reference(inputs: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """Of each row so many are new as an input holds beyond what any earlier one holds: those that come last."""
    before, found = Counter[str](), []
    for one in inputs:
        own, new = Counter[str](), []
        for row in one:
            own[repr(row)] += 1
            if own[repr(row)] > before[repr(row)]:
                new.append(row)
        before |= own
        found.append(new)
    return found


def test_twice_the_same_in_one_input_are_two_purchases() -> None:
    a, b = ("a", 1, 1.0), ("b", 1, 1.0)
    assert seen([[a, a, b]]) == [[a, a, b]]
    assert seen([[a, a], [a]]) == [[a, a], []]
    assert seen([[a], [a, b, a, a]]) == [[a], [b, a, a]]
    assert seen([[a], [a, a], [a, a, a]]) == [[a], [a], [a]]
    assert seen([[a, a], [], [a]]) == [[a, a], [], []]
    assert seen([[], []]) == [[], []]


def test_a_row_is_another_where_one_column_differs() -> None:
    rows = [("a", 1, 1.0), ("b", 1, 1.0), ("a", 2, 1.0), ("a", 1, 2.0)]
    assert seen([rows[:1], rows[1:]]) == [rows[:1], rows[1:]]


def test_unknown_prices_are_the_same() -> None:
    unknown = ("a", 1, float("nan"))
    assert [len(new) for new in seen([[unknown, unknown], [unknown, ("a", 1, 0.0)]])] == [2, 1]


ROW = st.tuples(st.sampled_from("ab"), st.integers(-1, 1), st.sampled_from([0.0, 0.5, float("nan")]))


@settings(max_examples=100)
@given(st.lists(st.lists(ROW, max_size=8), min_size=1, max_size=4))
def test_inputs_are_joined_like_multisets(inputs: list[list[Row]]) -> None:
    assert [list(map(repr, new)) for new in seen(inputs)] == [list(map(repr, new)) for new in reference(inputs)]
