"""The optimisers of the item tower, a row at a time: what `ITEM_OPTIMIZERS` say of many rows."""

from typing import NamedTuple

import numpy as np

from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.kernels.arithmetic import f32
from spfedrec_cli.kernels.compiling import called, compiled

SGD, ADAGRAD, ADAM = range(3)
NUMBERS = {"sgd": SGD, "adagrad": ADAGRAD, "adam": ADAM}


class Rule(NamedTuple):
    """The settings of an item optimiser."""

    name: int
    lr: np.float32
    beta1: np.float32
    beta2: np.float32
    eps: np.float32


@called
def step_rows(rule: Rule, weights: F32, first: F32, second: F32, steps: I32, rows: I64, grads: F32) -> None:
    """One step, in place, of some rows (n,) of weights (R, e), down their gradients (n, e), with their moments (R, e)
    and step counts (R,)."""
    for i in range(len(rows)):
        row = rows[i]
        steps[row] += 1
        if rule.name == ADAM:
            adam(rule, np.int64(steps[row]), weights[row], grads[i], first[row], second[row])
        elif rule.name == ADAGRAD:
            adagrad(rule, weights[row], grads[i], second[row])
        else:
            sgd(rule, weights[row], grads[i])


@compiled
def adam(rule: Rule, number: np.int64, weights: F32, grad: F32, first: F32, second: F32) -> None:
    """θ ← θ − lr m̂ / (√v̂ + ε) of weights (e,), m̂ and v̂ being free of the bias of their start."""
    one = f32(1.0)
    rate = f32(rule.lr / (one - rule.beta1**number))
    unbiasing = f32(one / (one - rule.beta2**number))
    for j in range(len(weights)):
        first[j] = rule.beta1 * first[j] + (one - rule.beta1) * grad[j]
        second[j] = rule.beta2 * second[j] + (one - rule.beta2) * (grad[j] * grad[j])
        weights[j] -= rate * first[j] / (np.sqrt(second[j] * unbiasing) + rule.eps)


@compiled
def adagrad(rule: Rule, weights: F32, grad: F32, second: F32) -> None:
    """v ← v + g²; θ ← θ − lr g / (√v + ε)."""
    for j in range(len(weights)):
        second[j] += grad[j] * grad[j]
        weights[j] -= rule.lr * grad[j] / (np.sqrt(second[j]) + rule.eps)


@compiled
def sgd(rule: Rule, weights: F32, grad: F32) -> None:
    """θ ← θ − lr g."""
    for j in range(len(weights)):
        weights[j] -= rule.lr * grad[j]
