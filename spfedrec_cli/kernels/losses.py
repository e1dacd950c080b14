"""Losses of one client with their gradients: what `model.loss` and autograd give for a vector of targets.

Every one takes the scores of the client's purchases (L,), the places of the targets among them (T,), scores of the
negatives (M,), `FLOOR` where one is no negative for this client, and how many are. It returns the mean loss over the
targets. Gradients by targets are put at their places in `by_own` (L,), those by negatives over their scores.
"""

import math

import numpy as np

from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.kernels.arithmetic import copy, exp, f32, fill, highest
from spfedrec_cli.kernels.compiling import compiled

FLOOR = f32(-1e30)
SOFTMAX, BCE, BPR = range(3)
NUMBERS = {"softmax": SOFTMAX, "bce": BCE, "bpr": BPR}
_SOME = 512  # factors below 2 whose product is a float64


@compiled
def loss_and_gradients(
    name: int, own: F32, targets: I64, negatives: F32, count: int, by_own: F32, room: tuple[F32, F32]
) -> float:
    """Of the loss with this number; `room` has memory for two vectors (M,)."""
    if name == SOFTMAX:
        return softmax(own, targets, negatives, by_own)
    if name == BCE:
        return bce(own, targets, negatives, count, by_own)
    return bpr(own, targets, negatives, count, by_own, room)


@compiled
def softmax(own: F32, targets: I64, negatives: F32, by_own: F32) -> float:
    """With T = log Σ_j e^{n_j} the loss of a target s is softplus(T − s): its gradient by s is −σ(T − s), and that by
    n_j is σ(T − s) e^{n_j − T}."""
    total, log_total = powers(negatives)
    for t in range(len(targets)):
        by_own[targets[t]] = log_total - own[targets[t]]
    loss, share = 0.0, f32(1.0) / f32(len(targets))
    pulled = f32(0.0)
    for start in range(0, len(targets), _SOME):
        part = targets[start : start + _SOME]
        loss += softplus_at(by_own, part)
        pulled += pushed_at(by_own, part, share)
    if total > f32(0.0):
        for j in range(len(negatives)):
            negatives[j] *= pulled / total
    return loss / len(targets)


@compiled
def powers(negatives: F32) -> tuple[np.float32, np.float32]:
    """Leaves e^{n_j − max n} in place of n_j; returns their sum and log Σ_j e^{n_j}, `FLOOR` without any."""
    top, total = highest(negatives, FLOOR), f32(0.0)
    for j in range(len(negatives)):
        negatives[j] = exp(negatives[j] - top)
        total += negatives[j]
    if top == FLOOR:
        fill(negatives, f32(0.0))
        return f32(0.0), FLOOR
    return total, f32(top + math.log(total))


@compiled
def softplus_at(values: F32, places: I64) -> float:
    """Σ log(1 + e^x) over so few places that one logarithm does for all: of the product of 1 + e^−|x|."""
    positive, product = f32(0.0), 1.0
    for t in range(len(places)):
        x = values[places[t]]
        positive += max(x, f32(0.0))
        product *= 1.0 + float(exp(-abs(x)))
    return float(positive) + math.log(product)


@compiled
def pushed_at(behind: F32, places: I64, share: np.float32) -> np.float32:
    """Leaves −share · σ(x) in place of x; returns the sum of what is left, without its sign."""
    total = f32(0.0)
    for t in range(len(places)):
        pushed = share / (f32(1.0) + exp(-behind[places[t]]))
        behind[places[t]] = -pushed
        total += pushed
    return total


@compiled
def softplus_sum(values: F32) -> float:
    """Σ log(1 + e^x)."""
    positive, logs = f32(0.0), 0.0
    for start in range(0, len(values), _SOME):
        product = 1.0
        for j in range(start, min(start + _SOME, len(values))):
            positive += max(values[j], f32(0.0))
            product *= 1.0 + float(exp(-abs(values[j])))
        logs += math.log(product)
    return float(positive) + logs


@compiled
def bce(own: F32, targets: I64, negatives: F32, count: int, by_own: F32) -> float:
    """By a target −σ(−s), by a negative σ(n_j)/m."""
    share, each = f32(1.0) / f32(len(targets)), f32(1.0) / f32(max(1, count))
    loss, of_targets = softplus_sum(negatives) / max(1, count), 0.0
    for t in range(len(targets)):
        by_own[targets[t]] = -own[targets[t]]
    for start in range(0, len(targets), _SOME):
        part = targets[start : start + _SOME]
        of_targets += softplus_at(by_own, part)
        pushed_at(by_own, part, share)
    for j in range(len(negatives)):
        negatives[j] = each / (f32(1.0) + exp(-negatives[j]))
    return loss + of_targets / len(targets)


@compiled
def bpr(own: F32, targets: I64, negatives: F32, count: int, by_own: F32, room: tuple[F32, F32]) -> float:
    """With p_tj = σ(n_j − s_t)/m: by a target −Σ_j p_tj, by a negative Σ_t p_tj."""
    share = f32(1.0) / f32(len(targets) * max(1, count))
    by_negative, behind = room[0][: len(negatives)], room[1][: len(negatives)]
    fill(by_negative, f32(0.0))
    loss = 0.0
    for t in range(len(targets)):
        for j in range(len(negatives)):
            behind[j] = negatives[j] - own[targets[t]]
        loss += softplus_sum(behind)
        pushed = f32(0.0)
        for j in range(len(negatives)):
            each = share / (f32(1.0) + exp(-behind[j]))
            by_negative[j] += each
            pushed += each
        by_own[targets[t]] = -pushed
    copy(negatives, by_negative)
    return loss / (len(targets) * max(1, count))
