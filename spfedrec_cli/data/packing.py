"""Sorting by several columns at once.

Columns of whole numbers that fit 64 bits together are packed into one, which numpy sorts several times faster than it
computes an order, and without the memory for one.
"""

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.parallel import cores, each

I32 = npt.NDArray[np.int32]
U64 = npt.NDArray[np.uint64]

_STEP = 1 << 21
_WIDTH = 64


def sort_by(columns: list[I32], width: int = _WIDTH) -> list[I32]:
    """The columns, each (n,), with their rows sorted by the first, then the second, and so on. Empties the list.

    Where they do not fit into `width` bits together, they are sorted by an order.
    """
    if not len(columns[0]):
        return [columns.pop(0) for _ in range(len(columns))]
    lows = [int(column.min()) for column in columns]
    bits = [(int(column.max()) - low).bit_length() for column, low in zip(columns, lows, strict=True)]
    if sum(bits) > width:
        return _sort_by_order(columns)
    packed = np.zeros(len(columns[0]), np.uint64)
    for low, size in zip(lows, bits, strict=True):
        _push(packed, columns.pop(0), low, size)
    sort(packed)
    shifts = [sum(bits[place + 1 :]) for place in range(len(bits))]
    return each(lambda part: _pull(packed, *part), zip(lows, bits, shifts, strict=True))


def sort(values: U64) -> None:
    """In place: a part by each core, then all, which is a mere merge. The stable sort makes use of what is in order."""
    parts = min(cores(), len(values) // _STEP + 1)
    if parts > 1:
        each(lambda part: part.sort(kind="stable"), np.array_split(values, parts))
    values.sort(kind="stable")


def _sort_by_order(columns: list[I32]) -> list[I32]:
    order = np.lexsort(columns[::-1])
    return [columns.pop(0)[order] for _ in range(len(columns))]


def _push(packed: U64, column: I32, low: int, size: int) -> None:
    """Moves what is packed up by `size` bits, and puts the column below."""
    for start in range(0, len(packed), _STEP):
        part = packed[start : start + _STEP]
        part <<= np.uint64(size)
        part |= (column[start : start + _STEP].astype(np.int64) - low).astype(np.uint64)


def _pull(packed: U64, low: int, size: int, shift: int) -> I32:
    column = np.empty(len(packed), np.int32)
    mask = np.uint64((1 << size) - 1)
    for start in range(0, len(packed), _STEP):
        part = (packed[start : start + _STEP] >> np.uint64(shift)) & mask
        column[start : start + _STEP] = part.astype(np.int64) + low
    return column
