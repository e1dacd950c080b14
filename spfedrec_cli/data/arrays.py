"""Between numpy and Arrow, without pandas.

Arrow imports pandas, .3 s and 50 MB, as soon as `pa.array`, `pa.scalar` or `to_numpy` is called: it asks whether what
it was given is a Series, and gets ready to make one. What should start fast goes through this module instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def to_arrow(values: npt.NDArray[Any]) -> pa.Array:
    """The numbers (n,) as an Arrow array, over the same memory where they lie in a row."""
    row = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(row.dtype), len(row), [None, pa.py_buffer(row)])


def texts(values: Sequence[str]) -> pa.Array:
    """The texts (n,) as an Arrow array."""
    encoded = [value.encode(errors="replace") for value in values]
    ends = np.append(0, np.cumsum([len(each) for each in encoded])).astype(np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def to_numpy(column: pa.Array) -> npt.NDArray[Any]:
    """The numbers (n,), over the same memory; NaN where a float is null, which only pandas' way can say.

    They may not be written to.
    """
    return column.to_numpy(zero_copy_only=False) if column.null_count else np.from_dlpack(column)
