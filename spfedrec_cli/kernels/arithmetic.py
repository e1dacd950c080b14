"""What a client computes with, in float32: products of vectors and matrices, and the exponential function."""

import numpy as np

from spfedrec_cli.dtypes import F32
from spfedrec_cli.kernels.compiling import compiled, inlined, inlined_as_written

f32 = np.float32

_LOWEST = f32(-87.0)  # e^x below is no normal float any more
_HIGHEST = f32(88.0)
_ALL_BUT_SIGN = np.int32(0x7FFFFFFF)
_LOG2_E, _LN2_HIGH, _LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)


@inlined_as_written
def exp(x: np.float32) -> np.float32:
    """e^x, off by 2 units of the last place at most, for −87 ≤ x ≤ 88, and as at these ends beyond: 2^n times a
    polynomial of the rest (Cephes). The one of the C library works on a single number, this one on a vector of them."""
    x = min(max(x, _LOWEST), _HIGHEST)
    n = np.rint(x * _LOG2_E)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = f32(1.9875691500e-4) * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    found: np.float32 = (p * r * r + r + f32(1.0)) * power
    return found


@inlined
def fill(values: F32, value: np.float32) -> None:
    """values[:] = value, without a check of shapes at run time."""
    for i in range(len(values)):
        values[i] = value


@inlined
def copy(to: F32, values: F32) -> None:
    """to (n,) = values (n,)."""
    for i in range(len(to)):
        to[i] = values[i]


@inlined
def copy_times(to: F32, values: F32, factor: np.float32) -> None:
    """to (n,) = factor · values (n,)."""
    for i in range(len(to)):
        to[i] = factor * values[i]


@inlined
def dot(one: F32, two: F32) -> np.float32:
    """Of two vectors (n,)."""
    found = f32(0.0)
    for i in range(len(one)):
        found += one[i] * two[i]
    return found


@compiled
def largest(values: F32) -> np.float32:
    """The largest absolute value, 0 of none. Bits of floats that are not negative stand in the order of floats: read as
    integers they are compared on vector units, which floats are not, for one of them might be no number."""
    most = np.int32(0)
    for i in range(len(values)):
        most = max(most, np.int32(np.float32(values[i]).view(np.int32) & _ALL_BUT_SIGN))
    return np.float32(np.int32(most).view(np.float32))


@compiled
def largest_difference(one: F32, two: F32) -> np.float32:
    """The largest absolute value of one − two (n,)."""
    most = np.int32(0)
    for i in range(len(one)):
        most = max(most, np.int32(np.float32(one[i] - two[i]).view(np.int32) & _ALL_BUT_SIGN))
    return np.float32(np.int32(most).view(np.float32))


@compiled
def highest(values: F32, least: np.float32) -> np.float32:
    """The largest value, or `least`. Likewise, once the bits of negative floats are turned round."""
    most = _ordered(least)
    for i in range(len(values)):
        most = max(most, _ordered(values[i]))
    return np.float32(np.int32(most ^ ((most >> np.int32(31)) & _ALL_BUT_SIGN)).view(np.float32))


@inlined
def _ordered(value: np.float32) -> np.int32:
    """An integer that is larger where the float is."""
    bits = np.float32(value).view(np.int32)
    return np.int32(bits ^ ((bits >> np.int32(31)) & _ALL_BUT_SIGN))


@inlined
def add_times(to: F32, values: F32, factor: np.float32) -> None:
    """to (n,) += factor · values (n,)."""
    for i in range(len(to)):
        to[i] += factor * values[i]


@inlined
def total(values: F32) -> np.float32:
    """Σ values (n,)."""
    found = f32(0.0)
    for i in range(len(values)):
        found += values[i]
    return found


@inlined
def scale(values: F32, factor: np.float32) -> None:
    """values (n,) *= factor."""
    for i in range(len(values)):
        values[i] *= factor


@inlined
def add(values: F32, number: np.float32) -> None:
    """values (n,) += number."""
    for i in range(len(values)):
        values[i] += number


@compiled
def products(rows: F32, vector: F32, out: F32) -> None:
    """out (n,) = rows (n, d) times a vector (d,)."""
    for k in range(len(out)):
        out[k] = dot(rows[k], vector)


@compiled
def add_weighted(to: F32, rows: F32, weights: F32) -> None:
    """to (d,) += Σ_k weights (n,) · rows (n, d)."""
    for k in range(len(weights)):
        add_times(to, rows[k], weights[k])


@compiled
def times(matrix: F32, values: F32, out: F32) -> None:
    """out (n,) = matrix (n · m,), row after row, times values (m,)."""
    width = len(values)
    for i in range(len(out)):
        out[i] = dot(matrix[i * width : (i + 1) * width], values)


@compiled
def transposed_times(matrix: F32, values: F32, out: F32) -> None:
    """out (m,) = values (n,) times matrix (n · m,), row after row."""
    width = len(out)
    fill(out, f32(0.0))
    for i in range(len(values)):
        add_times(out, matrix[i * width : (i + 1) * width], values[i])
