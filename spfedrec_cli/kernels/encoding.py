"""Fixed point for one client: what `wire.fixed_point` does, added to a sum as it is rounded.

Saturated coordinates are cut and counted. Whether a product has any, its two vectors tell before it is multiplied out.
"""

import numpy as np

from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.kernels.arithmetic import f32, largest, largest_difference
from spfedrec_cli.kernels.compiling import compiled, inlined

SLACK = f32(1.0 - 1e-4)  # what a bound on a rounded sum of two products may be short of, relatively


@compiled
def add_rounded(total: I32, values: F32, factor: np.float32, limit: np.float32) -> int:
    """total (n,) += round(factor · values (n,)), halves to even, cut at ±limit; returns how many were cut."""
    if abs(factor) * largest(values) <= limit * SLACK:
        add_within(total, values, factor)
        return 0
    cut = 0
    for i in range(len(values)):
        rounded = np.rint(factor * values[i])
        kept = min(max(rounded, -limit), limit)
        cut += rounded != kept
        total[i] += np.int32(kept)
    return cut


@inlined
def add_within(total: I32, values: F32, factor: np.float32) -> None:
    """The same where none needs to be cut."""
    for i in range(len(values)):
        total[i] += np.int32(np.rint(factor * values[i]))


@compiled
def add_rounded_difference(total: I32, one: F32, two: F32, factor: np.float32, limit: np.float32) -> int:
    """total (n,) += round(factor · (one − two) (n,)); returns how many were cut."""
    if abs(factor) * largest_difference(one, two) > limit * SLACK:
        return add_rounded_sum(total, one, factor, two, -factor, limit)
    for i in range(len(total)):
        total[i] += np.int32(np.rint(factor * (one[i] - two[i])))
    return 0


@compiled
def add_rounded_product(total: I32, left: F32, right: F32, factor: np.float32, limit: np.float32) -> int:
    """total (n · m,) += round(factor · left (n,) × right (m,)); returns how many were cut."""
    width = len(right)
    if abs(factor) * largest(left) * largest(right) <= limit * SLACK:
        for i in range(len(left)):
            add_within(total[i * width : (i + 1) * width], right, factor * left[i])
        return 0
    cut = 0
    for i in range(len(left)):
        cut += add_rounded(total[i * width : (i + 1) * width], right, factor * left[i], limit)
    return cut


@inlined
def add_rounded_sum(total: I32, one: F32, a: np.float32, two: F32, b: np.float32, limit: np.float32) -> int:
    """total (n,) += round(a · one (n,) + b · two (n,)), cut at ±limit; returns how many were cut."""
    cut = 0
    for i in range(len(one)):
        rounded = np.rint(a * one[i] + b * two[i])
        kept = min(max(rounded, -limit), limit)
        cut += rounded != kept
        total[i] += np.int32(kept)
    return cut


@inlined
def add_sum_within(total: I32, one: F32, a: np.float32, two: F32, b: np.float32) -> None:
    """The same where none needs to be cut."""
    for i in range(len(one)):
        total[i] += np.int32(np.rint(a * one[i] + b * two[i]))
