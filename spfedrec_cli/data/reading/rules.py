"""Which rows of a table of purchases are meant: the conditions that a user states."""

import re
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.raw import Reading
from spfedrec_cli.data.reading.kinds import matching, missing, whole_numbers
from spfedrec_cli.data.reading.scan import Rule
from spfedrec_cli.errors import InputError

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_CONDITION = re.compile(r"(?s)(.+?)\s*(!=|<=|>=|!~|=|<|>|~)\s*(.*)")
_ORDERS = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}


def rules(reading: Reading, columns: Mapping[str, str]) -> tuple[Rule, ...]:
    """What is asked of each row, given the names of the `columns` by role. Raises InputError for a condition that is
    none."""
    found = [_where(text) for text in reading.where]
    if reading.drop_missing:
        kept = {"customer": _is_there, "item": _is_there, "time": _is_time}
        found += [Rule("--drop-missing", columns[role], keeps) for role, keeps in kept.items() if role in columns]
    if reading.returns == "drop" and "quantity" in columns:
        found.append(Rule("--returns drop", columns["quantity"], _is_no_return))
    return tuple(found)


def _is_there(texts: pa.Array) -> pa.Array:
    return pc.invert(missing(texts))


def _is_time(texts: pa.Array) -> pa.Array:
    """Of blanks there are ids, but no times."""
    return _is_there(pc.utf8_trim_whitespace(texts))


def _is_no_return(texts: pa.Array) -> pa.Array:
    """What is no number is found out later."""
    return pc.fill_null(pc.greater(whole_numbers(texts), 0), True)


def _where(text: str) -> Rule:
    """COLUMN=VALUE, or with !=, <, <=, >, >=, ~ (holds a match of the regular expression) or !~."""
    parsed = _CONDITION.fullmatch(text)
    if parsed is None or (parsed[2] in _ORDERS and not parsed[3]):
        hint = "write it as country=UK, price>0 or code~^[0-9]{5}"
        raise InputError(f"{text!r} is no condition on a column", where="--where", hint=hint)
    column, sign, value = parsed.groups()
    return Rule(f"--where {text}", column.strip(), _test(sign, value, text))


def _test(sign: str, value: str, text: str) -> Callable[[pa.Array], pa.Array]:
    if sign.endswith("~"):
        return _search(sign, value, text)
    if sign in _ORDERS:
        return _ordered(sign, value)
    return lambda texts: pc.xor(_equal(texts, value), sign == "!=")


def _search(sign: str, pattern: str, text: str) -> Callable[[pa.Array], pa.Array]:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid:
        hint = "write a regular expression as ^[0-9]{5}"
        raise InputError(f"{text!r} holds no regular expression", where="--where", hint=hint) from None
    return lambda texts: pc.xor(pc.match_substring_regex(texts, pattern), sign == "!~")


def _ordered(sign: str, value: str) -> Callable[[pa.Array], pa.Array]:
    """Numbers by size, where `value` is one; else texts, and with them ISO dates, by letter."""
    if re.fullmatch(_NUMBER, value):
        return lambda texts: _ORDERS[sign](_numbers(texts), float(value))
    return lambda texts: _ORDERS[sign](texts, value)


def _equal(texts: pa.Array, value: str) -> pa.Array:
    same = pc.equal(texts, value)
    if re.fullmatch(_NUMBER, value):
        same = pc.or_(same, pc.fill_null(pc.equal(_numbers(texts), float(value)), False))
    return same


def _numbers(texts: pa.Array) -> pa.Array:
    """float64, null for what is no number."""
    return pc.utf8_ltrim(matching(texts, _NUMBER), "+").cast(pa.float64())
