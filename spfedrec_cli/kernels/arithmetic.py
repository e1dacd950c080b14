"""What a client computes with, in float32: products of vectors and matrices, and the exponential function."""

import numpy as np
import numpy.typing as npt

from spfedrec_cli.kernels.compiling import compiled, compiled_as_written

F32 = npt.NDArray[np.float32]
f32 = np.float32

_LOWEST = f32(-87.0)  # e^x below is no normal float any more
_HIGHEST = f32(88.0)
_LOG2_E, _LN2_HIGH, _LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)


@compiled_as_written
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
    power: np.float32 = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * r * r + r + f32(1.0)) * power


@compiled
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + e^−x)."""
    return f32(1.0) / (f32(1.0) + exp(-x))


@compiled
def fill(values: F32, value: np.float32) -> None:
    """values[:] = value, without a check of shapes at run time."""
    for i in range(len(values)):
        values[i] = value


@compiled
def copy(to: F32, values: F32) -> None:
    """to (n,) = values (n,)."""
    for i in range(len(to)):
        to[i] = values[i]


@compiled
def dot(one: F32, two: F32) -> np.float32:
    """Of two vectors (n,)."""
    total = f32(0.0)
    for i in range(len(one)):
        total += one[i] * two[i]
    return total


@compiled
def largest(values: F32) -> np.float32:
    """The largest absolute value, 0 of none."""
    most = f32(0.0)
    for i in range(len(values)):
        most = max(most, abs(values[i]))
    return most


@compiled
def add_times(total: F32, values: F32, factor: np.float32) -> None:
    """total (n,) += factor · values (n,)."""
    for i in range(len(total)):
        total[i] += factor * values[i]


@compiled
def products(rows: F32, vector: F32, out: F32) -> None:
    """out (n,) = rows (n, d) times a vector (d,)."""
    for k in range(len(out)):
        out[k] = dot(rows[k], vector)


@compiled
def add_weighted(total: F32, rows: F32, weights: F32) -> None:
    """total (d,) += Σ_k weights (n,) · rows (n, d)."""
    for k in range(len(weights)):
        add_times(total, rows[k], weights[k])


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
