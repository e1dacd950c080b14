"""Between numpy and Arrow, without pandas.

Arrow imports pandas, .3 s and 50 MB, as soon as `pa.array`, `pa.scalar` or `to_numpy` is called: it asks whether what
it was given is a Series, and gets ready to make one. What should start fast goes through this module instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def to_arrow(values: npt.NDArray[Any]) -> pa.Array:
    """The numbers (n,) as an Arrow array, over the same memory where they lie in a row."""
    row = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(row.dtype), len(row), [None, pa.py_buffer(row)])


def texts(values: Sequence[str]) -> pa.Array:
    """The texts (n,) as an Arrow array."""
    encoded = [value.encode(errors="replace") for value in values]
    ends = np.append(0, np.cumsum([len(each) for each in encoded])).astype(np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def letters(column: pa.StringArray) -> npt.NDArray[np.uint8]:
    """The bytes of all texts, one after another."""
    ends = _ends(column)
    return np.frombuffer(column.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]


def width(column: pa.StringArray) -> int:
    """The number of bytes of each text where all have as many, else 0."""
    sizes = np.diff(_ends(column))
    return int(sizes[0]) if len(sizes) and (sizes == sizes[0]).all() else 0


def _ends(column: pa.StringArray) -> npt.NDArray[np.int32]:
    return np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]


def scalar(value: str | float | np.generic) -> pa.Scalar:
    """A value as Arrow's functions take it."""
    if isinstance(value, str):
        return texts([value])[0]
    one = to_arrow(np.array([value], np.uint8 if isinstance(value, bool) else None))
    return one.cast(pa.bool_())[0] if isinstance(value, bool) else one[0]


def where(mask: pa.Array, values: pa.Array) -> pa.Array:
    """The values (n,), null where the mask does not hold."""
    return pc.if_else(mask, values, pa.nulls(1, values.type)[0])


def to_numpy(column: pa.Array) -> npt.NDArray[Any]:
    """The numbers or truths (n,), over the same memory where it can be; NaN where a float is null, which only pandas'
    way can say.

    They may not be written to.
    """
    if column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(column.type):
        return np.from_dlpack(column.cast(pa.uint8())).view(bool)
    return np.from_dlpack(column)
