import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from spfedrec_cli.data import span
from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.schema import Counts
from spfedrec_cli.data.split import temporal

COUNTS = Counts(
    purchases=0,
    pieces=0,
    rows=0,
    clients=0,
    items=0,
    train=0,
    validation=3,
    test=1,
    cold_clients=0,
    cold_items=0,
    unknown_items=0,
    unknown_clients=0,
)


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span, "today", lambda: day("2026-03-01"))


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def bought(*days: str, count: int = 1) -> Purchases:
    time = np.array([day(one) for one in days], np.int32)
    counts = np.full(len(time), count, np.int32)
    return Purchases(time * 0, time * 0, time, counts, counts, np.zeros(len(time), np.float32))


def days(first: str, n: int, step: int = 1) -> list[str]:
    return [str(date.fromordinal(date.fromisoformat(first).toordinal() + step * nth)) for nth in range(n)]


def notes(purchases: Purchases, split: str = "temporal") -> list[str]:
    return span.notes(purchases, "day", split, COUNTS)  # type: ignore[arg-type]


def test_the_span_is_told_and_nothing_else_of_a_plain_shop() -> None:
    assert notes(bought(*days("2018-09-20", 734))) == ["purchases from 2018-09-20 to 2020-09-22"]
    assert notes(bought("2020-09-22")) == ["purchases from 2020-09-22 to 2020-09-22"]


def test_without_dates_nothing_is_told() -> None:
    assert span.notes(bought("2020-01-01"), "row", "leave-one-out", COUNTS) == []


def test_seconds_are_days_too() -> None:
    purchases = bought("1970-01-02")
    purchases.time[:] = 86_400 * day("2020-02-29") + 86_399
    assert span.notes(purchases, "second", "temporal", COUNTS) == ["purchases from 2020-02-29 to 2020-02-29"]


def test_dates_before_1990_and_after_today_are_counted_and_named() -> None:
    purchases = bought("1970-08-21", "1989-12-31", "1990-01-01", "2026-03-01", "2026-03-02", count=2)
    otherwise = "leaves such dates out, and --time-format says how to read them otherwise"
    assert notes(purchases, "leave-one-out")[1:] == [
        f"4 purchases from 1970-08-21 to 1989-12-31, before 1990: --from 1990-01-01 {otherwise}",
        f"2 purchases on 2026-03-02, after today: --to 2026-03-01 {otherwise}",
    ]


@pytest.mark.parametrize("first, what", [("1970-01-01", "before 1990"), ("2030-01-01", "after today")])
def test_where_all_dates_are_wrong_they_are_not_to_be_left_out(first: str, what: str) -> None:
    told = notes(bought(*days(first, 40)), "leave-one-out")
    assert re.fullmatch(
        rf"40 purchases from .*, {what}: where that is wrong, say how times are .* --time-format: .*", told[1]
    )
    assert len(told) == 2


def test_a_date_that_stands_apart_is_named_with_the_gap_and_the_option() -> None:
    told = notes(bought(*days("2020-01-01", 40), "2020-12-24"))
    assert told[1:] == [
        "1 purchase on 2020-12-24, behind a gap of 318 days: validation holds 3 and test 1 purchase; "
        "--to 2020-02-09 ends before it"
    ]
    assert notes(bought(*days("2020-01-01", 40), "2020-12-24"), "leave-one-out")[1:] == []


def test_what_is_left_may_be_too_short_for_weeks_to_hold_out() -> None:
    few = bought(*days("2020-01-01", 8), "2021-01-01")
    assert notes(few)[1].endswith("--to 2020-01-08 ends before it, but leaves too little to split")
    many = replace(few, item=np.arange(len(few), dtype=np.int32))
    assert notes(many)[1].endswith(
        "--to 2020-01-08 ends before it, and --split leave-one-out suits what is left: 8 days"
    )


@pytest.mark.parametrize(
    "gap, behind, warned",
    [(7, 5, False), (8, 5, True), (8, 13, True), (8, 14, False), (30, 14, False), (30, 13, True)],
)
def test_a_gap_counts_where_it_is_a_week_long_and_reaches_into_the_last_two(
    gap: int, behind: int, warned: bool
) -> None:
    """`gap`: from the last day before it to the first behind it; `behind`: how many days then follow each other."""
    before = days("2020-01-01", 60)
    first = str(date.fromisoformat(before[-1]) + (date(2020, 1, 1 + gap) - date(2020, 1, 1)))
    assert (len(notes(bought(*before, *days(first, behind)))) > 1) == warned


def test_a_shop_that_counts_by_week_is_no_shop_with_gaps() -> None:
    assert len(notes(bought(*days("2020-01-01", 50, step=7)))) == 1


def test_of_two_gaps_the_longer_is_named() -> None:
    told = notes(bought(*days("2020-01-01", 60), "2033-01-01", "2033-01-12"))
    assert told[-1].startswith("2 purchases from 2033-01-01 to 2033-01-12, behind a gap of 4,689 days: ")


def test_of_stray_dates_one_after_the_other_the_first_is_named() -> None:
    told = notes(bought(*days("2020-01-01", 60), "2024-01-01", "2025-01-01", "2025-12-24"))
    assert told[-1].startswith("3 purchases from 2024-01-01 to 2025-12-24, behind a gap of 1,401 days: ")
    assert told[-1].endswith("--to 2020-02-29 ends before it")
    thin = notes(bought(*days("2020-01-01", 15), *days("2020-02-01", 30, step=10)))  # most purchases are no strays
    assert thin[-1].startswith("2 purchases from 2020-11-07 to 2020-11-17, behind a gap of 9 days: ")


def test_the_option_mends_it() -> None:
    rows = bought(*days("2020-01-01", 40), "2033-01-01")
    assert len(np.unique(temporal(rows, "day").part)) == 2
    mended = rows.take(rows.time <= day("2020-02-09"))
    assert len(notes(mended)) == 1
    assert len(np.unique(temporal(mended, "day").part)) == 3
