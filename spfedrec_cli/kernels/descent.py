"""The local steps of one client, in place: what `federated.optimizers` says of a vector of weights.

A step is taken row by row: the gradient of a row is a number times a vector, and is never written down.
"""

from typing import NamedTuple

import numpy as np

from spfedrec_cli.kernels.arithmetic import F32, f32
from spfedrec_cli.kernels.compiling import compiled
from spfedrec_cli.kernels.tower import OF_FIELDS, Passed, Tower, bias, first_layer

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
def step(rule: Rule, number: int, tower: Tower, passed: Passed, fields: F32, dense: F32) -> None:
    """Local step `number`, from 1, with the gradients in `passed`: of the weights of the client's fields (3, F · e) and
    all others (3, D), behind which lie their two moments, 0 before the first step."""
    one, rates, of_fields = f32(1.0), unbiasing(rule, number), passed.aside[OF_FIELDS, : fields.shape[1]]
    step_row(rule, rates, fields[0], fields[1], fields[2], one, of_fields)
    now, first, second = dense[0], dense[1], dense[2]
    for t in range(len(tower.matrices)):
        left, width, start = passed.lefts[t, : tower.matrices[t, 0]], tower.matrices[t, 1], tower.matrices[t, 2]
        right = passed.rights[t, :width]
        for i in range(len(left)):
            row = slice(start + i * width, start + (i + 1) * width)
            step_row(rule, rates, now[row], first[row], second[row], left[i], right)
        if t >= first_layer(tower):
            row = bias(tower, t)
            step_row(rule, rates, now[row], first[row], second[row], one, left)


@compiled
def unbiasing(rule: Rule, number: int) -> tuple[np.float32, np.float32]:
    """What Adam's moments are divided by after so many steps, as factors: lr / (1 − β1^t), 1 / (1 − β2^t)."""
    if rule.name != ADAM:
        return f32(0.0), f32(0.0)
    one = f32(1.0)
    return f32(rule.lr / (one - rule.beta1**number)), f32(one / (one - rule.beta2**number))


@compiled
def step_row(
    rule: Rule, rates: tuple[np.float32, np.float32], now: F32, first: F32, second: F32, factor: np.float32, values: F32
) -> None:
    """Of weights (n,) whose gradient is factor · values (n,)."""
    if rule.name == ADAM:
        adam(rule, rates, now, first, second, factor, values)
    elif rule.momentum > f32(0.0):
        heavy(rule, now, first, factor, values)
    else:
        for i in range(len(now)):
            now[i] -= rule.lr * (factor * values[i])


@compiled
def heavy(rule: Rule, now: F32, velocity: F32, factor: np.float32, values: F32) -> None:
    """m ← μ m + g; θ ← θ − lr m."""
    for i in range(len(now)):
        velocity[i] = rule.momentum * velocity[i] + factor * values[i]
        now[i] -= rule.lr * velocity[i]


@compiled
def adam(
    rule: Rule, rates: tuple[np.float32, np.float32], now: F32, first: F32, second: F32, factor: np.float32, values: F32
) -> None:
    """θ ← θ − lr m̂ / (√v̂ + ε), with m̂ and v̂ free of the bias of their start."""
    one, (rate, unbiased) = f32(1.0), rates
    for i in range(len(now)):
        grad = factor * values[i]
        first[i] = rule.beta1 * first[i] + (one - rule.beta1) * grad
        second[i] = rule.beta2 * second[i] + (one - rule.beta2) * (grad * grad)
        now[i] -= rate * first[i] / (np.sqrt(second[i] * unbiased) + rule.eps)
