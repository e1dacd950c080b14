import re
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.reading.times import guess, time_form
from spfedrec_cli.data.sources import table as source
from spfedrec_cli.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HALF_TEN = int(datetime(2020, 9, 22, 10, 30, tzinfo=UTC).timestamp())
DAY = date(2020, 9, 22).toordinal() - date(1970, 1, 1).toordinal()
LOWEST, HIGHEST = -(2**31), 2**31 - 1
COLUMNS = {"customer": "user", "item": "sku", "time": "at"}


def values(*texts: str, format: str | None = None, zone: str | None = None) -> list[int | None]:
    """What the form of these makes of them."""
    return time_form(texts, format, zone).kind.read(pa.array(texts, pa.string())).to_pylist()  # type: ignore[no-any-return]


def unit(*texts: str, format: str | None = None) -> str:
    return time_form(texts, format).unit


def seconds(*moment: int, zone: str = "UTC") -> int:
    return int(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp())  # type: ignore[arg-type,misc]


FORMS = {
    "2020-09-22": ("day", DAY),
    " 2020-09-22 ": ("day", DAY),
    "1970-01-01": ("day", 0),
    "0001-01-01": ("day", date(1, 1, 1).toordinal() - 719163),
    "2020-09-22T10:30:00": ("second", HALF_TEN),
    "2020-09-22 10:30": ("second", HALF_TEN),
    "2020-09-22 10:30:00.999": ("second", HALF_TEN),
    "2020-09-22 10:30:00.123456789": ("second", HALF_TEN),
    "2020-09-22T10:30:00Z": ("second", HALF_TEN),
    "2020-09-22T10:30Z": ("second", HALF_TEN),
    "2020-09-22 10:30:00 Z": ("second", HALF_TEN),
    "2020-09-22 10:30:00 UTC": ("second", HALF_TEN),
    "2020-09-22 10:30:00.5 GMT": ("second", HALF_TEN),
    "2020-09-22T12:30:00.5+02:00": ("second", HALF_TEN),
    "2020-09-22T12:30:00+0200": ("second", HALF_TEN),
    "2020-09-22 12:30:00 +0200": ("second", HALF_TEN),
    "2020-09-22 12:30:00 +02:00": ("second", HALF_TEN),
    "2020-09-22 12:30:00 +02": ("second", HALF_TEN),
    "2020-09-22 05:00:00-0530": ("second", HALF_TEN),
    "1969-12-31T23:59:59.5": ("second", -1),
    "20200922": ("day", DAY),
    "20200922.0": ("day", DAY),
    "202009221030": ("second", HALF_TEN),
    "20200922103059": ("second", HALF_TEN + 59),
    "20200922103059.0": ("second", HALF_TEN + 59),
    "0": ("second", 0),
    "1600770600": ("second", HALF_TEN),
    "1600770600.0": ("second", HALF_TEN),
    "1600770600.75": ("second", HALF_TEN),
    "881250949": ("second", 881250949),
    "1600770600999": ("second", HALF_TEN),
    "1600770600999999": ("second", HALF_TEN),
    "1600770600999999999": ("second", HALF_TEN),
    "1600770600999.0": ("second", HALF_TEN),
}


@pytest.mark.parametrize("text", FORMS)
def test_every_form(text: str) -> None:
    form = time_form([text])
    assert (form.unit, form.kind.read(pa.array([text])).to_pylist()) == (FORMS[text][0], [FORMS[text][1]])


@pytest.mark.parametrize(
    "text, note",
    [
        ("2020-09-22", None),
        ("1600770600", None),
        ("1600770600999", "times are milliseconds since 1970: whole seconds are kept"),
        ("1600770600999999", "times are microseconds since 1970: whole seconds are kept"),
        ("1600770600999999999", "times are nanoseconds since 1970: whole seconds are kept"),
        ("20200922", "times like 20200922 are read as dates, not as seconds since 1970"),
        ("202009221030", "times like 202009221030 are read as dates, not as seconds since 1970"),
    ],
)
def test_what_might_be_taken_for_something_else_is_told(text: str, note: str | None) -> None:
    assert time_form([text]).note == note


@given(moment=st.datetimes(datetime(1902, 1, 1), datetime(2037, 12, 31)), blank=st.booleans(), digits=st.integers(0, 6))
def test_moments_are_what_datetime_reads(moment: datetime, blank: bool, digits: int) -> None:
    text = moment.strftime("%Y-%m-%d" + "T "[blank] + "%H:%M:%S")
    text += ("." + f"{moment.microsecond:06}"[:digits]) * (digits > 0)
    expected = (moment.replace(microsecond=0, tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
    assert values(text) == [expected]
    assert values(text[:16]) == [expected - moment.second]


@given(
    moment=st.datetimes(datetime(1902, 1, 2), datetime(2037, 12, 30)),
    minutes=st.integers(-14 * 60, 14 * 60),
    blank=st.sampled_from(["", " "]),
    colon=st.sampled_from(["", ":"]),
)
@example(moment=datetime(1969, 12, 31, 23, 59, 59, 500_000), minutes=0, blank="", colon=":")
def test_offsets_are_what_datetime_reads(moment: datetime, minutes: int, blank: str, colon: str) -> None:
    zone = timezone(timedelta(minutes=minutes))
    sign, ahead = "+-"[minutes < 0], abs(minutes)
    text = f"{moment.isoformat(sep=' ', timespec='milliseconds')}{blank}{sign}{ahead // 60:02}{colon}{ahead % 60:02}"
    assert values(text) == [(moment.replace(tzinfo=zone) - EPOCH) // timedelta(seconds=1)]


@given(day=st.dates())
@example(day=date(2020, 2, 29))
def test_days_are_what_datetime_reads(day: date) -> None:
    assert values(day.isoformat()) == [day.toordinal() - 719163]
    if 1900 <= day.year <= 2100:
        assert values(day.strftime("%Y%m%d"), "20200922")[0] == day.toordinal() - 719163


NAMES = {"epoch-s": 1, "epoch-ms": 10**3, "epoch-us": 10**6, "epoch-ns": 10**9}


@settings(max_examples=60)
@given(
    moment=st.integers(seconds(1993, 1, 1), seconds(2037, 12, 31)),
    name=st.sampled_from(list(NAMES)),
    rest=st.integers(0, 999),
    told=st.booleans(),
    end=st.sampled_from(["", ".0", ".9"]),
)
def test_numbers_are_told_apart_by_what_they_would_say(moment: int, name: str, rest: int, told: bool, end: str) -> None:
    text = str(moment * NAMES[name] + rest % NAMES[name])
    if not told and text[:4] in map(str, range(1900, 2101)) and len(text) in (8, 12, 14):
        return
    assert values(text + end, format=name if told else None) == [moment]


@pytest.mark.parametrize(
    "text, value",
    [
        ("1.6007706E9", HALF_TEN),
        ("1.600770600999e+12", HALF_TEN),
        ("1.6007706000000005e+15", HALF_TEN),
        ("1.6007706e+18", HALF_TEN),
        ("2.0200922E7", DAY),
        ("9.99999999E17", 999999999),
    ],
)
def test_numbers_with_an_exponent_keep_their_digits(text: str, value: int) -> None:
    """As Java and Spark write floats of 64 bits, and Python large ones."""
    assert values(text) == [value]


@pytest.mark.parametrize("text", ["637362750000000000", "132452442000000000", "13245244200000000"])
def test_ticks_since_other_years_are_no_times(text: str) -> None:
    """Those of .NET since the year 1 are nanoseconds of 9 to 13 March 1990, for all purchases of a year."""
    assert values(text) == [None]
    assert values("637362750000000000", format="epoch-ns") == [637362750]


@pytest.mark.parametrize("text", ["1.6E+09", "1.60077E+12", "2.02009E+11", "1.6007706e99", "1.6007706e-9"])
def test_numbers_that_were_rounded_are_no_times(text: str) -> None:
    """As a spreadsheet writes them: read as they stand, all purchases of some hours would be at one moment."""
    assert values(text) == values(text, format="epoch-ms") == [None]


def test_told_is_told_whatever_is_plausible() -> None:
    assert values("20200922", format="epoch-s") == [20200922]
    assert values("1600770600", format="epoch-ms") == [1600770]
    assert values("5", "1600770600999", format="epoch-ms") == [0, HALF_TEN]


def test_numbers_are_days_where_most_are() -> None:
    """Others may be slips; then it is those rows that are wrong. Seconds of August 1970 are no days."""
    days = [f"202009{day:02}" for day in range(10, 20)]
    assert values(*days[:9], "20209999") == [DAY + n for n in range(-12, -3)] + [None]
    assert unit(*days[:5], *["20209999"] * 5) == "second"
    assert values("20200922", "20201399", "20209999")[0] == 20200922
    assert values("99990101") == [99990101]


@pytest.mark.parametrize(
    "first, others",
    [
        ("0", ["1600770600999"] * 2),
        ("1600770600", ["1600770600999"] * 2),
        ("1600770600", ["2020-09-22"] * 2),
        ("2020-09-22", ["2020-09-22T10:30"] * 2),
        ("2020-09-22T10:30", ["2020-09-22T10:30Z"] * 2),
        ("0", ["20200922"] * 2),
        ("00000000", ["20200922"] * 2),
    ],
)
def test_the_form_is_that_of_most_whatever_comes_first(first: str, others: list[str]) -> None:
    assert values(first, *others) == [None, *values(*others)]


def test_where_no_form_has_most_it_is_that_of_the_first_that_is_one() -> None:
    assert values("soon", "2020-09-22", "2020-09-22T10:30") == [None, DAY, None]
    assert values("", "nan", "NULL", "1600770600") == [None, None, None, HALF_TEN]


@pytest.mark.parametrize(
    "texts",
    [
        ["2020-09-22", "2020-02-30", "2020-9-2", "2020-09-22T10:30:00", "20200922", "1600770600", "", "0000-01-01"],
        ["2020-09-22T10:30:00", "2020-02-30T00:00:00", "1900-01-01T00:00:00", "2039-01-01T00:00:00", "2020-09-22", ""],
        ["2020-09-22T10:30:00Z", "2020-09-22T10:30:00", "2020-09-22T25:00:00Z", "2020-09-22T10:30:00 CET"],
        ["20200922", "20200230", "2020", "202009221030", "1600770600", "20200922.5", "2020-09-22"][:2]
        + ["20200922"] * 9,
        ["1600770600", "-1", "2147483648", "1e9", "noon", "0x10", "1_0", "99999999999999999999", "9223372036854775808"],
        ["1600770600999", "1600770600", "1600770600999999999999", ""],
    ],
)
def test_what_does_not_fit_the_first_is_wrong(texts: list[str]) -> None:
    found = values(*texts)
    right = {text for text, value in zip(texts, found, strict=True) if value is not None}
    assert right == {texts[0]}


def test_the_span_of_moments() -> None:
    assert values("1901-12-13T20:45:52", "2038-01-19T03:14:07") == [LOWEST, HIGHEST]
    assert values("2000-01-01T00:00", "1901-12-13T20:45:51", "2038-01-19T03:14:08")[1:] == [None, None]
    assert values("2147483647", "2147483648") == [HIGHEST, None]


@pytest.mark.parametrize(
    "text, words, unit, value",
    [
        ("9/22/2020", "%m/%d/%Y", "day", DAY),
        ("22/09/2020", "%d/%m/%Y", "day", DAY),
        ("22.09.20", "%d.%m.%y", "day", DAY),
        ("22-Sep-2020", "%d-%b-%Y", "day", DAY),
        ("September 22, 2020", "%B %d, %Y", "day", DAY),
        ("09/22/2020 10:30 AM", "%m/%d/%Y %I:%M %p", "second", HALF_TEN),
        ("22/09/2020 10:30:00.75", "%d/%m/%Y %H:%M:%S.%f", "second", HALF_TEN),
        ("22/Sep/2020:12:30:00 +0200", "%d/%b/%Y:%H:%M:%S %z", "second", HALF_TEN),
        ("2020-09-22T10h", "%Y-%m-%dT%Hh", "second", HALF_TEN - 1800),
        ("31.12.1969 23:59", "%d.%m.%Y %H:%M", "second", -60),
        ("31.12.1960", "%d.%m.%Y", "day", -3288),
    ],
)
def test_strptimes_words(text: str, words: str, unit: str, value: int) -> None:
    form = time_form([text], words)
    assert (form.unit, form.kind.read(pa.array([text, f" {text} ", "soon", ""])).to_pylist()) == (
        unit,
        [value, value, None, None],
    )


@settings(max_examples=40)
@given(moments=st.lists(st.datetimes(datetime(1902, 1, 2), datetime(2037, 12, 30)), min_size=1, max_size=5))
def test_strptimes_words_as_datetime_reads_them(moments: list[datetime]) -> None:
    for words in ("%d/%m/%Y %H:%M", "%m-%d-%Y %I:%M:%S %p", "%y%j"):
        texts = [moment.strftime(words) for moment in moments]
        whole = [datetime.strptime(text, words).replace(tzinfo=UTC) - EPOCH for text in texts]
        one = timedelta(days=1) if words == "%y%j" else timedelta(seconds=1)
        assert values(*texts, format=words) == [moment // one for moment in whole]


def test_a_moment_is_never_that_of_the_reading() -> None:
    """pandas takes `today` and `now` for a date in whatever words."""
    assert values("today", "now", "22/09/2020", format="%d/%m/%Y") == [None, None, DAY]


def test_words_read_numbers_that_became_floats() -> None:
    assert values("20200922.0", "20200922", format="%Y%m%d") == [DAY, DAY]
    assert values("202009.0", format="%Y%m") == [DAY - 21]


@pytest.mark.parametrize(
    "words, texts, days",
    [
        ("%m%d%Y", ["9222020", "09222020", "1012020", "1012020.0"], ["2020-09-22"] * 2 + ["2020-01-01"] * 2),
        ("%d%m%Y", ["1122019", "22092020"], ["2019-12-01", "2020-09-22"]),
        ("%y%m%d", ["200922", "90101", "101"], ["2020-09-22", "2009-01-01", "2000-01-01"]),
        ("%m%Y", ["12020", "122020"], ["2020-01-01", "2020-12-01"]),
        ("%Y%m", ["20201", "202012"], ["2020-01-01", "2020-12-01"]),
        ("%Y%m%d", ["20200922", "2020922", "2020111", "202009221"], ["2020-09-22", None, None, None]),
    ],
)
def test_zeros_that_integers_lost_are_no_other_day(words: str, texts: list[str], days: list[str | None]) -> None:
    """To strptime 1012020 is the first of October; behind a whole year it is not known which zero is missing."""
    expected = [day and (date.fromisoformat(day) - EPOCH.date()).days for day in days]
    assert values(*texts, format=words) == expected


def test_days_of_excel() -> None:
    """44096 is 22 September 2020 to Excel; its clock is the fraction of the day, to the second."""
    assert (values("44096", "44097.0", format="excel"), unit("44096", format="excel")) == ([DAY, DAY + 1], "day")
    assert unit("44096.4375", format="excel") == unit("44096,4375", format="excel") == "second"
    assert values("44096,4375", format="excel") == [HALF_TEN]
    assert values("44096.4375", "44096", "44096.99999", format="excel") == [HALF_TEN, DAY * 86400, DAY * 86400 + 86399]
    days = time_form(["44096"], "excel").kind
    assert days.read(pa.array(["44096", "x", "-1", "44096.5.5", ""])).to_pylist() == [DAY, None, None, None, None]


def test_one_bad_day_of_excel_makes_no_moments_of_the_others() -> None:
    assert unit("44096", "x", "44097", format="excel") == "day"


def test_a_time_of_day_among_days_of_excel_is_no_other_day() -> None:
    """The form is told by the first thousand: a fraction behind them must not be rounded to the next day."""
    form = time_form(["44096"] * 1000, "excel")
    assert form.kind.read(pa.array(["44096.75"])).to_pylist() in ([None], [DAY])


@pytest.mark.parametrize(
    "text, zone, expected",
    [
        ("2020-09-22 12:30", "Europe/Stockholm", HALF_TEN),
        ("2020-01-22 12:30", "Europe/Stockholm", seconds(2020, 1, 22, 11, 30)),
        ("2020-09-22 06:30:00", "America/New_York", HALF_TEN),
        ("2020-09-22 10:30", "UTC", HALF_TEN),
        ("202009221230", "Europe/Stockholm", HALF_TEN),
    ],
)
def test_clocks_of_a_zone(text: str, zone: str, expected: int) -> None:
    assert values(text, zone=zone) == [expected]


def test_clocks_of_a_zone_in_other_forms() -> None:
    assert values("22/09/2020 12:30", format="%d/%m/%Y %H:%M", zone="Europe/Stockholm") == [HALF_TEN]
    assert values("44096.520833333", format="excel", zone="Europe/Stockholm") == [HALF_TEN]


def test_the_hour_that_comes_twice_and_the_one_that_never_comes() -> None:
    """On 25 October 2020 Stockholm showed 02:30 twice: it is the later one. On 29 March 02:30 there was not: 03:00."""
    assert values("2020-10-25 02:30", zone="Europe/Stockholm") == [seconds(2020, 10, 25, 1, 30)]
    assert values("2020-03-29 02:30", zone="Europe/Stockholm") == [seconds(2020, 3, 29, 1, 0)]
    assert values("2020-03-29 02:30", "soon", "", zone="Europe/Stockholm")[1:] == [None, None]


@settings(max_examples=50)
@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 30)))
def test_clocks_of_a_zone_are_those_of_zoneinfo(moment: datetime) -> None:
    zone = ZoneInfo("America/New_York")
    moment = moment.replace(microsecond=0)
    there = moment.replace(tzinfo=zone, fold=1)
    if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        return  # this hour the clocks left out
    assert values(moment.isoformat(sep=" "), zone="America/New_York") == [int(there.timestamp())]


def test_a_zone_does_not_lead_beyond_the_span() -> None:
    """Half an hour before the end in New York is beyond it; it must not come back at the beginning."""
    found = values("2000-01-01T00:00", "2038-01-19T03:00:00", "1901-12-13T21:00:00", zone="America/New_York")
    assert all(value is None or LOWEST <= value <= HIGHEST for value in found)
    assert values("2000-01-01T00:00", "1901-12-13T21:00:00", zone="Asia/Tokyo")[1] is None


@pytest.mark.parametrize(
    "texts, format, zone, sentence",
    [
        (["x"], "soon", None, r"There is no time format 'soon' \(--time-format\); write it in strptime's words"),
        (["x"], "epoch-m", None, r"There is no time format 'epoch-m'.*epoch-s, epoch-ms, epoch-us, epoch-ns or excel"),
        (["x"], "%Q", None, r"The time format '%Q' cannot be read: .* \(--time-format\); write it in strptime's words"),
        (
            ["2020-09-22T10:30"],
            None,
            "Mars/Olympus",
            r"There is no time zone 'Mars/Olympus' \(--timezone\); write it as",
        ),
        (["2020-09-22"], None, "UTC", r"The times are days without a time of day \(--timezone\); leave --timezone out"),
        (["20200922"], None, "UTC", r"The times are days without a time of day"),
        (
            ["2020-09-22T10:30Z"],
            None,
            "UTC",
            r"The times say their zone themselves \(--timezone\); leave --timezone out",
        ),
        (["1600770600"], None, "UTC", r"The times say their zone themselves"),
        (["2020-09-22T10:30"], None, "", r"There is no time zone '' \(--timezone\); write it as"),
        (["22/09/2020 10:30 CET"], "%d/%m/%Y %H:%M %Z", "UTC", r"The times say their zone themselves"),
        (["x"], "%d/%m/%Y %H:%M %p", None, r"'%d/%m/%Y %H:%M %p' does not say which hour \(--time-format\); write %H"),
        (["x"], "%d/%m/%Y %I:%M", None, r"'%d/%m/%Y %I:%M' does not say which hour .* and %I with %p for hours up to"),
        (
            ["10:30"],
            "%H:%M",
            None,
            r"'%H:%M' does not say which day \(--time-format\); name a column that holds the date",
        ),
        (["x"], "%d/%m/%Y %z", "UTC", r"The times (say their zone|are days)"),
        (["x"], "%d/%m/%Y %H:%M %z", "UTC", r"The times say their zone themselves"),
    ],
)
def test_refusals(texts: list[str], format: str | None, zone: str | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        time_form(texts, format, zone).kind.read(pa.array(texts))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "texts, words",
    [
        (["22/09/2020", "23/09/2020"], ["%d/%m/%Y"]),
        (["09/22/2020"], ["%m/%d/%Y"]),
        (["01/02/2020", "03/04/2020"], ["%d/%m/%Y", "%m/%d/%Y"]),
        (["22.09.2020 10:30"], ["%d.%m.%Y %H:%M"]),
        (["9/22/2020 10:30:00 PM"], ["%m/%d/%Y %I:%M:%S %p"]),
        ([" 22-Sep-2020 "], ["%d-%b-%Y"]),
        (["2020/09/22"], ["%Y/%m/%d"]),
        (["2014-11-26 20"], ["%Y-%m-%d %H"]),
        (["22.09.20", "31.12.19"], ["%d.%m.%y"]),
        (["20/09/22", "19/12/31"], ["%y/%m/%d"]),
        (["01.12.20"], ["%d.%m.%y", "%m.%d.%y", "%y.%m.%d"]),
        (["Jan  5 2023 10:30AM", "Jan 16 2023 12:05PM"], ["%b %d %Y %I:%M%p"]),
        (["2020-09-22-10.30.00.000000"], ["%Y-%m-%d-%H.%M.%S.%f"]),
    ],
)
def test_the_words_are_guessed(texts: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two digits that say a year to come, seen from 2026, are days."""
    monkeypatch.setattr("spfedrec_cli.data.reading.times.date", In2026)
    named = " or ".join(f"--time-format '{one}'" for one in words)
    assert guess(texts) == f"say how they are written with {named}"


class In2026(date):
    @classmethod
    def today(cls) -> "In2026":
        return cls(2026, 11, 30)


WORDS = [
    *("%m/%d/%y %H:%M", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%d-%b-%y", "%d %B %Y", "%B %d, %Y %I:%M %p", "%m %d, %Y"),
    *("%d%b%Y:%H:%M:%S", "%d/%b/%Y:%H:%M:%S %z", "%m/%d/%Y, %I:%M:%S %p", "%d.%m.%Y %H:%M:%S.%f", "%Y-%m"),
    *("%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%Y%m%dT%H%M%S%z", "%d-%b-%y %I.%M.%S.%f %p"),
    *("%m/%d/%Y %H:%M %z", "%m/%d/%Y %I:%M%p", "%b-%d-%y", "%Y%m%d%H%M%S%f", "%Y/%m/%d %H:%M:%S%z"),
    *("%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S UTC %Y", "%Y-%m-%dT%H:%M:%S,%f", "%b %d, %Y @ %H:%M:%S.%f"),
    "%Y年%m月%d日",
]


@pytest.mark.parametrize("words", WORDS)
def test_what_is_guessed_reads_them(tmp_path: Path, words: str) -> None:
    """Neither a value that is missing nor one that is no time hides it."""
    moments = [datetime(2020, 9, 22, 10, 30, tzinfo=UTC) + timedelta(days=n) for n in range(5)]
    texts = [re.sub(r"\b0(?=[0-9][-/.])", "", moment.strftime(words)) for moment in moments]
    path = tmp_path / "t.csv"
    path.write_text('user,sku,at\n"u","s",""\nu,s,soon\n' + "".join(f'u,s,"{text}"\n' for text in texts))
    with pytest.raises(InputError, match=r"line 3\); say how they are written with --time-format '") as caught:
        read(path, drop_missing=True)
    assert f"--time-format '{words}'" in str(caught.value)
    assert "--skip-bad-rows" not in str(caught.value)
    found = read(path, skip=True, drop_missing=True, time_format=words)
    whole = [moment.replace(day=1 if words == "%Y-%m" else moment.day) - EPOCH for moment in moments]
    unit = timedelta(days=1) if found.time_unit == "day" else timedelta(seconds=1)
    assert found.time.tolist() == [moment // unit for moment in whole]


@pytest.mark.parametrize(
    "texts", [[], ["soon"], ["22/09/2020", "soon"], ["13/13/2020"], ["22 sept. 2020", "5 mai 2020"]]
)
def test_where_nothing_fits_the_option_is_named_all_the_same(texts: list[str]) -> None:
    assert (guess(texts) or "").startswith("say how they are written with --time-format, in strptime's words")
    assert "names of months in English" in (guess(texts) or "")


def test_words_that_are_wrong_are_to_be_left_out_where_that_is_enough() -> None:
    assert guess(["2020-09-22", "2020-09-23"]) == (
        "leave --time-format out: such times are read without it; if other files need it, write all times alike"
    )
    assert "leave" not in (guess(["91231", "1012020", "2020266"]) or ""), "as seconds they are of 1970"
    assert guess(["1.60077E+12", "1.6E+12"]) == "write them again with all their digits"
    assert "or name another column" in (guess(["2600-01-01 00:00:00"]) or ""), "no words reach so far"


@pytest.mark.parametrize("days", [31, 14])
def test_days_before_months_are_no_rows_to_leave_out(tmp_path: Path, days: int) -> None:
    """Of days like these the first twelve are months too, be they most or few."""
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\n" + "".join(f"u,s,{day}/08/2020\n" for day in range(1, days + 1)))
    with pytest.raises(InputError, match=r"line 14\); say how they are written with --time-format '%d/%m/%Y'\."):
        read(path, time_format="%m/%d/%Y")


def test_a_day_that_comes_late_tells_the_words_of_all(tmp_path: Path) -> None:
    """The first thousand of a file that is sorted by time may be of one day, which is a month too."""
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\n" + "u,s,12/1/2010 8:26\n" * 1200 + "u,s,12/13/2010 9:00\n")
    with pytest.raises(InputError, match=r"line 1202\); say how .* --time-format '%m/%d/%Y %H:%M'\."):
        read(path, time_format="%d/%m/%Y %H:%M")


def test_one_row_of_another_form_is_that_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for moment, words in (("2020-09-22", None), ("9/22/2020", "%m/%d/%Y")):
        path.write_text("user,sku,at\n" + f"u,s,{moment}\n" * 5 + "u,s,soon\n")
        with pytest.raises(InputError, match=r"line 7\); mend or remove that line, or leave bad rows out"):
            read(path, time_format=words)


def test_a_zone_is_no_reason_to_hide_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\n" + "u,s,9/22/2020 12:30\n" * 2)
    with pytest.raises(InputError, match=r"line 2\); say how they are written with --time-format '%m/%d/%Y %H:%M'"):
        read(path, timezone="Europe/Stockholm")


@pytest.mark.parametrize("moment", ["2020-09-22", "1600770600999", "2020-09-22 10:30 UTC"])
def test_the_form_is_told_by_what_is_not_missing(tmp_path: Path, moment: str) -> None:
    """Sorted by time, missing ones come first, and may fill more than a batch."""
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\n" + "customer,article,\n" * 80_000 + f"u,s,{moment}\n" * 2)
    found = read(path, drop_missing=True)
    assert found.time.tolist() == values(moment) * 2


def read(path: Path, skip: bool = False, **how: object) -> Raw:
    reading = Reading(COLUMNS, **how)  # type: ignore[arg-type]
    return source.read(Request((path,), 0, rejects=Rejects(skip), reading=reading))


@pytest.mark.parametrize(
    "moments, hint",
    [
        (["9/22/2020", "9/23/2020"], "--time-format '%m/%d/%Y'"),
        (["22/09/2020 10:30"] * 3, "--time-format '%d/%m/%Y %H:%M'"),
        (["1.4.2020"] * 2, "--time-format '%d.%m.%Y' or --time-format '%m.%d.%Y'"),
        (["week 3", "week 4"], "--time-format, in strptime's words"),
        (["10:30", "10:31"], "--time-format, in strptime's words"),
    ],
)
def test_where_all_have_a_form_that_is_not_read_no_row_is_to_be_left_out(
    tmp_path: Path, moments: list[str], hint: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\n" + "".join(f"u,s,{moment}\n" for moment in moments))
    with pytest.raises(InputError, match=r"^The at '.*' is not a date like .* \(.*t.csv, line 2\)") as caught:
        read(path)
    assert hint.split(" or ")[0] in str(caught.value)
    assert "--skip-bad-rows" not in str(caught.value)


def test_a_format_that_no_row_has_is_not_mended_by_leaving_rows_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\n" + "u,s,2020-09-22\n" * 3)
    with pytest.raises(InputError, match=r"The at '2020-09-22' is not a time like %d/%m/%Y") as caught:
        read(path, time_format="%d/%m/%Y")
    assert "--skip-bad-rows" not in str(caught.value)


def test_a_missing_time_is_dropped_by_its_option(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\nu,s,2020-09-22\nu,s,  \nu,s,\nu,s,NULL\n")
    with pytest.raises(InputError, match=r"line 3\); leave such rows out with --drop-missing"):
        read(path)
    assert read(path, drop_missing=True).time.tolist() == [DAY]


@pytest.mark.parametrize("type", [pa.float32(), pa.float16()])
def test_floats_that_are_too_coarse_for_seconds(tmp_path: Path, type: pa.DataType) -> None:
    """A 32-bit float tells seconds of today to two minutes."""
    column = pa.array(np.array([1.6e4, 1.6e4], "float16" if type == pa.float16() else "float32"))
    table = pa.table({"user": ["u", "v"], "sku": ["s", "s"], "at": column})
    path = tmp_path / "t.parquet"
    if type == pa.float32():
        pq.write_table(table, path)
    else:
        pq.write_table(table.set_column(2, "at", column.cast(pa.float32())), path)
    with pytest.raises(
        InputError, match=r"The column at holds 32-bit floats, .*\(.*t.parquet\); write it again as whole"
    ):
        read(path)
    with pytest.raises(InputError, match="-bit floats, which are too coarse for times"):
        source.read(Request((table,), 0, reading=Reading(COLUMNS)))


def test_floats_of_64_bits_are_fine_enough(tmp_path: Path) -> None:
    for number in (1600770600.5, 1600770600.5e3, 1600770600.5e6, 1600770600.5e9):
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"user": ["u"], "sku": ["s"], "at": [number]}), path)
        assert read(path).time.tolist() == [HALF_TEN]


def test_moments_of_96_bits_are_what_they_are_beyond_those_of_64(tmp_path: Path) -> None:
    """2600 would come back in 2015."""
    path = tmp_path / "t.parquet"
    moments = pa.array([datetime(2020, 9, 22, 10, 30), datetime(2600, 1, 1)], pa.timestamp("us"))
    table = pa.table({"user": ["u", "u"], "sku": ["s", "t"], "at": moments})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    with pytest.raises(InputError, match=r"The at '2600-01-01 00:00:00' is not a date and time"):
        read(path)
    assert read(path, skip=True).time.tolist() == [HALF_TEN]


def test_coarse_floats_are_refused_under_another_name_too(tmp_path: Path) -> None:
    """In a second input the column may be called a little differently."""
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at\nu,s,1600770600\n")
    pq.write_table(
        pa.table({"user": ["u"], "sku": ["t"], "At": pa.array([1.6e9], pa.float32())}), tmp_path / "t.parquet"
    )
    with pytest.raises(InputError, match="32-bit floats"):
        source.read(Request((path, tmp_path / "t.parquet"), 0, reading=Reading(COLUMNS)))
