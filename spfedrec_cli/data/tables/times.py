"""Moments as people write them: dates, dates with a time of day, seconds or milliseconds since 1970."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.schema import TimeUnit
from spfedrec_cli.data.tables.kinds import DAY, SECOND, Kind

I32 = npt.NDArray[np.int32]

_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_NAIVE, _ZONED = re.compile(_MOMENT), re.compile(_MOMENT + _ZONE)
_MILLISECONDS = 10**11
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1
_SURE_YEARS = range(1902, 2038)


@dataclass(frozen=True)
class TimeForm:
    """One way to write moments. `note` is a sentence for the user."""

    kind: Kind
    unit: TimeUnit
    note: str | None = None


def time_form(values: Sequence[str]) -> TimeForm:
    """That of the first of `values` which has one. Where none has, the form that no value has."""
    forms = (form for value in values if (form := _form_of(value)))
    return next(forms, _NO_FORM)


def _form_of(value: str) -> TimeForm | None:
    value = value.strip()
    if value.isascii() and value.isdigit():
        return _IN_MILLISECONDS if len(value) < 18 and int(value) > _MILLISECONDS else _IN_SECONDS
    if DAY.fits(value):
        return _DAYS
    pattern = _ZONED if _ZONED.fullmatch(value) else _NAIVE
    form = _WITH_ZONE if pattern is _ZONED else _WITHOUT_ZONE
    return form if pattern.fullmatch(value) else None


def _is_moment(pattern: re.Pattern[str], text: str) -> bool:
    try:
        return bool(pattern.fullmatch(text)) and datetime.fromisoformat(text).year in _SURE_YEARS
    except ValueError:
        return False


def _seconds(values: pa.Array) -> I32 | None:
    return _scaled(values.cast(pa.int64()), 10**9, _LOWEST, _HIGHEST)


def _from_milliseconds(values: pa.Array) -> I32 | None:
    return _scaled(values, 1000, _MILLISECONDS // 1000, _HIGHEST)


def _scaled(values: pa.Array, unit: int, low: int, high: int) -> I32 | None:
    if values.null_count:
        return None
    seconds = values.to_numpy() // unit
    in_range = not len(seconds) or (low <= seconds.min() and seconds.max() <= high)
    return seconds.astype(np.int32) if in_range else None


def _moments(described: str, pattern: re.Pattern[str], zone: str | None) -> Kind:
    return Kind(described, pa.timestamp("ns", zone), lambda text: _is_moment(pattern, text), _seconds)


_MILLISECOND = Kind("a number of milliseconds since 1970", pa.int64(), lambda text: False, _from_milliseconds)
_DAYS, _IN_SECONDS = TimeForm(DAY, "day"), TimeForm(SECOND, "second")
_IN_MILLISECONDS = TimeForm(_MILLISECOND, "second", "times are milliseconds since 1970: whole seconds are kept")
_WITHOUT_ZONE = TimeForm(_moments("a date and time like 2020-09-22T10:30:00", _NAIVE, None), "second")
_WITH_ZONE = TimeForm(_moments("a date, time and zone like 2020-09-22T10:30:00Z", _ZONED, "UTC"), "second")
_NO_FORM = TimeForm(
    Kind(
        "a date like 2020-09-22, a date and time like 2020-09-22T10:30:00 or a number of seconds since 1970",
        pa.string(),
        lambda text: False,
        lambda values: None if len(values) else np.empty(0, np.int32),
    ),
    "second",
)
