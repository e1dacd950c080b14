"""Moments as people write them, and which of the ways a file uses."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import arrays
from spfedrec_cli.data.arrays import scalar, where
from spfedrec_cli.data.reading.kinds import Kind, drop_missing, matching, missing, within
from spfedrec_cli.data.schema import TimeUnit
from spfedrec_cli.errors import InputError

Read = Callable[[pa.Array], pa.Array]

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = _DATE + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_OFFSET = r" ?(Z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)"
_NUMBER = r"^[0-9]{1,19}(\.[0-9]*)?$"
# How many of each are a second, and from where on a number is one of them rather than one of those before.
_EPOCHS = {
    "epoch-s": (1, 0, "seconds"),
    "epoch-ms": (10**3, 10**11, "milliseconds"),
    "epoch-us": (10**6, 10**14, "microseconds"),
    "epoch-ns": (10**9, 10**17, "nanoseconds"),
}
# The digits of a day, to the minute, to the second, as one number; and the same in ISO form.
_CALENDARS = {
    "20200922": ("([0-9]{4})([0-9]{2})([0-9]{2})", r"\1-\2-\3"),
    "202009221030": ("([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})", r"\1-\2-\3 \4:\5"),
    "20200922103000": ("([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})", r"\1-\2-\3 \4:\5:\6"),
}
_FIRST_YEAR, _LAST_YEAR = "1900", "2100"
_MOST = 0.9  # of the numbers of a file must be days for them to be days
_EPOCH = date(1970, 1, 1).toordinal()
_EXCEL = date(1899, 12, 30).toordinal() - _EPOCH
_RANGES = {"day": (date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH), "second": (-(2**31), 2**31 - 1)}
_CLOCK_WORDS = re.compile("%[HIMSfpXTcszRr]")
_DAYS_IN_WORDS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y")
_CLOCKS_IN_WORDS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")
_ANY = "a date like 2020-09-22, a date and time like 2020-09-22T10:30:00 or a number of seconds since 1970"


@dataclass(frozen=True)
class TimeForm:
    """One way to write moments, read to days or seconds since 1970.

    `local` ones say nothing of their zone, which is then UTC. `note` is a sentence for the user.
    """

    kind: Kind
    unit: TimeUnit
    local: bool = False
    note: str | None = None

    def seconds(self, texts: pa.Array) -> pa.Array:
        """int64, null for what is no such moment."""
        moments = self.kind.read(texts)
        return pc.multiply(moments, scalar(86400)) if self.unit == "day" else moments


def time_form(values: Sequence[str], format: str | None = None, zone: str | None = None) -> TimeForm:
    """As `format` says, else that of the first of `values` which has one; where none has, a form that no value has.

    `zone` is where moments that do not say so were written down. Raises InputError for a format or zone that is none.
    """
    texts = arrays.texts([value.strip() for value in values])
    texts = texts.filter(pc.invert(missing(texts)))
    form = _told(format, texts) if format else _found(texts)
    return form if zone is None else _in_zone(form, zone)


def _found(texts: pa.Array) -> TimeForm:
    for text in texts.to_pylist():
        if re.fullmatch(_NUMBER, text):
            return _of_numbers(matching(texts, _NUMBER).drop_null())
        form = next((form for form in _WRITTEN if form.kind.read(arrays.texts([text])).null_count == 0), None)
        if form:
            return form
    return _form(_ANY, "second", lambda texts: pa.nulls(len(texts), pa.int64()))


def _of_numbers(numbers: pa.Array) -> TimeForm:
    """Days of the calendar where nearly all are such; else the unit in which the first one is a moment of our time."""
    for example in _CALENDARS:
        form = _calendar(example, numbers[0].as_py())
        years = pc.utf8_slice_codeunits(numbers, 0, 4)
        likely = pc.and_(pc.greater_equal(years, scalar(_FIRST_YEAR)), pc.less_equal(years, scalar(_LAST_YEAR)))
        days = pc.and_(form.kind.read(numbers).is_valid(), likely)
        if pc.sum(days).as_py() >= _MOST * len(numbers):
            return form
    first = int(numbers[0].as_py().partition(".")[0])
    name = next(name for name in reversed(_EPOCHS) if first >= _EPOCHS[name][1])
    return _epoch(name, _EPOCHS[name][1])


def _told(format: str, texts: pa.Array) -> TimeForm:
    if format in _EPOCHS:
        return _epoch(format, 0)
    if format == "excel":
        parts = pc.any(pc.match_substring_regex(texts, r"^[0-9]+\.0*[1-9]")).as_py()
        return _excel_moments() if parts else _form("a day of Excel, like 44096", "day", _excel(1))
    if "%" not in format:
        hint = f"write it in strptime's words, as '%d/%m/%Y %H:%M', or as {', '.join(_EPOCHS)} or excel"
        raise InputError(f"There is no time format {format!r}", where="--time-format", hint=hint)
    unit: TimeUnit = "second" if _CLOCK_WORDS.search(format) else "day"
    form = _form(f"a time like {format}", unit, lambda texts: _strptime(texts, format, unit))
    return replace(form, local=unit == "second" and "%z" not in format)


def _in_zone(form: TimeForm, zone: str) -> TimeForm:
    """Moments on the clocks of `zone`. A moment that its clocks showed twice is the later one."""
    if not form.local:
        why = "are days without a time of day" if form.unit == "day" else "say their zone themselves"
        raise InputError(f"The times {why}", where="--timezone", hint="leave --timezone out")
    _localized(pa.array([0]), zone)
    return replace(
        form, kind=replace(form.kind, read=lambda texts: _within(_localized(form.kind.read(texts), zone), form.unit))
    )


def _localized(seconds: pa.Array, zone: str) -> pa.Array:
    import pandas as pd

    moments = pd.Series(seconds.cast(pa.timestamp("s")).to_numpy(zero_copy_only=False))
    try:
        there = moments.dt.tz_localize(zone, ambiguous=np.zeros(len(moments), bool), nonexistent="shift_forward")
    except (KeyError, ValueError, OSError):
        hint = "write it as Europe/Stockholm"
        raise InputError(f"There is no time zone {zone!r}", where="--timezone", hint=hint) from None
    return pa.array(there.dt.tz_convert("UTC").dt.tz_localize(None), pa.timestamp("s")).cast(pa.int64())


def guess(values: Sequence[str]) -> str:
    """What to do about moments in no form that is read untold: the words for them, where some fit all `values`."""
    words = [day + clock for clock in _CLOCKS_IN_WORDS for day in _DAYS_IN_WORDS]
    fitting = [f"--time-format '{one}'" for one in words if values and all(_is(value.strip(), one) for value in values)]
    if fitting:
        return f"say how they are written with {' or '.join(fitting)}"
    return (
        "say how they are written with --time-format, in strptime's words as '%d/%m/%Y %H:%M', or name another column"
    )


def _is(text: str, words: str) -> bool:
    try:
        return bool(datetime.strptime(text, words))
    except ValueError:
        return False


def _form(described: str, unit: TimeUnit, read: Read, local: bool = False, note: str | None = None) -> TimeForm:
    def in_range(texts: pa.Array) -> pa.Array:
        return _within(read(texts), unit)

    kind = Kind(described, in_range, np.dtype(np.int32), hint=drop_missing, advice=guess)
    return TimeForm(kind, unit, local, note)


def _within(numbers: pa.Array, unit: TimeUnit) -> pa.Array:
    low, high = _RANGES[unit]
    return where(within(numbers, low, high), numbers)


def _parsed(texts: pa.Array, type: pa.DataType) -> pa.Array:
    """`texts` cast to `type`; null for days that there are not."""
    try:
        return texts.cast(type)
    except pa.ArrowInvalid:
        return pa.array([_one(text, type) for text in texts.to_pylist()], type)


def _one(text: str | None, type: pa.DataType) -> pa.Scalar | None:
    try:
        return pa.scalar(text, pa.string()).cast(type).as_py()
    except (pa.ArrowInvalid, ValueError, OverflowError):
        return None


def _days(texts: pa.Array) -> pa.Array:
    return _parsed(matching(texts, f"^{_DATE}$"), pa.date32()).cast(pa.int32()).cast(pa.int64())


def _seconds(moments: pa.Array) -> pa.Array:
    return pc.floor_temporal(moments, unit="second").cast(pa.timestamp("s")).cast(pa.int64())


def _naive(texts: pa.Array) -> pa.Array:
    return _seconds(_parsed(matching(texts, f"^{_MOMENT}$"), pa.timestamp("ns")))


def _zoned(texts: pa.Array) -> pa.Array:
    fitting = matching(texts, f"^{_MOMENT}{_OFFSET}$")
    plain = pc.replace_substring_regex(fitting, " ?(Z|UTC|GMT)$", "Z")
    plain = pc.replace_substring_regex(plain, r" ([+-][0-9:]+)$", r"\1")
    return _seconds(_parsed(plain, pa.timestamp("ns", "UTC")).cast(pa.timestamp("ns")))


def _epoch(name: str, lowest: int) -> TimeForm:
    unit, _, words = _EPOCHS[name]

    def read(texts: pa.Array) -> pa.Array:
        whole = _parsed(pc.replace_substring_regex(matching(texts, _NUMBER), r"\..*$", ""), pa.int64())
        return where(pc.greater_equal(whole, scalar(lowest)), pc.divide(whole, scalar(unit)))

    note = None if unit == 1 else f"times are {words} since 1970: whole seconds are kept"
    return _form(f"a number of {words} since 1970", "second", read, note=note)


def _calendar(example: str, first: str) -> TimeForm:
    pattern, iso = _CALENDARS[example]
    read, unit = (_days, "day") if len(example) == 8 else (_naive, "second")

    def from_digits(texts: pa.Array) -> pa.Array:
        return read(pc.replace_substring_regex(matching(texts, rf"^{pattern}(\.0*)?$"), rf"^{pattern}.*$", iso))

    note = f"times like {first} are read as dates, not as seconds since 1970"
    return _form(f"a time like {example}", unit, from_digits, local=unit == "second", note=note)  # type: ignore[arg-type]


def _excel(a_day: int) -> Read:
    pattern = r"^[0-9]{1,7}(\.0*)?$" if a_day == 1 else r"^[0-9]{1,7}(\.[0-9]*)?$"

    def read(texts: pa.Array) -> pa.Array:
        days = matching(texts, pattern).cast(pa.float64())
        return pc.round(pc.multiply(pc.add(days, _EXCEL), a_day)).cast(pa.int64())

    return read


def _excel_moments() -> TimeForm:
    return _form("a day of Excel with its time, like 44096.4375", "second", _excel(86400), local=True)


def _strptime(texts: pa.Array, format: str, unit: TimeUnit) -> pa.Array:
    import pandas as pd

    trimmed = pc.utf8_trim_whitespace(texts).to_pandas()
    try:
        moments = pd.to_datetime(trimmed, format=format, errors="coerce", utc=True).dt.tz_localize(None)
    except ValueError as error:
        problem = f"The time format {format!r} cannot be read: {str(error).splitlines()[0]}"
        raise InputError(problem, where="--time-format", hint="write it in strptime's words") from None
    seconds = _seconds(pa.array(moments, pa.timestamp("us"), from_pandas=True, safe=False))
    return pc.divide(seconds, 86400) if unit == "day" else seconds


_WRITTEN = (
    _form("a date like 2020-09-22", "day", _days),
    _form("a date and time like 2020-09-22T10:30:00, from 1902 to 2037", "second", _naive, local=True),
    _form("a date, time and zone like 2020-09-22T10:30:00Z, from 1902 to 2037", "second", _zoned),
)
