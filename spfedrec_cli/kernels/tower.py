"""The query tower of one client, forward and backward by hand: what `model.towers.query_tower` and autograd give.

Weights are two vectors: the rows of the tables that the client's fields pick (F · e), and all other weights, in the
order of θ_u (D,). The gradient of a matrix is the product of two vectors, and is kept as such.
"""

from typing import NamedTuple

import numpy as np

from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.kernels.arithmetic import (
    add,
    add_times,
    copy,
    copy_times,
    dot,
    exp,
    f32,
    scale,
    times,
    total,
    transposed_times,
)
from spfedrec_cli.kernels.compiling import compiled, inlined


class Tower(NamedTuple):
    """The shape of a query tower. Its matrices are those of squeeze-and-excitation, where `gated`, and the layers'.

    matrices (N, 3): of each its rows, its columns, and where it stands among the D weights; behind a layer's its bias.
    """

    matrices: I64
    fields: int
    field_dim: int
    gated: bool
    history: bool  # whether it enters the first layer
    flat: np.float32  # below this length a vector is not stretched to 1


class Passed(NamedTuple):
    """What a forward pass leaves to the backward one, and that behind it: the gradient of matrix t is lefts[t] times
    rights[t], that of a layer's bias lefts[t]. Rows are as wide as the widest vector."""

    rights: F32  # (N + 1, …) what enters each matrix; behind the last one ũ before it has length 1
    lefts: F32  # (N, …)
    aside: F32  # (3, …) the gates of the fields, the gradient by the fields, a gradient on its way


GATES, OF_FIELDS, BACK = range(3)


def room_for(tower: Tower) -> Passed:
    """Memory for one client at a time."""
    widest, count = int(tower.matrices[:, :2].max()), len(tower.matrices)
    return Passed(*(np.zeros((rows, widest), np.float32) for rows in (count + 1, count, 3)))


@inlined
def part(tower: Tower, field: int) -> slice:
    """Where that of a field stands in a vector of all fields (F · e,)."""
    return slice(field * tower.field_dim, (field + 1) * tower.field_dim)


@inlined
def matrix(tower: Tower, t: int) -> slice:
    """Where matrix number t stands among the weights, row after row."""
    rows, columns, start = tower.matrices[t, 0], tower.matrices[t, 1], tower.matrices[t, 2]
    return slice(start, start + rows * columns)


@inlined
def bias(tower: Tower, t: int) -> slice:
    """Where that of the layer stands whose matrix has number t."""
    end = matrix(tower, t).stop
    return slice(end, end + tower.matrices[t, 0])


@inlined
def first_layer(tower: Tower) -> int:
    """The number of its matrix."""
    return 2 if tower.gated else 0


@compiled
def forward(tower: Tower, fields: F32, dense: F32, base: F32, history: F32, passed: Passed) -> None:
    """Leaves ũ (d,) before it has length 1 behind what enters the last layer: `base` (d,), to which the layers add."""
    first, last = first_layer(tower), len(tower.matrices) - 1
    enter(tower, fields, dense, history, passed)
    for t in range(first, last + 1):
        values, out = passed.rights[t, : tower.matrices[t, 1]], passed.rights[t + 1, : tower.matrices[t, 0]]
        times(dense[matrix(tower, t)], values, out)
        add_times(out, dense[bias(tower, t)], f32(1.0))
        if t < last:
            for i in range(len(out)):
                out[i] = max(out[i], f32(0.0))
    add_times(passed.rights[last + 1, : len(base)], base, f32(1.0))


@compiled
def enter(tower: Tower, fields: F32, dense: F32, history: F32, passed: Passed) -> None:
    """What enters the first layer: the fields, each scaled by its gate, and the pooled history."""
    width, values = len(fields), passed.rights[first_layer(tower)]
    copy(values[:width], fields)
    if tower.gated:
        gates = passed.aside[GATES, : tower.fields]
        squeeze_and_excite(tower, fields, dense, passed.rights[0, : tower.fields], passed.rights[1], gates)
        for field in range(tower.fields):
            scale(values[part(tower, field)], gates[field])
    if tower.history:
        copy(values[width : width + len(history)], history)


@compiled
def squeeze_and_excite(tower: Tower, fields: F32, dense: F32, means: F32, narrow: F32, gates: F32) -> None:
    """The gates s (F,) = σ(W2 δ(W1 z)), z being the means of the fields (F,)."""
    squeezed = narrow[: tower.matrices[0, 0]]
    for field in range(tower.fields):
        means[field] = total(fields[part(tower, field)]) / f32(tower.field_dim)
    times(dense[matrix(tower, 0)], means, squeezed)
    for i in range(len(squeezed)):
        squeezed[i] = max(squeezed[i], f32(0.0))
    times(dense[matrix(tower, 1)], squeezed, gates)
    for field in range(tower.fields):
        gates[field] = f32(1.0) / (f32(1.0) + exp(-gates[field]))


@compiled
def backward(tower: Tower, fields: F32, dense: F32, of_raw: F32, passed: Passed, of_history: F32) -> None:
    """From the gradient (d,) by ũ before it has length 1: those by weights, in `passed`, and by the pooled history."""
    first, last, width = first_layer(tower), len(tower.matrices) - 1, len(fields)
    copy(passed.lefts[last, : len(of_raw)], of_raw)
    for t in range(last, first, -1):
        back = passed.lefts[t - 1, : tower.matrices[t, 1]]
        transposed_times(dense[matrix(tower, t)], passed.lefts[t, : tower.matrices[t, 0]], back)
        where_positive(passed.rights[t], back)
    entered = passed.aside[BACK, : tower.matrices[first, 1]]
    transposed_times(dense[matrix(tower, first)], passed.lefts[first, : tower.matrices[first, 0]], entered)
    copy(of_history, of_raw)
    if tower.history:
        add_times(of_history, entered[width:], f32(1.0))
    of_fields = passed.aside[OF_FIELDS, :width]
    copy(of_fields, entered)
    if tower.gated:
        gates, of_gates = passed.aside[GATES, : tower.fields], passed.lefts[1, : tower.fields]
        through_gates(tower, fields, gates, of_fields, of_gates)
        of_squeezed, of_means = passed.lefts[0, : tower.matrices[0, 0]], passed.aside[BACK, : tower.fields]
        transposed_times(dense[matrix(tower, 1)], of_gates, of_squeezed)
        where_positive(passed.rights[1], of_squeezed)
        transposed_times(dense[matrix(tower, 0)], of_squeezed, of_means)
        for field in range(tower.fields):
            add(of_fields[part(tower, field)], of_means[field] / f32(tower.field_dim))


@compiled
def where_positive(values: F32, grad: F32) -> None:
    """The gradient (n,) back through a ReLU that let `values` through."""
    for i in range(len(grad)):
        grad[i] = grad[i] if values[i] > f32(0.0) else f32(0.0)


@compiled
def through_gates(tower: Tower, fields: F32, gates: F32, of_fields: F32, of_gates: F32) -> None:
    """The gradient by what the gates (F,) let through becomes that by the fields (F · e,) as far as the gates stay as
    they are, and that by what a gate is the sigmoid of (F,)."""
    for field in range(tower.fields):
        of_field, gate = of_fields[part(tower, field)], gates[field]
        of_gates[field] = dot(of_field, fields[part(tower, field)]) * gate * (f32(1.0) - gate)
        scale(of_field, gate)


@compiled
def multiply_out(tower: Tower, passed: Passed, grad: F32) -> None:
    """The gradient (F · e + D,) by all weights, those of the fields first."""
    width = tower.fields * tower.field_dim
    copy(grad[:width], passed.aside[OF_FIELDS])
    dense = grad[width:]
    for t in range(len(tower.matrices)):
        left, right = passed.lefts[t, : tower.matrices[t, 0]], passed.rights[t, : tower.matrices[t, 1]]
        product = dense[matrix(tower, t)]
        for i in range(len(left)):
            copy_times(product[i * len(right) : (i + 1) * len(right)], right, left[i])
        if t >= first_layer(tower):
            copy(dense[bias(tower, t)], left)


@compiled
def stretched(tower: Tower, raw: F32, query: F32) -> np.float32:
    """Leaves raw (d,) at length 1 in `query`; returns the length that it was divided by."""
    length = max(f32(np.sqrt(dot(raw, raw))), tower.flat)
    for i in range(len(raw)):
        query[i] = raw[i] / length
    return length


@compiled
def of_stretched(tower: Tower, query: F32, length: np.float32, temperature: np.float32, grad: F32) -> None:
    """In place, the gradient (d,) by the raw vector from that by query / temperature: what lies along it falls away,
    but for vectors too short to be stretched to 1."""
    along = dot(query, grad) if length > tower.flat else f32(0.0)
    for i in range(len(grad)):
        grad[i] = (grad[i] - along * query[i]) / (length * temperature)
