"""What a column of a raw file may hold. Text is read as text and cast in the open, distinct values once."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import arrays
from spfedrec_cli.data.arrays import scalar, where
from spfedrec_cli.data.ids import Form, fitting

_PRICE = r"^\+?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?$"
_WHOLE = r"^\+?-?[0-9]{1,18}(\.0*)?$"
_EXPONENT = r"^-?[0-9](\.[0-9]{1,15})?[eE]\+?[0-9]{1,2}$"
# Ways to write whole numbers: without a point, with one that may mark thousands, with one that does not.
_POINTS = (r"^[0-9]+$", r"^[0-9]{1,3}\.000$", r"^[0-9]+\.(0{0,2}|0{4,})$")
_MOST = 2**31 - 1
_PRICES = "write prices as 1234.5, or leave price= out of --columns, which takes --source table"
_QUANTITIES = "write quantities as 1234, or leave quantity= out of --columns: each row is one piece then"
_CHANNELS = "leave --channel out, and say which rows to keep with --where sales_channel_id=NAME"
_HIGHEST = float(np.finfo(np.float32).max)
# What programs write where they have no value, in small letters; and what a name may be in other letters.
_MISSING = (
    *("", "nan", "null", "none", "<na>", "n/a", "#n/a", r"\n"),
    *("(null)", "[null]", "<null>", "(not set)", "undefined"),
)
_MISSING_AS_WRITTEN = ("NA", "NaT")


def _of_most(advice: str) -> Callable[[list[str], int], str | None]:
    return lambda values, right: advice if 2 * right < len(values) else None


ANOTHER = "name another column for it with --columns, which takes --source table"
_ANOTHER = _of_most(ANOTHER)


@dataclass(frozen=True)
class Kind:
    """`read` turns texts (n,) into values (n,), null where one is wrong; `described` says what it should be.

    `numbers` is the type in which values are kept; None for texts, which are kept as they stand. `hint` is the next
    thing to do about one wrong value, where there is more to say than to mend it; `advice` the next thing about the
    whole column, given some values and how many of them are right. Ids have a `form`.
    """

    described: str
    read: Callable[[pa.Array], pa.Array]
    numbers: np.dtype | None = None
    hint: Callable[[str], str | None] = lambda value: None
    advice: Callable[[list[str], int], str | None] = _ANOTHER
    form: Form | None = None


def ids(form: Form) -> Kind:
    def read(texts: pa.Array) -> pa.Array:
        fits = fitting(texts, form)
        if fits is None:
            return texts
        if form.free:
            fits = pc.and_not(fits, missing(texts))
        return where(fits, texts)

    advice = ANOTHER if form.free else "read it with --source table, which takes ids of any form"
    return Kind(form.described, read, hint=drop_missing, advice=_of_most(advice), form=form)


def missing(texts: pa.Array) -> pa.Array:
    """Whether each text is empty, but for blanks, or stands for nothing: nan, NULL."""
    bare = pc.utf8_trim_whitespace(texts)
    as_written = pc.is_in(bare, value_set=arrays.texts(_MISSING_AS_WRITTEN))
    return pc.or_(as_written, pc.is_in(pc.utf8_lower(bare), value_set=arrays.texts(_MISSING)))


def drop_missing(value: str) -> str | None:
    """The hint where a customer, an item or a time is missing."""
    return "leave such rows out with --drop-missing" if missing(arrays.texts([value]))[0].as_py() else None


def matching(texts: pa.Array, pattern: str) -> pa.Array:
    """Without blanks around them; null where they do not match."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return where(pc.match_substring_regex(trimmed, pattern), trimmed)


def whole_numbers(texts: pa.Array) -> pa.Array:
    """int64; `6.0` and `1e+05` are such, and what is none is null."""
    numbers = pc.replace_substring_regex(matching(texts, _WHOLE), r"^\+|\..*$", "")
    floats = matching(texts, _EXPONENT).cast(pa.float64())
    whole = pc.and_(pc.equal(pc.floor(floats), floats), pc.less(pc.abs(floats), scalar(2.0**53)))
    return pc.coalesce(numbers.cast(pa.int64()), where(whole, floats).cast(pa.int64()))


def watched(kind: Kind, seen: dict[str, list[str]]) -> Kind:
    """The same, which leaves in `seen` values of each way to write whole numbers: of each block the first by letter, so
    that it does not matter which thread comes first."""

    def read(texts: pa.Array) -> pa.Array:
        for pattern in _POINTS:
            if (first := pc.min(matching(texts, pattern)).as_py()) is not None:
                seen.setdefault(pattern, []).append(first)
        return kind.read(texts)

    return replace(kind, read=read)


def thousands(seen: dict[str, list[str]], name: str) -> list[str]:
    """A sentence where some whole numbers have three decimals and others none, as where a point marks thousands."""
    if set(seen) != {*_POINTS[:2]}:
        return []
    plain, pointed = (min(seen[pattern]) for pattern in _POINTS[:2])
    whole, rest = pointed.split(".")
    return [
        f"{name} {pointed} is read as {whole}, beside {plain}: where the point marks thousands, write {whole}{rest}"
    ]


def decimals(texts: pa.Array) -> pa.Array:
    """float64, 0 or above; null for anything else."""
    return pc.utf8_ltrim(matching(texts, _PRICE), "+").cast(pa.float64())


def _prices(texts: pa.Array) -> pa.Array:
    """An empty price is unknown, NaN; any other must be a number that is not negative."""
    numbers = decimals(texts)
    right = where(pc.less_equal(numbers, scalar(_HIGHEST)), numbers)
    return pc.if_else(missing(texts), scalar(float("nan")), right)


def within(numbers: pa.Array, low: int, high: int) -> pa.Array:
    return pc.and_(pc.greater_equal(numbers, scalar(low)), pc.less_equal(numbers, scalar(high)))


def _between(low: int, high: int, empty: int | None = None) -> Callable[[pa.Array], pa.Array]:
    def read(texts: pa.Array) -> pa.Array:
        numbers = whole_numbers(texts)
        numbers = where(within(numbers, low, high), numbers)
        return numbers if empty is None else pc.if_else(pc.equal(texts, scalar("")), scalar(empty), numbers)

    return read


def _of_price(value: str) -> str | None:
    return _PRICES if _odd(value, r"-?[0-9]+(\.[0-9]+)?") else None


def _of_quantity(value: str) -> str | None:
    number = whole_numbers(arrays.texts([value]))[0].as_py()
    if number is not None and number <= 0:
        return "leave returns out with --returns drop"
    return _QUANTITIES if _odd(value, "[0-9]+") else None


def _odd(value: str, plain: str) -> bool:
    """Whether it is a number that is written otherwise."""
    return bool(re.search("[0-9]", value)) and not re.fullmatch(plain, value.strip())


COUNT = Kind(
    f"a whole number from 0 to {_MOST:,}", _between(0, _MOST), np.dtype(np.int32), advice=lambda values, right: None
)
PRICE = Kind("a price", _prices, np.dtype(np.float32), _of_price, _of_most(_PRICES))
QUANTITY = Kind(
    f"a quantity from 1 to {_MOST:,}",
    _between(1, _MOST),
    np.dtype(np.int32),
    _of_quantity,
    _of_most(_QUANTITIES),
)
CHANNEL = Kind("a number of a sales channel", _between(0, 127, empty=0), np.dtype(np.int8), advice=_of_most(_CHANNELS))
CATEGORY = Kind("a text", lambda texts: texts)
