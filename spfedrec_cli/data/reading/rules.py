"""Which rows of a table of purchases are meant: the conditions that a user states."""

import re
from collections.abc import Callable, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.raw import Reading
from spfedrec_cli.data.reading.kinds import matching, missing, whole_numbers
from spfedrec_cli.data.reading.scan import Rule
from spfedrec_cli.data.reading.times import TimeForm, dated, time_form
from spfedrec_cli.errors import InputError

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_CONDITION = re.compile(r'(?s)("[^"]+"|.+?)\s*(!=|<=|>=|!~|=|<|>|~)\s*(.*)')
_WHOLE = 2.0**53  # from where on floats leave whole numbers out
_ORDERS = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
_SIGNS = {**_ORDERS, "=": pc.equal, "!=": pc.not_equal}


def rules(reading: Reading, columns: Mapping[str, str]) -> tuple[Rule, ...]:
    """What is asked of each row, given the names of the `columns` by role. Raises InputError for a condition that is
    none, and for returns where no column of quantities is named."""
    stated = [reading.where] if isinstance(reading.where, str) else reading.where
    found = [_where(text, reading.timezone, columns.get("time")) for text in stated]
    if reading.drop_missing:
        needed = [columns[role] for role in ("customer", "item", "time") if role in columns]
        found += [Rule("--drop-missing", column, lambda texts: pc.invert(missing(texts))) for column in needed]
    if reading.returns == "drop":
        if "quantity" not in columns:
            raise InputError("--returns needs quantities", where="--returns", hint="add quantity=… to --columns")
        found.append(Rule("--returns drop", columns["quantity"], _is_no_return))
    return tuple(found)


def _is_no_return(texts: pa.Array) -> pa.Array:
    """What is no number is found out later."""
    return pc.fill_null(pc.greater(whole_numbers(texts), 0), True)


def _where(text: str, zone: str | None, times: str | None) -> Rule:
    """COLUMN=VALUE, or with !=, <, <=, >, >=, ~ (holds a match of the regular expression) or !~."""
    parsed = _CONDITION.fullmatch(text)
    if parsed is None or (parsed[2] in _ORDERS and parsed[3][:1] in ("", "<", ">", "=")):
        hint = "write it as country=UK, price>0 or code~^[0-9]{5}"
        raise InputError(f"{text!r} is no condition on a column", where="--where", hint=hint)
    column, sign, value = parsed.groups()
    quoted = len(column) > 2 and column[0] == column[-1] == '"'
    column = column[1:-1] if quoted else column.strip()
    is_number, is_date = re.fullmatch(_NUMBER, value), dated(pa.array([_begin(value)])).is_valid()[0].as_py()
    by_letter = sign in _ORDERS and column != times and not (is_number or is_date)
    name = f"--where {text}" + ", which compares letter by letter" * by_letter
    other = "date" if is_date and not is_number else "number"
    return Rule(name, column, _test(sign, value, text), partial(_timed, sign, value, text, zone), other)


def _test(sign: str, value: str, text: str) -> Callable[[pa.Array], pa.Array]:
    if sign.endswith("~"):
        return _search(sign, value, text)
    moment = dated(pa.array([_begin(value)]))[0].as_py()

    def keeps(texts: pa.Array) -> pa.Array:
        if sign in _ORDERS:
            plain = _ordered(texts, sign, value, moment is None)
        else:
            plain = pc.xor(_equal(texts, value), sign == "!=")
        return plain if moment is None else pc.coalesce(_SIGNS[sign](dated(_begun(texts)), moment), plain)

    return keeps


def _search(sign: str, pattern: str, text: str) -> Callable[[pa.Array], pa.Array]:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid:
        hint = "write a regular expression as ^[0-9]{5}"
        raise InputError(f"{text!r} holds no regular expression", where="--where", hint=hint) from None
    return lambda texts: pc.xor(pc.match_substring_regex(texts, pattern), sign == "!~")


def _ordered(texts: pa.Array, sign: str, value: str, letters: bool) -> pa.Array:
    """Numbers by size, where `value` is one, else texts by their `letters`, or not at all. What is missing is in no
    order."""
    if re.fullmatch(_NUMBER, value):
        found = _ORDERS[sign](_numbers(texts), float(value))
    else:
        found = _ORDERS[sign](texts, value) if letters else pa.nulls(len(texts), pa.bool_())
    return pc.and_kleene(found, pc.invert(missing(texts)))


def _timed(sign: str, value: str, text: str, zone: str | None, form: TimeForm) -> Callable[[pa.Array], pa.Array] | None:
    """Of times, however they are written; None where `value` is no time, and equal to none. A time that cannot be read
    is found out later."""
    if sign.endswith("~"):
        return None
    value = _begin(value)
    moment = form.seconds(pa.array([value]))[0].as_py()
    if moment is None:
        own = time_form([value])
        says_zone = own.unit == "second" and not own.local
        own = own if says_zone or not form.local else time_form([value], None, zone)
        moment = own.seconds(pa.array([value]))[0].as_py()
    if moment is None and sign in _ORDERS:
        hint = "write it as at>=2020-09-22"
        raise InputError(f"{text!r} compares times with something else", where="--where", hint=hint)

    def keeps(texts: pa.Array) -> pa.Array:
        return pc.and_(pc.fill_null(_SIGNS[sign](form.seconds(texts), moment), True), pc.invert(missing(texts)))

    return None if moment is None else keeps


def _begin(value: str) -> str:
    """The moment at which a year, a month or a day begins; anything else as it is."""
    day = re.fullmatch(r"[0-9]{4}(-[0-9]{2})?(-[0-9]{2})?", value)
    return value + "-01" * day.groups().count(None) + " 00:00" if day else value


def _begun(texts: pa.Array) -> pa.Array:
    """With months as their first days."""
    return pc.replace_substring_regex(texts, "^([0-9]{4}-[0-9]{2})$", r"\1-01")


def _equal(texts: pa.Array, value: str) -> pa.Array:
    if value.lower() in ("true", "false"):
        return pc.equal(pc.utf8_lower(texts), value.lower())
    same = pc.equal(texts, value)
    if re.fullmatch(_NUMBER, value) and abs(float(value)) < _WHOLE:
        same = pc.or_(same, pc.fill_null(pc.equal(_numbers(texts), float(value)), False))
    return same


def _numbers(texts: pa.Array) -> pa.Array:
    """float64, null for what is no number."""
    return pc.utf8_ltrim(matching(texts, _NUMBER), "+").cast(pa.float64())
