from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spfedrec_cli.data.purchases import Purchases, concatenate, merge
from spfedrec_cli.data.rows import Rows

MOST = 2**31 - 1
ROW = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([-5, 0, 1, 2, 86_400, MOST]),
    st.sampled_from([np.nan, 0.0, 0.1, 0.25, 3.0]),
    st.sampled_from([1, 2, 3, MOST]),
)
ROWS = st.lists(ROW, max_size=40)
NAMES = ("client", "item", "time", "purchases", "pieces", "price")


def rows_of(rows: list[tuple[Any, ...]], counted: bool) -> Rows:
    columns = zip(*rows, strict=True) if rows else ([],) * 5
    client, item, time, price, quantity = (np.array(column) for column in columns)
    whole = [column.astype(np.int32) for column in (client, item, time, quantity)]
    return Rows(*whole[:3], price.astype(np.float32), whole[3] if counted else None)


def plain(rows: list[tuple[Any, ...]], counted: bool) -> pd.DataFrame:
    """What `merge` should make of them."""
    frame = pd.DataFrame(rows, columns=["client", "item", "time", "price", "pieces"]).astype({"price": np.float32})
    frame["pieces"] = frame.pieces if counted else 1
    frame["known"] = frame.pieces.where(frame.price.notna(), 0)
    frame["spent"] = (frame.price.astype(float) * frame.pieces).fillna(0)
    groups = frame.sort_values(["client", "time"], kind="stable").groupby(["client", "time", "item"], sort=False)
    folded = groups.agg(
        purchases=("item", "size"), pieces=("pieces", "sum"), spent=("spent", "sum"), known=("known", "sum")
    )
    folded["price"] = folded.spent / folded.known.where(folded.known > 0)
    return folded.reset_index()[list(NAMES)]


def again(rows: list[tuple[Any, ...]]) -> float:
    """The share of pairs (client, item) with more than one time."""
    times = pd.DataFrame(rows).groupby([0, 1])[2].nunique() if rows else pd.Series([1])
    return float((times > 1).mean())


@pytest.mark.parametrize("counted", [True, False])
@given(rows=ROWS, size=st.sampled_from([1, 5, 1 << 18]))
@example(rows=[], size=1)
@example(rows=[(0, 1, 0, 0.1, MOST)] * 3, size=1)
def test_folding_agrees_with_pandas(counted: bool, rows: list[tuple[Any, ...]], size: int) -> None:
    expected = plain(rows, counted)
    made, repeated = merge(rows_of(rows, counted), size)
    for name in NAMES[:-1]:
        assert getattr(made, name).tolist() == expected[name].tolist()
    np.testing.assert_allclose(made.price, expected.price.to_numpy(float), rtol=1e-6)
    assert made.total == len(rows)
    assert int(made.pieces.sum()) == (sum(row[4] for row in rows) if counted else len(rows))
    assert repeated.share == again(rows)


def test_bits_do_not_depend_on_where_the_rows_are_cut() -> None:
    draw = np.random.default_rng(0)
    columns = [draw.integers(0, n, 50_000).astype(np.int32) for n in (40, 30, 9)]
    price = draw.random(50_000).astype(np.float32)
    quantity = draw.integers(1, 9, 50_000).astype(np.int32)
    made = [merge(Rows(*columns, price, quantity), size)[0] for size in (10, 3000, 1 << 20)]
    for one, two in pairwise(made):
        assert all((getattr(one, name) == getattr(two, name)).all() for name in NAMES)


def test_a_repeated_row_is_folded_at_the_place_of_the_first() -> None:
    rows = [(1, 9, 5, 0.2, 2), (0, 3, 7, np.nan, 1), (1, 4, 5, 0.1, 1), (1, 9, 5, 0.5, 1), (1, 2, 4, 0.1, 1)]
    made, repeated = merge(rows_of(rows, True))
    columns = (made.client, made.item, made.time, made.purchases, made.pieces)
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    assert found == [(0, 3, 7, 1, 1), (1, 2, 4, 1, 1), (1, 9, 5, 2, 3), (1, 4, 5, 1, 1)]
    assert made.price[2] == pytest.approx((2 * 0.2 + 1 * 0.5) / 3)
    assert np.isnan(made.price[0])
    assert repeated.again == 0  # the same item twice at one time is not bought again


def test_pieces_are_exact_where_floats_are_not() -> None:
    made, _ = merge(rows_of([(0, 0, 0, 1.0, MOST)] * (1 << 22) + [(0, 0, 0, 1.0, 1)], True))
    assert made.pieces.tolist() == [MOST * (1 << 22) + 1]
    assert made.pieces.dtype == np.int64


def test_a_single_price_keeps_its_bits() -> None:
    price = np.random.default_rng(0).random(1000).astype(np.float32)
    number = np.arange(1000, dtype=np.int32)
    made, _ = merge(Rows(number, number, number, price, np.full(1000, MOST, np.int32)))
    assert (made.price == price).all()


@given(ROWS, st.integers(0, 30))
def test_concatenating_undoes_cutting(rows: list[tuple[Any, ...]], cut: int) -> None:
    whole, _ = merge(rows_of(rows, True))
    joined = concatenate([whole.take(slice(cut)), whole.take(np.arange(len(whole)) >= cut)])
    for name in NAMES:
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    assert isinstance(joined, Purchases)
