"""The Parquet files of a Dataset, read a column at a time, and the sentences for those that cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.arrays import to_numpy
from spfedrec_cli.errors import InputError

BUFFER = 1 << 20  # bytes of a file read ahead


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turns what pyarrow says of a missing, cut or overwritten file into an InputError."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        problem = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise InputError(f"A file of the Dataset {problem}", where=str(file), hint="prepare it again") from None


def damaged(file: Path, what: str) -> InputError:
    return InputError(f"A file of the Dataset is damaged: {what}", where=str(file), hint="prepare it again")


def numbers(file: Path, column: pa.Field, below: int | None = None) -> npt.NDArray[Any]:
    """A column of numbers, one row group at a time into one array; NaN where a price is null.

    The array may be written to: torch warns about those that may not. Raises InputError where the file cannot be read,
    and where a value lies outside 0 to `below` - 1.
    """
    with reading(file):
        values = np.empty(pq.read_metadata(file).num_rows, column.type.to_pandas_dtype())
    end = 0
    for part in parts(file, column, below):
        values[end : end + len(part)] = part
        end += len(part)
    return values


def parts(file: Path, column: pa.Field, below: int | None = None) -> Iterator[npt.NDArray[Any]]:
    """As `numbers`, one row group after the other; these may not be written to."""
    with reading(file), pq.ParquetFile(file, buffer_size=BUFFER) as parquet:
        for group in range(parquet.num_row_groups):
            yield _part(file, parquet, group, column, below)


def _part(file: Path, parquet: Any, group: int, column: pa.Field, below: int | None) -> npt.NDArray[Any]:
    part = to_numpy(parquet.read_row_group(group, columns=[column.name]).column(column.name).combine_chunks())
    if below is not None and len(part) and not 0 <= part.min() <= part.max() < below:
        raise damaged(file, f"{column.name} is not always from 0 to {below - 1}")
    return part


def rows(file: Path, column: pa.Field, first: int, end: int, below: int) -> npt.NDArray[Any]:
    """The rows from `first` to before `end` of a column of numbers, from the row groups that hold them."""
    found, here = [np.empty(0, column.type.to_pandas_dtype())], 0
    with reading(file), pq.ParquetFile(file, buffer_size=BUFFER) as parquet:
        for group in range(parquet.num_row_groups):
            size = parquet.metadata.row_group(group).num_rows
            if here < end and first < here + size:
                part = _part(file, parquet, group, column, below)
                found.append(part[max(first - here, 0) : end - here])
            here += size
    return np.concatenate(found)


def offsets(file: Path, column: pa.Field, n: int) -> npt.NDArray[np.int64]:
    """(n + 1,): the rows where a sorted column holds i are `offsets[i]` to `offsets[i + 1]`.

    Raises InputError where the file cannot be read or the column is not sorted.
    """
    lengths = np.zeros(n, np.int64)
    last = 0
    for part in parts(file, column, n):
        if len(part):
            if part[0] < last or (part[1:] < part[:-1]).any():
                raise damaged(file, f"it is not sorted by {column.name}")
            last = int(part[-1])
            lengths[part[0] : last + 1] += np.bincount(part - part[0])
    return np.append(0, np.cumsum(lengths))


def texts(file: Path, name: str, rows: int) -> pa.ChunkedArray:
    """A column of texts, read page by page: whole, it would be in memory three times over. Raises InputError where the
    file cannot be read or has not so many rows."""
    with reading(file), pq.ParquetFile(file, buffer_size=BUFFER) as parquet:
        batches = list(parquet.iter_batches(columns=[name]))
        for batch in batches:
            batch.validate(full=True)  # pyarrow hands on letters that are none
        column = pa.chunked_array([batch.column(name) for batch in batches], parquet.schema_arrow.field(name).type)
    if len(column) != rows:
        raise damaged(file, f"{name} has {len(column)} of {rows} rows")
    return column


def table(file: Path, columns: list[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """Those of `columns` that the file has, or all. Raises InputError where the file cannot be read."""
    with reading(file), pq.ParquetFile(file) as parquet:  # `read_table` would import pandas
        present = parquet.schema_arrow.names
        read = parquet.read(columns and [name for name in columns if name in present])
        read.validate(full=True)  # pyarrow hands on letters that are none
        return read if schema is None else read.select(schema.names).cast(schema)
