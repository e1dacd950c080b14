"""Typed columns, as Parquet holds them, to what the kinds of columns expect."""

import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.tables.kinds import TEXT, Kind

_EXACT = float(2**53)


def as_arrow(column: pa.Array, kind: Kind) -> pa.Array:
    """`column` as `kind` reads it; a moment with a time zone is one of UTC, and NaN is unknown.

    Raises ArrowInvalid or ArrowNotImplementedError where it cannot be.
    """
    if kind.arrow == TEXT:
        return pc.fill_null(as_text(column), "").dictionary_encode()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_date32(kind.arrow):
        return _as_days(column)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s"), safe=False).cast(kind.arrow)
    return _without_nothing(column).cast(kind.arrow)


def as_text(column: pa.Array) -> pa.Array:
    """Values as a file of text would hold them; a whole number that was read as a float is one again."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = _without_nothing(column).cast(pa.float64())
        whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), _EXACT))
        integers = pc.if_else(whole, column, None).cast(pa.int64())
        return pc.coalesce(integers.cast(pa.string()), column.cast(pa.string()))
    texts = column.cast(pa.string())
    texts.validate(full=True)
    return texts


def _as_days(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return pc.floor_temporal(column.cast(pa.timestamp(column.type.unit)), unit="day").cast(pa.date32())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        raise pa.ArrowNotImplementedError("a number is no date")
    return _without_nothing(column).cast(pa.date32())


def _without_nothing(column: pa.Array) -> pa.Array:
    """Null for an empty text or NaN."""
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        return pc.if_else(pc.equal(column, ""), None, column)
    return column
