"""Moments as people write them, and which of the ways a file uses."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import arrays
from spfedrec_cli.data.arrays import scalar, where
from spfedrec_cli.data.reading.kinds import ANOTHER, Kind, drop_missing, matching, missing, within
from spfedrec_cli.data.schema import TimeUnit
from spfedrec_cli.data.split import EARLIEST
from spfedrec_cli.errors import InputError

Read = Callable[[pa.Array], pa.Array]

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = _DATE + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_OFFSET = r" ?(Z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)"
_NUMBER = r"^[0-9]{1,19}(\.[0-9]*)?$"
_POWER = r"^[0-9](\.[0-9]*)?[eE]\+?[0-9]{1,2}$"
_UNROUNDED = r"^[0-9]\.[0-9]{6}"  # programs that round numbers to show them leave fewer digits
# How many of each are a second, and from where on a number is one of them rather than one of those before.
_EPOCHS = {
    "epoch-s": (1, 0, "seconds"),
    "epoch-ms": (10**3, 10**11, "milliseconds"),
    "epoch-us": (10**6, 10**14, "microseconds"),
    "epoch-ns": (10**9, 7 * 10**17, "nanoseconds"),  # below which are ticks since the year 1
}
# A day, to the minute, to the second, as one number; and its digits in ISO form.
_CALENDARS = {
    "20200922": r"\1-\2-\3",
    "202009221030": r"\1-\2-\3 \4:\5",
    "20200922103000": r"\1-\2-\3 \4:\5:\6",
}
_OUR_YEARS = "^(19[0-9]{2}|20[0-9]{2}|2100)"
_EPOCH = date(1970, 1, 1).toordinal()
_EXCEL = date(1899, 12, 30).toordinal() - _EPOCH
_RANGES = {"day": (date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH), "second": (-(2**31), 2**31 - 1)}
_CLOCK_WORDS = re.compile("%[HIMSfpXTcszRr]")
_YEAR_WORDS = re.compile("%[YyGcxDFs]")
_DIGITS_OF = {"%Y": 4, "%j": 3, **dict.fromkeys(("%y", "%m", "%d", "%H", "%I", "%M", "%S"), 2)}
_ORDERS = (
    *("%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    *("%d-%b-%Y", "%d-%b-%y", "%b-%d-%Y", "%b-%d-%y"),
)
_DAYS_IN_WORDS = (
    *(order.replace("-", sign) for sign in "/.-" for order in _ORDERS),
    *("%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%m %d, %Y", "%b %d %Y", "%d%b%Y"),
)
_HOURS_IN_WORDS = ("%H", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
_CLOCKS_IN_WORDS = ("", *(sign + hours for sign in (" ", ", ", "T", ":", " @ ") for hours in _HOURS_IN_WORDS))
_WORDS = (
    *(day + clock for clock in _CLOCKS_IN_WORDS for day in _DAYS_IN_WORDS),
    *(f"{day} {hours}{zone}" for zone in (" %z", "%z") for hours in _HOURS_IN_WORDS for day in _DAYS_IN_WORDS),
    *("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z"),
    *("%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S UTC %Y", "%Y-%m-%dT%H:%M:%S,%f", "%Y年%m月%d日"),
    *("%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S%z", "%Y-%m-%d %H:%M:%S,%f", "%d-%b-%y %I.%M.%S.%f %p", "%Y-%m"),
    *("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S%f", "%Y-%m-%d-%H.%M.%S.%f"),
)
_LEAVE = "leave {} out: such times are read without it; if other files need it, write all times alike"
_FEW = 10  # values of which one must fit the words
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
    """As `format` says, else that of most of `values`, else of the first which has one, else one that no value has.

    `zone` is where moments that do not say so were written down. Raises InputError for a format or zone that is none.
    """
    texts = arrays.texts([value.strip() for value in values])
    texts = texts.filter(pc.invert(missing(texts)))
    form = _told(format, texts) if format else _found(texts)
    return form if zone is None else _in_zone(form, zone)


def _found(texts: pa.Array) -> TimeForm:
    """That of most of the texts, else of the first which has one. Numbers are days in years of ours alone."""
    ours = matching(_numbers(texts), _OUR_YEARS)
    read = [(form, form.kind.read(ours if form in _DIGITS else texts).is_valid()) for form in _FORMS]
    most = (one for one in read if 2 * one[1].true_count > len(texts))
    first = (one for row in range(len(texts)) for one in read if one[1][row].as_py())
    form, fits = next(chain(most, first), (_UNKNOWN, None))
    if form not in _DIGITS:
        return form
    return replace(form, note=f"times like {texts.filter(fits)[0]} are read as dates, not as seconds since 1970")


def _told(format: str, texts: pa.Array) -> TimeForm:
    if format in _EPOCHS:
        return _epoch(format, 0)
    if format == "excel":
        parts = pc.any(pc.match_substring_regex(texts, r"^[0-9]+[.,]0*[1-9]")).as_py()
        if parts:
            return _form("a day of Excel with its time, like 44096.4375", "second", _excel(86400), local=True)
        return _form("a day of Excel, like 44096", "day", _excel(1))
    if "%" not in format:
        hint = f"write it in strptime's words, as '%d/%m/%Y %H:%M', or as {', '.join(_EPOCHS)} or excel"
        raise InputError(f"There is no time format {format!r}", where="--time-format", hint=hint)
    if ("%I" in format) != ("%p" in format):
        hint = "write %H for hours up to 23, and %I with %p for hours up to 12 with AM or PM"
        raise InputError(f"The time format {format!r} does not say which hour", where="--time-format", hint=hint)
    if _CLOCK_WORDS.search(format) and not _YEAR_WORDS.search(format):
        hint = "name a column that holds the date too, or the date alone"
        raise InputError(f"The time format {format!r} does not say which day", where="--time-format", hint=hint)
    unit: TimeUnit = "second" if _CLOCK_WORDS.search(format) else "day"
    form = _form(f"a time like {format}", unit, lambda texts: _strptime(texts, format, unit))
    return replace(form, local=unit == "second" and not re.search("%[zZ]", format))


def _in_zone(form: TimeForm, zone: str) -> TimeForm:
    """Moments on the clocks of `zone`. A moment that its clocks showed twice is the later one."""
    if not form.local:
        why = "are days without a time of day" if form.unit == "day" else "say their zone themselves"
        raise InputError(f"The times {why}", where="--timezone", hint=_LEAVE.format("--timezone"))
    _localized(pa.array([0]), zone)
    return replace(
        form, kind=replace(form.kind, read=lambda texts: _within(_localized(form.kind.read(texts), zone), form.unit))
    )


def _localized(seconds: pa.Array, zone: str) -> pa.Array:
    import pandas as pd

    moments = pd.Series(seconds.cast(pa.timestamp("s")).to_numpy(zero_copy_only=False))
    try:
        there = moments.dt.tz_localize(zone, ambiguous=np.zeros(len(moments), bool), nonexistent="shift_forward")
    except (KeyError, ValueError, OSError, IndexError):
        hint = "write it as Europe/Stockholm"
        raise InputError(f"There is no time zone {zone!r}", where="--timezone", hint=hint) from None
    return pa.array(there.dt.tz_convert("UTC").dt.tz_localize(None), pa.timestamp("s")).cast(pa.int64())


def dated(texts: pa.Array) -> pa.Array:
    """Seconds since 1970 (n,) of ISO dates and moments, int64; null for anything else."""
    return pc.coalesce(pc.multiply(_days(texts), scalar(86400)), _naive(texts), _zoned(texts))


def guess(values: Sequence[str], right: int = 0) -> str | None:
    """What to do about `values`, of which so many are in the form that they are read in: the words for them, where some
    fit more, and most."""
    tried = [value.strip() for value in values]
    texts = arrays.texts(tried)
    enough = max(right, len(tried) // 2)
    found = _found(texts).seconds(texts)
    if pc.greater_equal(found, scalar(EARLIEST * 86400)).true_count > enough:
        return _LEAVE.format("--time-format")
    if tried and not right and pc.all(pc.match_substring_regex(texts, _POWER)).as_py():
        return "write them again with all their digits"
    likely = [words for words in _WORDS if any(_is(one, words) for one in tried[:_FEW])]
    fitting = {words: sum(_is(one, words) for one in tried) for words in likely}
    best = max(fitting.values(), default=0)
    if best > enough:
        named = (f"--time-format '{words}'" for words, fit in fitting.items() if fit == best)
        return f"say how they are written with {' or '.join(named)}"
    words = "strptime's words as '%d/%m/%Y %H:%M', with names of months in English"
    generic = f"say how they are written with --time-format, in {words}, or {ANOTHER}"
    return generic if 2 * right < len(tried) or not tried else None


def _is(text: str, words: str) -> bool:
    """Whether it may be such a time: two digits that say a year to come are days, in another order."""
    try:
        year = datetime.strptime(text, words).year
        last = date.today().year + 1 if "%y" in words else 2037
        return 1902 <= year <= last or not ("%y" in words or _CLOCK_WORDS.search(words))
    except ValueError:
        return False


def _form(described: str, unit: TimeUnit, read: Read, local: bool = False, note: str | None = None) -> TimeForm:
    def in_range(texts: pa.Array) -> pa.Array:
        return _within(read(texts), unit)

    kind = Kind(described, in_range, np.dtype(np.int32), lambda value: drop_missing(value.strip()), guess)
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


def _numbers(texts: pa.Array) -> pa.Array:
    """Those that are numbers; one like 1.600770600E9 with all its digits, where it was not rounded."""
    plain = matching(texts, _NUMBER)
    if not plain.null_count:
        return plain
    powers = matching(matching(texts, _POWER), _UNROUNDED).cast(pa.float64())
    whole = pc.floor(where(pc.less(powers, scalar(1e18 * 9)), powers)).cast(pa.int64())
    return pc.coalesce(plain, whole.cast(pa.string()))


def _epoch(name: str, lowest: int) -> TimeForm:
    unit, _, words = _EPOCHS[name]

    def read(texts: pa.Array) -> pa.Array:
        whole = _parsed(pc.replace_substring_regex(_numbers(texts), r"\..*$", ""), pa.int64())
        return where(pc.greater_equal(whole, scalar(lowest)), pc.divide(whole, scalar(unit)))

    note = None if unit == 1 else f"times are {words} since 1970: whole seconds are kept"
    return _form(f"a number of {words} since 1970", "second", read, note=note)


def _calendar(example: str) -> TimeForm:
    pattern = "([0-9]{4})" + "([0-9]{2})" * (len(example) // 2 - 2)
    read, unit = (_days, "day") if len(example) == 8 else (_naive, "second")

    def from_digits(texts: pa.Array) -> pa.Array:
        return read(
            pc.replace_substring_regex(
                matching(_numbers(texts), rf"^{pattern}(\.0*)?$"), f"^{pattern}.*$", _CALENDARS[example]
            )
        )

    return _form(f"a time like {example}", unit, from_digits, local=unit == "second")  # type: ignore[arg-type]


def _excel(a_day: int) -> Read:
    pattern = r"^[0-9]{1,7}(\.0*)?$" if a_day == 1 else r"^[0-9]{1,7}(\.[0-9]*)?$"

    def read(texts: pa.Array) -> pa.Array:
        days = matching(pc.replace_substring(texts, ",", "."), pattern).cast(pa.float64())
        return pc.round(pc.multiply(pc.add(days, _EXCEL), a_day)).cast(pa.int64())

    return read


def _strptime(texts: pa.Array, format: str, unit: TimeUnit) -> pa.Array:
    import pandas as pd

    # To pandas `today` is a date, 201909.0 no %Y%m, and 1012020, which lost a zero, the first of October by %m%d%Y.
    plain = pc.replace_substring_regex(matching(texts, "[0-9]"), r"^([0-9]+)\.0*$", r"\1")
    words = re.findall("%.", format)
    several = len(words) > 1 + (words[:1] == ["%Y"])  # a month alone behind a year needs no zero
    if several and "".join(words) == format and all(word in _DIGITS_OF for word in words):
        digits = sum(_DIGITS_OF[word] for word in words)
        whole = plain if words[0] == "%Y" else pc.utf8_lpad(plain, digits, "0")
        plain = matching(whole, f"^[0-9]{{{digits}}}$")
    try:
        moments = pd.to_datetime(plain.to_pandas(), format=format, errors="coerce", utc=True).dt.tz_localize(None)
    except ValueError as error:
        problem = f"The time format {format!r} cannot be read: {str(error).splitlines()[0]}"
        raise InputError(problem, where="--time-format", hint="write it in strptime's words") from None
    seconds = _seconds(pa.array(moments, pa.timestamp("us"), from_pandas=True, safe=False))
    return pc.divide(seconds, 86400) if unit == "day" else seconds


_UNKNOWN = _form(_ANY, "second", lambda texts: pa.nulls(len(texts), pa.int64()), local=True)
_DIGITS = tuple(_calendar(example) for example in _CALENDARS)
_FORMS = (
    _form("a date like 2020-09-22", "day", _days),
    _form("a date and time like 2020-09-22T10:30:00, from 1902 to 2037", "second", _naive, local=True),
    _form("a date, time and zone like 2020-09-22T10:30:00Z, from 1902 to 2037", "second", _zoned),
    *_DIGITS,
    *(_epoch(name, lowest) for name, (_, lowest, _) in _EPOCHS.items()),
)
