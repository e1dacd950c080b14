"""Gradients of the second stage, list after list: what `second_stage.forms` and `second_stage.losses` give in numpy.

A list belongs to one client and depends on no other, so that any cohort comes to the same bits.
"""

import math

import numpy as np

from spfedrec_cli.dtypes import F32, F64, I64
from spfedrec_cli.kernels.compiling import called, compiled, inlined

LINEAR, NETWORK = range(2)
FORMS = {"linear": LINEAR, "network": NETWORK}
SOFTMAX, BCE, BPR = range(3)
LOSSES = {"softmax": SOFTMAX, "bce": BCE, "bpr": BPR}


@called
def add_gradients(
    kinds: tuple[int, int, int],
    x: F32,
    bought: F64,
    offsets: I64,
    owner: I64,
    weights: F64,
    room: tuple[F64, F64, F64],
    grads: F64,
    losses: F64,
) -> None:
    """Adds to `grads` (K, P) and `losses` (K,) those of each list i, which is of the client `owner[i]`.

    `bought` is 1 or 0. `kinds`: the numbers of form and loss, and the hidden units. `room`: two vectors as long as the
    longest list, and hidden units of each of its candidates.
    """
    form, loss, hidden = kinds
    for i in range(len(owner)):
        first, last = offsets[i], offsets[i + 1]
        here, y, n = x[first:last], bought[first:last], last - first
        scores, by_scores, kept, into = room[0][:n], room[1][:n], room[2], grads[owner[i]]
        if form == LINEAR:
            _linear_forward(weights, here, scores)
        else:
            _network_forward(weights, here, hidden, kept, scores)
        losses[owner[i]] += _loss(loss, scores, y, by_scores)
        if form == LINEAR:
            _linear_backward(here, by_scores, into)
        else:
            _network_backward(weights, here, hidden, kept, by_scores, into)


@called
def correct(
    loss: int,
    x: F32,
    bought: F64,
    offsets: I64,
    shared: F64,
    steps: int,
    by: tuple[float, float],
    room: tuple[F64, F64],
    grad: F64,
    own: F64,
) -> None:
    """One device's last layer into `own` (H + 1,), which begins as the `shared` one, as `second_stage.personal` has it.

    `by`: the size of a step and the proximal weight. `room`: two vectors as long as the longest list; `grad` (H + 1,).
    """
    count = len(offsets) - 1
    for _ in range(steps):
        for f in range(len(grad)):
            grad[f] = 0.0
        for i in range(count):
            first, last = offsets[i], offsets[i + 1]
            scores, by_scores = room[0][: last - first], room[1][: last - first]
            _linear_forward(own, x[first:last], scores)
            _loss(loss, scores, bought[first:last], by_scores)
            _linear_backward(x[first:last], by_scores, grad)
        for f in range(len(own)):
            own[f] -= by[0] * (grad[f] / count + by[1] * (own[f] - shared[f]))


@compiled
def _linear_forward(weights: F64, x: F32, scores: F64) -> None:
    for p in range(len(x)):
        found = weights[x.shape[1]]
        for f in range(x.shape[1]):
            found += weights[f] * x[p, f]
        scores[p] = found


@compiled
def _linear_backward(x: F32, by_scores: F64, into: F64) -> None:
    for p in range(len(x)):
        for f in range(x.shape[1]):
            into[f] += by_scores[p] * x[p, f]
        into[x.shape[1]] += by_scores[p]


@compiled
def _network_forward(weights: F64, x: F32, hidden: int, kept: F64, scores: F64) -> None:
    width, whole = x.shape[1], x.shape[1] - x.shape[1] % 4
    bias, outer = weights[width * hidden : (width + 1) * hidden], weights[(width + 1) * hidden : (width + 2) * hidden]
    for p in range(len(x)):
        inner = kept[p]
        for h in range(hidden):
            inner[h] = bias[h]
        for f in range(0, whole, 4):
            rows = weights[f * hidden : (f + 4) * hidden]
            one, two = rows[:hidden], rows[hidden : 2 * hidden]
            _add_four(inner, x[p, f : f + 4], one, two, rows[2 * hidden : 3 * hidden], rows[3 * hidden :])
        for f in range(whole, width):
            value, row = float(x[p, f]), weights[f * hidden : (f + 1) * hidden]
            for h in range(hidden):
                inner[h] += value * row[h]
        found = weights[(width + 2) * hidden]
        for h in range(hidden):
            inner[h] = max(inner[h], 0.0)
            found += outer[h] * inner[h]
        scores[p] = found


@inlined
def _add_four(into: F64, values: F32, one: F64, two: F64, three: F64, four: F64) -> None:
    """into (n,) += the four `values` times four rows (n,): it is read and written once, not four times."""
    a, b, c, d = float(values[0]), float(values[1]), float(values[2]), float(values[3])
    if a != 0.0 or b != 0.0 or c != 0.0 or d != 0.0:
        for h in range(len(into)):
            into[h] += (a * one[h] + b * two[h]) + (c * three[h] + d * four[h])


@compiled
def _network_backward(weights: F64, x: F32, hidden: int, kept: F64, by_scores: F64, into: F64) -> None:
    width, whole = x.shape[1], len(x) - len(x) % 4
    outer = weights[(width + 1) * hidden : (width + 2) * hidden]
    by_bias, by_outer = into[width * hidden : (width + 1) * hidden], into[(width + 1) * hidden : (width + 2) * hidden]
    for p in range(len(x)):
        inner, pulled = kept[p], by_scores[p]
        for h in range(hidden):
            by_outer[h] += pulled * inner[h]
            inner[h] = pulled * outer[h] if inner[h] > 0.0 else 0.0
            by_bias[h] += inner[h]
        into[(width + 2) * hidden] += pulled
    for p in range(0, whole, 4):
        one, two, three, four = kept[p], kept[p + 1], kept[p + 2], kept[p + 3]
        for f in range(width):
            _add_four(into[f * hidden : (f + 1) * hidden], x[p : p + 4, f], one, two, three, four)
    for p in range(whole, len(x)):
        for f in range(width):
            value, row, inner = float(x[p, f]), into[f * hidden : (f + 1) * hidden], kept[p]
            for h in range(hidden):
                row[h] += value * inner[h]


@compiled
def _loss(kind: int, scores: F64, bought: F64, by_scores: F64) -> float:
    if kind == SOFTMAX:
        return _softmax(scores, bought, by_scores)
    if kind == BCE:
        return _bce(scores, bought, by_scores)
    return _bpr(scores, bought, by_scores)


@compiled
def _softmax(scores: F64, bought: F64, by_scores: F64) -> float:
    top, count = scores[0], 0.0
    for p in range(len(scores)):
        top, count = max(top, scores[p]), count + bought[p]
    total, wanted = 0.0, 0.0
    for p in range(len(scores)):
        by_scores[p] = math.exp(scores[p] - top)
        total += by_scores[p]
        wanted += scores[p] * bought[p]
    for p in range(len(scores)):
        by_scores[p] = by_scores[p] / total - bought[p] / count
    return float(top + math.log(total) - wanted / count)


@compiled
def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@compiled
def _sigmoid(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))


@compiled
def _bce(scores: F64, bought: F64, by_scores: F64) -> float:
    loss, share = 0.0, 1.0 / len(scores)
    for p in range(len(scores)):
        loss += _softplus(scores[p]) - scores[p] * bought[p]
        by_scores[p] = (_sigmoid(scores[p]) - bought[p]) * share
    return loss * share


@compiled
def _bpr(scores: F64, bought: F64, by_scores: F64) -> float:
    count = 0.0
    for p in range(len(scores)):
        count += bought[p]
        by_scores[p] = 0.0
    loss, share = 0.0, 1.0 / max(1.0, count * (len(scores) - count))
    for p in range(len(scores)):
        if bought[p] > 0.0:
            for q in range(len(scores)):
                if bought[q] == 0.0:
                    behind = scores[q] - scores[p]
                    pushed = _sigmoid(behind) * share
                    loss += _softplus(behind)
                    by_scores[q] += pushed
                    by_scores[p] -= pushed
    return loss * share


def room_for(longest: int, hidden: int) -> tuple[F64, F64, F64]:
    """Memory for the longest list."""
    return np.empty(longest), np.empty(longest), np.empty((longest, hidden))
