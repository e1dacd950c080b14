import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.purchases import Purchases, concatenate, merge
from spfedrec_cli.data.rows import Rows

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=30)


def merged(rows: list[tuple[int, int, int]], prices: list[float] | None = None) -> Purchases:
    client, item, time = np.array(rows, np.int32).reshape(-1, 3).T
    price = np.full(len(rows), np.nan) if prices is None else np.array(prices)
    return merge(Rows(client, item, time, price.astype(np.float32)))


def triples(purchases: Purchases) -> list[tuple[int, int, int, int]]:
    columns = (purchases.client, purchases.item, purchases.time, purchases.quantity)
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]  # type: ignore[misc]


def test_a_repeated_row_becomes_a_quantity_at_the_place_of_the_first() -> None:
    purchases = merged([(1, 9, 5), (0, 3, 7), (1, 4, 5), (1, 9, 5), (1, 2, 4)])
    assert triples(purchases) == [(0, 3, 7, 1), (1, 2, 4, 1), (1, 9, 5, 2), (1, 4, 5, 1)]
    assert purchases.total == 5


def test_the_price_is_the_mean_of_those_known() -> None:
    price = merged([(0, 1, 1)] * 3 + [(0, 2, 1)], [0.2, np.nan, 0.4, np.nan]).price
    assert price[0] == pytest.approx((0.2 + 0.4) / 2)
    assert np.isnan(price[1])


def test_a_quantity_stops_at_the_largest() -> None:
    assert merged([(0, 0, 0)] * 40_000).quantity.tolist() == [32767]


@given(ROWS)
def test_merging_agrees_with_a_dictionary(rows: list[tuple[int, int, int]]) -> None:
    counted: dict[tuple[int, int, int], int] = {}
    for row in rows:
        counted[row] = counted.get(row, 0) + 1
    # A dictionary keeps the order of first insertion, and sorting is stable.
    expected = sorted(((c, i, t, n) for (c, i, t), n in counted.items()), key=lambda row: (row[0], row[2]))
    assert triples(merged(rows)) == expected


@given(ROWS, st.integers(0, 30))
def test_concatenating_undoes_cutting(rows: list[tuple[int, int, int]], cut: int) -> None:
    whole = merged(rows)
    places = np.arange(len(whole))
    parts = [whole.take(places < cut), whole.take(places[places >= cut])]
    assert triples(concatenate(parts)) == triples(whole)


def test_pairs_do_not_overflow() -> None:
    client, item = np.array([1_371_979], np.int32), np.array([105_541], np.int32)
    one = np.ones(1)
    purchases = Purchases(client, item, client, one.astype(np.int16), one.astype(np.float32))
    assert purchases.pairs(105_542).tolist() == [1_371_979 * 105_542 + 105_541]
