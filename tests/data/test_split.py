from collections import defaultdict
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.purchases import Purchases, merge
from spfedrec_cli.data.rows import Rows
from spfedrec_cli.data.schema import SPLITS, TimeUnit
from spfedrec_cli.data.split import SPLITTERS, Division, leave_one_out, temporal
from spfedrec_cli.errors import InputError

DAY = 86400
# One client that either split can hold something out of, and anything beside it.
CERTAIN = [(0, 1, 0), (0, 2, 10), (0, 3, 40)]
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 60)), max_size=40).map(
    lambda rows: CERTAIN + rows
)


def purchases(rows: list[tuple[int, int, int]]) -> Purchases:
    client, item, time = np.array(rows, np.int32).reshape(-1, 3).T
    return merge(Rows(client, item, time, np.full(len(rows), np.nan, np.float32)))[0]


def parts(division: Division) -> dict[str, list[tuple[int, int, int]]]:
    return {
        name: list(zip(part.client.tolist(), part.item.tolist(), part.time.tolist(), strict=True))
        for name, part in ((name, division.rows(name)) for name in SPLITS)
    }


def test_temporal_weeks_end_on_the_last_day() -> None:
    end = (date(2020, 9, 22) - date(1970, 1, 1)).days
    rows = [(0, 0, end - 14), (0, 1, end - 13), (0, 2, end - 7), (0, 3, end - 6), (0, 4, end)]
    division = temporal(purchases(rows), "day")
    assert parts(division) == {"train": rows[:1], "validation": rows[1:3], "test": rows[3:]}
    entry = division.entry
    assert (entry.validation_from, entry.test_from, entry.end) == ("2020-09-09", "2020-09-16", "2020-09-22")
    assert (entry.validation_from_time, entry.test_from_time, entry.end_time) == (end - 13, end - 6, end)


def test_temporal_seconds_are_cut_at_midnight() -> None:
    end = 100 * DAY + 5
    rows = [(0, 0, 87 * DAY - 1), (0, 1, 87 * DAY), (0, 2, 94 * DAY - 1), (0, 3, 94 * DAY), (0, 4, end)]
    division = temporal(purchases(rows), "second")
    assert parts(division) == {"train": rows[:1], "validation": rows[1:3], "test": rows[3:]}
    assert division.entry.test_from_time == 94 * DAY


def test_temporal_needs_dates_and_something_to_train_on() -> None:
    with pytest.raises(InputError, match=r"needs dates.*leave-one-out"):
        temporal(purchases([(0, 0, 0)]), "row")
    with pytest.raises(InputError, match="1970-01-07 to 1970-01-20, so that none is left to train on"):
        temporal(purchases([(0, 0, 19), (0, 1, 6)]), "day")
    with pytest.raises(InputError, match=r"left to train on; prepare more weeks or use --split leave-one-out\."):
        temporal(purchases([(0, 0, 19_000), (0, 1, 19_001), (0, 2, 19_001)]), "day")


def test_the_first_day_that_a_calendar_has_is_no_reason_to_fail() -> None:
    with pytest.raises(InputError, match="in the last 14 days, from 0000-12-19 to 0001-01-01"):
        temporal(purchases([(0, 0, -719_162)]), "day")


def test_days_that_were_taken_for_seconds_are_to_be_read_otherwise() -> None:
    """Days of Excel and months as numbers are seconds of January 1970 as they stand."""
    with pytest.raises(
        InputError, match=r"train on; say how times are written with --time-format: excel where they co"
    ):
        temporal(purchases([(0, 0, 44_096), (0, 1, 202_009)]), "second")


@pytest.mark.parametrize(
    "rows, unit, kind, hint",
    [
        ([(0, 0, 19_000), (0, 1, 19_001)], "day", "temporal", "prepare more weeks"),
        ([(0, 0, 19_000), (0, 1, 19_001), (0, 2, 19_001)], "day", "temporal", "or use --split leave-one-out"),
        ([(0, 0, 0), (0, 1, 1)], "day", "temporal", "like 202009"),
        ([(0, 0, 0), (0, 1, 1), (0, 2, 1)], "day", "temporal", "leave-one-out where they tell the order alone"),
        ([(0, 0, 0), (0, 1, 1)], "row", "leave-one-out", "give more purchases"),
        ([(0, 0, 0), (0, 1, 13)], "day", "leave-one-out", "give more purchases"),
        ([(0, 0, 0), (0, 1, 14)], "day", "leave-one-out", "give more purchases or use --split temporal"),
    ],
)
def test_neither_split_advises_the_other_where_that_fails_too(
    rows: list[tuple[int, int, int]], unit: TimeUnit, kind: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        SPLITTERS[kind](purchases(rows), unit)
    assert str(caught.value).endswith(f"{hint}.")
    if "--split" in hint:
        assert SPLITTERS[hint.rpartition(" ")[2]](purchases(rows), unit)


def test_leave_one_out_by_hand() -> None:
    rows = [
        *((0, 5, 1), (0, 6, 2), (0, 7, 3), (0, 5, 4)),  # three items, the last one bought before
        *((1, 5, 1), (1, 6, 2), (1, 5, 3)),  # three rows but two items: trains only
        *((3, 8, 9), (3, 2, 9), (3, 5, 9)),  # one moment: the order of the file decides
    ]
    division = leave_one_out(purchases(rows), "second")
    assert parts(division) == {
        "train": [(0, 5, 1), (0, 6, 2), (1, 5, 1), (1, 6, 2), (1, 5, 3), (3, 8, 9)],
        "validation": [(0, 7, 3), (3, 2, 9)],
        "test": [(0, 5, 4), (3, 5, 9)],
    }
    assert division.entry.clients_train_only == 1


def test_leave_one_out_needs_a_client_with_three_items() -> None:
    with pytest.raises(InputError, match="No client has 3 different items"):
        leave_one_out(purchases([(0, 1, 0), (0, 2, 1), (0, 1, 2)]), "row")


@pytest.mark.parametrize("kind", list(SPLITTERS))
@given(rows=ROWS)
def test_a_split_loses_and_doubles_nothing(kind: str, rows: list[tuple[int, int, int]]) -> None:
    whole = purchases(rows)
    division = SPLITTERS[kind](whole, "day")
    joined = [row for part in parts(division).values() for row in part]
    assert sorted(joined) == sorted(zip(whole.client.tolist(), whole.item.tolist(), whole.time.tolist(), strict=True))
    assert sum(division.rows(name).total for name in SPLITS) == len(rows)
    assert all(len(division.rows(name)) for name in ("train", "test"))


@given(rows=ROWS)
def test_temporal_leaks_nothing_from_later_into_training(rows: list[tuple[int, int, int]]) -> None:
    division = SPLITTERS["temporal"](purchases(rows), "day")
    validation_from, test_from = division.entry.validation_from_time, division.entry.test_from_time
    assert validation_from is not None
    assert test_from is not None
    assert division.rows("train").time.max() < validation_from
    assert division.rows("validation").time.max(initial=validation_from) < test_from
    assert division.rows("test").time.min() >= test_from


@given(rows=ROWS)
def test_leave_one_out_holds_out_each_clients_latest(rows: list[tuple[int, int, int]]) -> None:
    division = SPLITTERS["leave-one-out"](purchases(rows), "day")
    times: dict[str, dict[int, list[int]]] = {name: defaultdict(list) for name in SPLITS}
    for name, part in parts(division).items():
        for client, _, time in part:
            times[name][client].append(time)
    assert times["test"].keys() == times["validation"].keys()
    for client, (last,) in times["test"].items():
        assert max(times["train"][client]) <= times["validation"][client][0] <= last


@given(rows=ROWS, size=st.integers(1, 50))
def test_slices_are_the_rows_in_order(rows: list[tuple[int, int, int]], size: int) -> None:
    division = SPLITTERS["temporal"](purchases(rows), "day")
    for name in SPLITS:
        whole = division.rows(name)
        items = [part.item for part in division.slices(name, size)]
        assert np.concatenate([np.empty(0, np.int32), *items]).tolist() == whole.item.tolist()
        assert all(len(part) <= size for part in items)


def test_leave_one_out_says_how_much_of_train_lies_in_the_future() -> None:
    # Test purchases on days 5 and 50: half were made until day 27 (the mean of both). Train: days 1, 40 and 41, then 2.
    rows = [(0, 0, 1), (0, 1, 4), (0, 2, 5), (1, 0, 40), (1, 1, 41), (1, 2, 45), (1, 3, 50), (2, 0, 2)]
    (warning,) = leave_one_out(purchases(rows), "day").warnings
    assert "half of the test purchases were made until 1970-01-28, and 50% of train after that" in warning
    (warning,) = leave_one_out(purchases([*rows, (1, 0, 40)]), "day").warnings  # that row is of two purchases now
    assert "and 60% of train after that" in warning
    (warning,) = leave_one_out(purchases(rows), "second").warnings
    assert "until 1970-01-01T00:00:27, and 50% of train after that" in warning
    assert leave_one_out(purchases(rows), "row").warnings == ()
    assert leave_one_out(purchases([(0, i, i) for i in range(5)]), "day").warnings == ()
