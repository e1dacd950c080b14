"""Typed columns, as Parquet holds them, to what the kinds of columns expect."""

import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.tables.kinds import TEXT, Kind


def as_arrow(column: pa.Array, kind: Kind) -> pa.Array:
    """`column` as `kind` reads it. Raises ArrowInvalid or ArrowNotImplementedError where it cannot be."""
    if kind.arrow == TEXT:
        return _as_texts(column)
    if pa.types.is_timestamp(column.type) and pa.types.is_date32(kind.arrow):
        return pc.floor_temporal(column, unit="day").cast(pa.date32())
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s", column.type.tz), safe=False).cast(kind.arrow)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.if_else(pc.equal(column, ""), None, column)
    return column.cast(kind.arrow)


def _as_texts(column: pa.Array) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = pc.fill_null(as_text(column.dictionary), "")
    if not column.null_count:
        return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), texts)
    return pc.fill_null(
        pa.DictionaryArray.from_arrays(column.indices, texts).dictionary_decode(), ""
    ).dictionary_encode()


def as_text(column: pa.Array) -> pa.Array:
    """Values as a file of text would hold them; a whole number that was read as a float is one again."""
    if pa.types.is_floating(column.type):
        whole = pc.equal(pc.floor(column), column)
        integers = pc.if_else(whole, column, None).cast(pa.int64(), safe=False)
        return pc.coalesce(integers.cast(pa.string()), column.cast(pa.string()))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())
