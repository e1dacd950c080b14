"""Columns that have types, as Parquet and tables in memory hold them, as the text that a file of text would hold."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spfedrec_cli.data.reading.batches import Batch, Job
from spfedrec_cli.data.reading.files import RawFile, refusals
from spfedrec_cli.errors import InputError

# From where on floats of so many bits leave whole numbers out.
_EXACT = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
_ROWS = 1 << 18


def typed_jobs(file: RawFile, columns: Sequence[str], exact: Mapping[str, str], scratch: Path | None) -> Iterator[Job]:
    """Of a Parquet file, or of a table in memory, with the number of each row as its line.

    Raises InputError for a column that holds no single values, and where a time or an id, as `exact` calls them, is a
    float too coarse for it.
    """
    rows, total = 0, file.size
    with _batches(file, columns, scratch) as (whole, batches):
        for batch in batches:
            rows += len(batch)
            yield Job(partial(_batch, batch, columns, exact, file), total * rows // max(whole, rows, 1))


def _batch(read: pa.RecordBatch, columns: Sequence[str], exact: Mapping[str, str], file: RawFile) -> Batch:
    read = read.rename_columns(_trimmed(read.schema.names))
    texts = {name: _as_text(read.column(name), name, exact.get(name), file) for name in columns}

    def rows() -> list[str]:
        return [",".join(values) for values in zip(*(text.to_pylist() for text in texts.values()), strict=True)]

    return Batch(texts, len(read), np.arange(len(read)), rows)


@contextmanager
def _batches(
    file: RawFile, columns: Sequence[str], scratch: Path | None
) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """How many rows there are, and the rows."""

    def own(names: Sequence[str]) -> list[str]:
        return [name for name in names if name.strip() in columns]

    if file.table is not None:
        yield len(file.table), iter(file.table.select(own(file.table.column_names)).to_batches(_ROWS))
        return
    # Moments of 96 bits reach further than nanoseconds of 64.
    options = {"coerce_int96_timestamp_unit": "us", "page_checksum_verification": True}
    with file.on_disk(scratch) as path, refusals(file), pq.ParquetFile(path, **options) as source:
        yield source.metadata.num_rows, source.iter_batches(_ROWS, columns=own(source.schema_arrow.names))


def typed_names(file: RawFile, scratch: Path | None) -> tuple[str, ...]:
    if file.table is not None:
        return _trimmed(file.table.column_names)
    with file.on_disk(scratch) as path, refusals(file):
        return _trimmed(pq.read_schema(path).names)


def _trimmed(names: Sequence[str]) -> tuple[str, ...]:
    """Blanks around names do not count."""
    return tuple(map(str.strip, names))


def _as_text(column: pa.Array, name: str, role: str | None, file: RawFile) -> pa.Array:
    """Values as a file of text would hold them; a whole number that was read as a float is one again."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        if pa.types.is_duration(kind):  # whose text would be a number of something
            raise pa.ArrowNotImplementedError
        column = _plain(column)
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        if role and pa.types.is_floating(kind):
            _check_exact(encoded.dictionary, role, name, file)
        texts = pc.fill_null(_texts(encoded.dictionary, kind), "")
        texts.validate(full=True)
        return pc.fill_null(texts.take(encoded.indices), "")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        broken = " that is not UTF-8 text" if isinstance(error, pa.ArrowInvalid) else ""
        problem = f"The file cannot be read: the column {name} holds {kind}{broken}"
        raise InputError(problem, where=str(file), hint="write it as text, numbers or dates") from None


def _plain(column: pa.Array) -> pa.Array:
    """Bytes and texts that have a name (UUIDs, JSON) without it; decimals as wide as those that Arrow can number."""
    type = column.type
    if isinstance(type, pa.BaseExtensionType):
        bare = pa.types.is_primitive(type.storage_type) or pa.types.is_nested(type.storage_type)
        return column if bare else column.storage
    short = pa.types.is_decimal(type) and type.bit_width < 128
    return column.cast(pa.decimal128(38, type.scale)) if short else column


def _check_exact(values: pa.Array, role: str, name: str, file: RawFile) -> None:
    """A time or an id that is too large for its floats is another one."""
    bits = values.type.bit_width
    problem = f"The column {name} holds {bits}-bit floats, which are too coarse for {role}s"
    largest = pc.max(pc.abs(values.cast(pa.float64()))).as_py() or 0
    if bits < 64 if role == "time" else largest >= _EXACT[bits]:
        raise InputError(problem, where=str(file), hint="write it again as whole numbers, text or dates")


def _texts(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == pa.uuid():
        values = values.storage if isinstance(values, pa.ExtensionArray) else values
        return pa.array([one and str(UUID(bytes=one)) for one in values.to_pylist()], pa.string())
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float32()) if pa.types.is_float16(values.type) else values
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), pa.scalar(_EXACT[64], values.type)))
        integers = pc.if_else(whole, values, None).cast(pa.int64())
        other = pc.if_else(pc.is_nan(values), None, values)
        return pc.coalesce(integers.cast(pa.string()), other.cast(pa.string()))
    if pa.types.is_decimal(values.type):  # nothing of ten places would be 0E-10
        return pc.replace_substring_regex(values.cast(pa.string()), r"^0E.*", "0")
    if pa.types.is_timestamp(values.type):
        moments = values.cast(pa.timestamp(values.type.unit)).cast(pa.string())
        whole = pc.replace_substring_regex(moments, r"\.0+$|(\.\d*[1-9])0+$", r"\1")
        return pc.binary_join_element_wise(whole, "Z" if values.type.tz else "", "")
    return values.cast(pa.string())
