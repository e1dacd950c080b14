"""What a column of a raw file may hold. Text is read as text and cast in the open, distinct values once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import arrays
from spfedrec_cli.data.arrays import scalar, where
from spfedrec_cli.data.ids import Form, fitting

_PRICE = r"^\+?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?$"
_WHOLE = r"^\+?-?[0-9]{1,18}(\.0*)?$"
_MOST = 2**31 - 1
_HIGHEST = float(np.finfo(np.float32).max)
_ANOTHER = "name another column for it with --columns, which takes --source table"
# What programs write where they have no value.
_MISSING = ("", "nan", "null", "none", "<na>", "#n/a")


@dataclass(frozen=True)
class Kind:
    """`read` turns texts (n,) into values (n,), null where one is wrong; `described` says what it should be.

    `numbers` is the type in which values are kept; None for texts, which are kept as they stand. `hint` is the next
    thing to do about one wrong value, where there is more to say than to mend it; `advice` the next thing where no
    value of a column is right, given some of them. Ids have a `form`.
    """

    described: str
    read: Callable[[pa.Array], pa.Array]
    numbers: np.dtype | None = None
    hint: Callable[[str], str | None] = lambda value: None
    advice: Callable[[list[str]], str] = lambda values: _ANOTHER
    form: Form | None = None


def ids(form: Form) -> Kind:
    def read(texts: pa.Array) -> pa.Array:
        fits = fitting(texts, form)
        if fits is None:
            return texts
        if form.free:
            fits = pc.and_not(fits, missing(texts))
        return where(fits, texts)

    advice = _ANOTHER if form.free else "read it with --source table, which takes ids of any form"
    return Kind(form.described, read, hint=drop_missing, advice=lambda values: advice, form=form)


def missing(texts: pa.Array) -> pa.Array:
    """Whether each text is empty or stands for nothing: nan, NULL."""
    return pc.is_in(pc.utf8_lower(texts), value_set=arrays.texts(_MISSING))


def drop_missing(value: str) -> str | None:
    """The hint where a customer, an item or a time is missing."""
    return "leave such rows out with --drop-missing" if missing(arrays.texts([value]))[0].as_py() else None


def matching(texts: pa.Array, pattern: str) -> pa.Array:
    """Without blanks around them; null where they do not match."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return where(pc.match_substring_regex(trimmed, pattern), trimmed)


def whole_numbers(texts: pa.Array) -> pa.Array:
    """int64; `6.0` is one, and what is none is null."""
    numbers = pc.replace_substring_regex(matching(texts, _WHOLE), r"^\+|\..*$", "")
    return numbers.cast(pa.int64())


def decimals(texts: pa.Array) -> pa.Array:
    """float64, 0 or above; null for anything else."""
    return pc.utf8_ltrim(matching(texts, _PRICE), "+").cast(pa.float64())


def _prices(texts: pa.Array) -> pa.Array:
    """An empty price is unknown, NaN; any other must be a number that is not negative."""
    numbers = decimals(texts)
    right = where(pc.less_equal(numbers, scalar(_HIGHEST)), numbers)
    return pc.if_else(missing(pc.utf8_trim_whitespace(texts)), scalar(float("nan")), right)


def within(numbers: pa.Array, low: int, high: int) -> pa.Array:
    return pc.and_(pc.greater_equal(numbers, scalar(low)), pc.less_equal(numbers, scalar(high)))


def _between(low: int, high: int, empty: int | None = None) -> Callable[[pa.Array], pa.Array]:
    def read(texts: pa.Array) -> pa.Array:
        numbers = whole_numbers(texts)
        numbers = where(within(numbers, low, high), numbers)
        return numbers if empty is None else pc.if_else(pc.equal(texts, scalar("")), scalar(empty), numbers)

    return read


def _drop_returns(value: str) -> str | None:
    number = whole_numbers(arrays.texts([value]))[0].as_py()
    return "leave returns out with --returns drop" if number is not None and number <= 0 else None


COUNT = Kind(f"a whole number from 0 to {_MOST:,}", _between(0, _MOST), np.dtype(np.int32))
PRICE = Kind("a price", _prices, np.dtype(np.float32))
QUANTITY = Kind(f"a quantity from 1 to {_MOST:,}", _between(1, _MOST), np.dtype(np.int32), _drop_returns)
CHANNEL = Kind("a sales channel", _between(0, 127, empty=0), np.dtype(np.int8))
CATEGORY = Kind("a text", lambda texts: texts)
