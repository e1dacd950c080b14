"""The local steps of one client, in place: what `device.optimizers` says of a vector of weights."""

from typing import NamedTuple

import numpy as np

from spfedrec_cli.dtypes import F32
from spfedrec_cli.kernels.arithmetic import add_times, f32, fill
from spfedrec_cli.kernels.compiling import compiled

SGD, ADAM = range(2)
NUMBERS = {"sgd": SGD, "adam": ADAM}


class Rule(NamedTuple):
    """The settings of a local optimiser."""

    name: int
    lr: np.float32
    momentum: np.float32
    beta1: np.float32
    beta2: np.float32
    eps: np.float32


@compiled
def step(rule: Rule, number: int, weights: F32, grad: F32, first: F32, second: F32) -> None:
    """Local step `number`, from 1, of weights (n,) by their gradients (n,); their moments (n,) begin with it."""
    if number == 1:
        fill(first, f32(0.0))
        fill(second, f32(0.0))
    if rule.name == ADAM:
        adam(rule, number, weights, grad, first, second)
    elif rule.momentum > f32(0.0):
        heavy(rule, weights, grad, first)
    else:
        add_times(weights, grad, -rule.lr)


@compiled
def heavy(rule: Rule, weights: F32, grad: F32, velocity: F32) -> None:
    """m ← μ m + g; θ ← θ − lr m."""
    for i in range(len(weights)):
        velocity[i] = rule.momentum * velocity[i] + grad[i]
        weights[i] -= rule.lr * velocity[i]


@compiled
def adam(rule: Rule, number: int, weights: F32, grad: F32, first: F32, second: F32) -> None:
    """θ ← θ − lr m̂ / (√v̂ + ε), with m̂ and v̂ free of the bias of their start."""
    one = f32(1.0)
    rate = f32(rule.lr / (one - rule.beta1**number))
    unbiasing = f32(one / (one - rule.beta2**number))
    for i in range(len(weights)):
        first[i] = rule.beta1 * first[i] + (one - rule.beta1) * grad[i]
        second[i] = rule.beta2 * second[i] + (one - rule.beta2) * (grad[i] * grad[i])
        weights[i] -= rate * first[i] / (np.sqrt(second[i] * unbiasing) + rule.eps)
