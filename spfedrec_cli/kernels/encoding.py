"""Fixed point for one client: what `federated.codec` does, added to a sum as it is rounded.

Saturated coordinates are cut and counted. Whether any is, the two vectors of a product tell before it is multiplied out.
"""

import numpy as np
import numpy.typing as npt

from spfedrec_cli.kernels.arithmetic import F32, f32, largest
from spfedrec_cli.kernels.compiling import compiled

I32 = npt.NDArray[np.int32]
_SLACK = f32(1.0 - 1e-4)  # what a bound on a rounded sum of two products may be short of, relatively


@compiled
def add_rounded(total: I32, values: F32, factor: np.float32, limit: np.float32) -> int:
    """total (n,) += round(factor · values (n,)), halves to even, cut at ±limit; returns how many were cut."""
    if abs(factor) * largest(values) <= limit * _SLACK:
        add_within(total, values, factor)
        return 0
    cut = 0
    for i in range(len(values)):
        rounded = np.rint(factor * values[i])
        kept = min(max(rounded, -limit), limit)
        cut += rounded != kept
        total[i] += np.int32(kept)
    return cut


@compiled
def add_within(total: I32, values: F32, factor: np.float32) -> None:
    """The same where none needs to be cut."""
    for i in range(len(values)):
        total[i] += np.int32(np.rint(factor * values[i]))


@compiled
def add_rounded_product(total: I32, left: F32, right: F32, factor: np.float32, limit: np.float32) -> int:
    """total (n · m,) += round(factor · left (n,) × right (m,)); returns how many were cut."""
    cut, width, most = 0, len(right), largest(right)
    for i in range(len(left)):
        row, of_row = total[i * width : (i + 1) * width], factor * left[i]
        if abs(of_row) * most <= limit * _SLACK:
            add_within(row, right, of_row)
        else:
            cut += add_rounded(row, right, of_row, limit)
    return cut


@compiled
def add_rounded_sum(total: I32, one: F32, a: np.float32, two: F32, b: np.float32, room: F32, limit: np.float32) -> int:
    """total (n,) += round(a · one (n,) + b · two (n,)); returns how many were cut."""
    for i in range(len(one)):
        room[i] = a * one[i] + b * two[i]
    return add_rounded(total, room, f32(1.0), limit)
