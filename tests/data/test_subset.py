from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.rows import Rows
from spfedrec_cli.data.subset import Subset, keep
from spfedrec_cli.errors import InputError

Row = tuple[int, int, int, int]  # client, item, day, channel
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 40), st.integers(1, 2)), min_size=1, max_size=60
)


def rows_of(rows: list[Row], quantity: list[int] | None = None) -> Rows:
    client, item, time, channel = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    ids = pa.array([f"id {number}" for number in range(6)])
    price = np.arange(len(rows), dtype=np.float32)
    counts = None if quantity is None else np.array(quantity, np.int32)
    return Rows(client, item, time, price, counts, channel.astype(np.int8), ids, ids)


def left(rows: Rows) -> list[Row]:
    assert rows.channel is not None
    columns = (rows.client, rows.item, rows.time, rows.channel)
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]  # type: ignore[misc]


def test_nothing_asked_keeps_all_and_tells_no_steps() -> None:
    rows = rows_of([(0, 0, 0, 1)])
    assert keep(rows, Subset(), "day", 0) == ()
    assert len(rows) == 1


def test_days_are_kept_with_both_ends() -> None:
    rows = rows_of([(0, 0, day, 1) for day in range(10)])
    steps = keep(rows, Subset(first=date(1970, 1, 3), last=date(1970, 1, 6)), "day", 0)
    assert rows.time.tolist() == [2, 3, 4, 5]
    assert rows.price.tolist() == [2, 3, 4, 5]
    assert [(step.step, step.purchases) for step in steps] == [
        ("as read", 10),
        ("--from 1970-01-03", 8),
        ("--to 1970-01-06", 4),
    ]


def test_days_of_seconds_are_whole() -> None:
    rows = rows_of([(0, 0, second, 1) for second in (86399, 86400, 172799, 172800)])
    keep(rows, Subset(first=date(1970, 1, 2), last=date(1970, 1, 2)), "second", 0)
    assert rows.time.tolist() == [86400, 172799]


def test_last_weeks_end_on_the_last_day_that_is_left() -> None:
    rows = rows_of([(0, 0, day, 1) for day in (0, 5, 6, 12, 13, 20)])
    keep(rows, Subset(last=date(1970, 1, 14), last_weeks=1), "day", 0)
    assert rows.time.tolist() == [12, 13]  # 1970-01-14 is day 13: days 7 to 13


def test_a_channel() -> None:
    rows = rows_of([(0, 0, 0, 1), (1, 0, 0, 2)])
    keep(rows, Subset(channel=2), "day", 0)
    assert rows.client.tolist() == [1]


@given(ROWS, st.integers(1, 4), st.integers(1, 4))
def test_the_core_agrees_with_dropping_one_at_a_time(rows: list[Row], purchases: int, sales: int) -> None:
    """The core is what no order of dropping single customers and articles can avoid."""
    expected = list(rows)
    while True:
        clients, items = Counter(row[0] for row in expected), Counter(row[1] for row in expected)
        bad_clients = [one for one, count in clients.items() if count < purchases]
        bad_items = [one for one, count in items.items() if count < sales]
        if bad_clients:
            expected = [row for row in expected if row[0] != bad_clients[0]]
        elif bad_items:
            expected = [row for row in expected if row[1] != bad_items[0]]
        else:
            break
    found = rows_of(rows)
    subset = Subset(min_purchases=purchases, min_sales=sales)
    if not expected:
        with pytest.raises(
            InputError, match=f"No purchases are left after --min-purchases {purchases} --min-sales {sales}"
        ):
            keep(found, subset, "day", 0)
        return
    steps = keep(found, subset, "day", 0)
    assert left(found) == expected
    assert (steps[-1].clients, steps[-1].items) == (len(clients), len(items))


def test_a_row_is_one_purchase_whatever_its_quantity() -> None:
    rows = rows_of([(0, 0, 0, 1), (1, 0, 0, 1), (1, 0, 0, 1)], quantity=[3, 1, 1])
    steps = keep(rows, Subset(min_purchases=2), "day", 0)
    assert rows.client.tolist() == [1, 1]
    assert [step.purchases for step in steps] == [3, 2]


@given(ROWS, st.integers(0, 99), st.randoms())
def test_the_same_customers_whatever_the_order_of_the_rows(rows: list[Row], seed: int, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    wanted = max(1, len({row[0] for row in rows}) // 2)
    one, two = rows_of(rows), rows_of(shuffled)
    keep(one, Subset(customers=wanted), "day", seed)
    keep(two, Subset(customers=wanted), "day", seed)
    assert sorted(left(one)) == sorted(left(two))
    kept = {row[0] for row in left(one)}
    assert len(kept) == wanted
    assert left(one) == [row for row in rows if row[0] in kept]


def test_a_larger_subset_holds_the_smaller_and_a_seed_draws_another() -> None:
    def kept(wanted: int | float, seed: int = 0) -> set[int]:
        rows = rows_of([(client, 0, 0, 1) for client in range(6)])
        keep(rows, Subset(customers=wanted), "day", seed)
        return set(rows.client.tolist())

    assert kept(1) < kept(2) < kept(4) < kept(6)
    assert kept(0.5) == kept(3)
    assert len({tuple(sorted(kept(3, seed))) for seed in range(9)}) > 1


def test_every_customer_is_as_likely_as_another() -> None:
    drawn = np.zeros(6)
    for seed in range(600):
        rows = rows_of([(client, 0, 0, 1) for client in range(6)])
        keep(rows, Subset(customers=2), "day", seed)
        drawn[rows.client] += 1
    assert np.abs(drawn - 200).max() < 5 * np.sqrt(600 * (1 / 3) * (2 / 3))


@pytest.mark.parametrize("wanted", [0, -1, 7, 0.0, 1.5, -0.5, float("nan"), float("inf")])
def test_customers_out_of_range(wanted: int | float) -> None:
    with pytest.raises(
        InputError, match=r"--customers .* does not fit the source's 6 buyers; give a number from 1 to 6"
    ):
        keep(rows_of([(client, 0, 0, 1) for client in range(6)]), Subset(customers=wanted), "day", 0)


def test_what_does_not_fit_the_source_is_refused() -> None:
    rows = rows_of([(0, 0, 0, 1)])
    with pytest.raises(InputError, match="--last-weeks needs dates, and this source has none; leave it out"):
        keep(rows, Subset(last_weeks=1), "row", 0)
    rows.channel = None
    with pytest.raises(InputError, match="--channel needs a source with sales channels"):
        keep(rows, Subset(channel=1), "day", 0)
    with pytest.raises(InputError, match="No purchases are left after --from 2030-01-01"):
        keep(rows, Subset(first=date(2030, 1, 1)), "day", 0)
