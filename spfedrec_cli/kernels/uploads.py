"""What one client uploads, in fixed point, added where it belongs. Functions return how many were saturated."""

import numpy as np

from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.kernels.arithmetic import add_times, f32, fill, largest
from spfedrec_cli.kernels.compiling import compiled, inlined
from spfedrec_cli.kernels.encoding import (
    SLACK,
    add_rounded,
    add_rounded_difference,
    add_rounded_product,
    add_rounded_sum,
    add_sum_within,
)
from spfedrec_cli.kernels.tower import OF_FIELDS, Passed, Tower, bias, first_layer, matrix


@compiled
def upload_items(
    rows: I32,
    row_of: I64,
    base: int,
    vector: F32,
    by_own: F32,
    of_history: F32,
    weights: F32,
    by_hidden: F32,
    scale: np.float32,
    limit: np.float32,
) -> int:
    """g_v of the only step: of each purchase its score's gradient times the query and its weight times the history's
    gradient, of V− behind them the former."""
    cut, bought = 0, len(by_own)
    most, of_most = largest(vector), largest(of_history)
    for i in range(len(row_of)):
        if row_of[i] >= 0:
            row = rows[row_of[i] - base]
            a = scale * (by_own[i] if i < bought else by_hidden[i - bought])
            b = scale * weights[i] if i < bought else f32(0.0)
            if abs(a) * most + abs(b) * of_most <= limit * SLACK:
                add_sum_within(row, vector, a, of_history, b)
            else:
                cut += add_rounded_sum(row, vector, a, of_history, b, limit)
    return cut


@compiled
def add_items(by_item: F32, vector: F32, by_own: F32, of_history: F32, weights: F32, by_hidden: F32) -> None:
    """∂L/∂ṽ of one step of several, added to those before."""
    bought = len(by_own)
    for i in range(bought):
        add_both(by_item[i], vector, by_own[i], of_history, weights[i])
    for i in range(len(by_hidden)):
        add_times(by_item[bought + i], vector, by_hidden[i])


@inlined
def add_both(total: F32, one: F32, a: np.float32, two: F32, b: np.float32) -> None:
    """total (n,) += a · one (n,) + b · two (n,)."""
    for i in range(len(total)):
        total[i] += a * one[i] + b * two[i]


@compiled
def add_pool(by_pool: F32, vector: F32, by_negative: F32) -> None:
    """The same of the pool."""
    for i in range(len(by_pool)):
        add_times(by_pool[i], vector, by_negative[i])


@compiled
def upload_sums(rows: I32, row_of: I64, base: int, by_item: F32, factor: np.float32, limit: np.float32) -> int:
    """g_v of the candidates, the mean over several steps, whose sum is used up."""
    cut = 0
    for i in range(len(row_of)):
        if row_of[i] >= 0:
            cut += add_rounded(rows[row_of[i] - base], by_item[i], factor, limit)
        fill(by_item[i], f32(0.0))
    return cut


@compiled
def upload_pool(pool: I32, by_pool: F32, factor: np.float32, limit: np.float32) -> int:
    """The same of the pool (M · d,)."""
    cut, dim = 0, by_pool.shape[1]
    for i in range(len(by_pool)):
        cut += add_rounded(pool[i * dim : (i + 1) * dim], by_pool[i], factor, limit)
        fill(by_pool[i], f32(0.0))
    return cut


@compiled
def upload_gradient(
    tower: Tower, query: I32, starts: I64, tables: int, passed: Passed, factor: np.float32, limit: np.float32
) -> int:
    """Δθ_u (P,) of the only step by plain descent: `factor` times the gradient. The first `tables` weights are those of
    tables, in which the rows of the client's fields begin at `starts`."""
    width, dense, cut = tower.field_dim, query[tables:], 0
    for field in range(tower.fields):
        part = passed.aside[OF_FIELDS, field * width : (field + 1) * width]
        cut += add_rounded(query[starts[field] : starts[field] + width], part, factor, limit)
    for t in range(len(tower.matrices)):
        left, right = passed.lefts[t, : tower.matrices[t, 0]], passed.rights[t, : tower.matrices[t, 1]]
        cut += add_rounded_product(dense[matrix(tower, t)], left, right, factor, limit)
        if t >= first_layer(tower):
            cut += add_rounded(dense[bias(tower, t)], left, factor, limit)
    return cut


@compiled
def upload_moved(
    width: int, query: I32, start: F32, starts: I64, weights: F32, scale: np.float32, limit: np.float32
) -> int:
    """Δθ_u = θ_end − θ_start (P,), from the client's own weights (F · e + D,)."""
    cut, fields = 0, width * len(starts)
    tables = len(query) - (len(weights) - fields)
    for field in range(len(starts)):
        row, mine = slice(starts[field], starts[field] + width), weights[field * width : (field + 1) * width]
        cut += add_rounded_difference(query[row], mine, start[row], scale, limit)
    return cut + add_rounded_difference(query[tables:], weights[fields:], start[tables:], scale, limit)
