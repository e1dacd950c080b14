"""The item tower for many items at once: all of it that is no product of matrices, which are the library's.

Items come in parts, cut the same way whoever works on them. Of its tables a part holds the rows that its items touch,
those of all tables one below the other: `places` say where in them the fields of each item are.
"""

import numpy as np

from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.kernels.arithmetic import add_times, copy, copy_times, dot, f32, total
from spfedrec_cli.kernels.compiling import called


@called
def number(codes: I64, starts: I64, size: int, marks: I32, touched: I64, places: I32, bounds: I64) -> None:
    """Which rows of each table the parts of `size` items touch, in the order in which they meet them.

    codes (R, F); starts (F,): where each table begins among the marks (all −1), which have an entry for every row of
    any table. Part p touches of table f the rows touched[bounds[p, f] : bounds[p, f + 1]]; places (R, F).
    """
    count = 0
    for p in range(len(bounds)):
        base = count
        for f in range(codes.shape[1]):
            bounds[p, f] = count
            for r in range(p * size, min((p + 1) * size, len(codes))):
                row = starts[f] + codes[r, f]
                if marks[row] < base:
                    marks[row], touched[count] = count, codes[r, f]
                    count += 1
                places[r, f] = marks[row] - base
        bounds[p, codes.shape[1]] = count


@called
def join(touched: I64, bounds: I64, starts: I64, grads: F32, marks: I32, rows: I64, joined: F32, ends: I64) -> None:
    """The gradients of all parts, table by table: of those that several touched the sum, in the order of the parts.

    grads (n, e) go with `touched`, `bounds` and `starts`, which `number` left; marks are all −1 again. The rows of
    table f and their gradients (…, e) end at ends[f].
    """
    count = 0
    for f in range(len(starts)):
        for p in range(len(bounds)):
            for i in range(bounds[p, f], bounds[p, f + 1]):
                row = starts[f] + touched[i]
                if marks[row] < 0:
                    marks[row], rows[count] = count, touched[i]
                    copy(joined[count], grads[i])
                    count += 1
                else:
                    add_times(joined[marks[row]], grads[i], f32(1.0))
        ends[f] = count


@called
def enter(rows: F32, places: I32, keep: F32, fields: F32, means: F32) -> None:
    """The fields (n, F · e) of items, and the mean of each (n, F), from the rows (T, e) that the items touch. The first
    field, the id, counts `keep` (n,) times."""
    width = rows.shape[1]
    for i in range(len(places)):
        for f in range(places.shape[1]):
            field = fields[i, f * width : (f + 1) * width]
            copy_times(field, rows[places[i, f]], keep[i] if f == 0 else f32(1.0))
            means[i, f] = total(field) / f32(width)


@called
def scale(fields: F32, gates: F32, out: F32) -> None:
    """out (n, F · e): each field times its gate (n, F)."""
    width = fields.shape[1] // gates.shape[1]
    for i in range(len(gates)):
        for f in range(gates.shape[1]):
            part = slice(f * width, (f + 1) * width)
            copy_times(out[i, part], fields[i, part], gates[i, f])


@called
def scale_back(of_scaled: F32, fields: F32, gates: F32, of_gates: F32) -> None:
    """The gradient (n, F · e) by scaled fields becomes, in place, that by the fields as far as the gates stay as they
    are; and of_gates (n, F) that by what a gate is the sigmoid of."""
    width = fields.shape[1] // gates.shape[1]
    for i in range(len(gates)):
        for f in range(gates.shape[1]):
            part, gate = slice(f * width, (f + 1) * width), gates[i, f]
            of_gates[i, f] = dot(of_scaled[i, part], fields[i, part]) * gate * (f32(1.0) - gate)
            copy_times(of_scaled[i, part], of_scaled[i, part], gate)


@called
def leave(of_fields: F32, of_means: F32, places: I32, keep: F32, grads: F32) -> None:
    """Adds to grads (T, e) of the rows that the items touch, item by item, the gradients by their fields (n, F · e) and
    by the means of these (n, F; none: 0 columns)."""
    width, gated = grads.shape[1], of_means.shape[1] > 0
    for i in range(len(places)):
        for f in range(places.shape[1]):
            field = of_fields[i, f * width : (f + 1) * width]
            share, times = f32(0.0), keep[i] if f == 0 else f32(1.0)
            if gated:
                share = of_means[i, f] / f32(width)
            grad = grads[places[i, f]]
            for j in range(width):
                grad[j] += (field[j] + share) * times


@called
def activate(values: F32, bias: F32, rectified: bool) -> None:
    """Adds the bias (m,) to each row of the values (n, m); where it is `rectified`, 0 stands for what is below."""
    least = f32(0.0) if rectified else f32(-np.inf)
    for i in range(len(values)):
        for j in range(len(bias)):
            values[i, j] = max(values[i, j] + bias[j], least)


@called
def stretch(raw: F32, flat: np.float32, out: F32, lengths: F32) -> None:
    """out (n, d): raw at length 1, and what it was divided by (n,), `flat` at least."""
    for i in range(len(raw)):
        lengths[i] = max(f32(np.sqrt(dot(raw[i], raw[i]))), flat)
        copy_times(out[i], raw[i], f32(1.0) / lengths[i])


@called
def stretch_back(grad: F32, stretched: F32, flat: np.float32, lengths: F32, out: F32) -> None:
    """out (n, d): the gradient by what was stretched, from that by what came of it."""
    for i in range(len(grad)):
        along = dot(grad[i], stretched[i]) if lengths[i] > flat else f32(0.0)
        for j in range(grad.shape[1]):
            out[i, j] = (grad[i, j] - along * stretched[i, j]) / lengths[i]


@called
def where_positive(values: F32, grad: F32) -> None:
    """The gradient (n, m), in place, back through a ReLU that let `values` through."""
    for i in range(len(grad)):
        for j in range(grad.shape[1]):
            grad[i, j] = grad[i, j] if values[i, j] > f32(0.0) else f32(0.0)
