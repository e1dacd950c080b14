"""The forms of the second stage, a row each: features (p, F) to scores (p,), and back by hand.

Weights are one vector (P,), as they cross. The gradient of a linear form under softmax is Σ (p − y) x.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spfedrec_cli.dtypes import F32, F64
from spfedrec_cli.rng import uniform_rows

_START = "second_stage/start"


@dataclass(frozen=True)
class Form:
    """`width` of so many features and hidden units; `start` likewise and by the seed; `forward(weights, x, hidden)`
    gives the scores and what `backward(weights, x, hidden, kept, by_scores)` needs to give the gradient (P,).
    `last(weights, x, hidden)`: what enters the last layer (p, H), and its weights (H + 1,), the bias behind them."""

    width: Callable[[int, int], int]
    start: Callable[[int, int, int], F32]
    forward: Callable[[F64, F32, int], tuple[F64, F64]]
    backward: Callable[[F64, F32, int, F64, F64], F64]
    last: Callable[[F64, F32, int], tuple[F32, F64]]


def _linear_start(features: int, hidden: int, seed: int) -> F32:
    return np.zeros(features + 1, np.float32)


def _linear_forward(weights: F64, x: F32, hidden: int) -> tuple[F64, F64]:
    """w x + b."""
    return x @ weights[:-1] + weights[-1], np.empty(0)


def _linear_backward(weights: F64, x: F32, hidden: int, kept: F64, by_scores: F64) -> F64:
    return np.append(by_scores @ x, by_scores.sum())


def _linear_last(weights: F64, x: F32, hidden: int) -> tuple[F32, F64]:
    return x, weights


def _network_start(features: int, hidden: int, seed: int) -> F32:
    """Evenly within ±√(6/(fan in + fan out)) (Glorot and Bengio 2010), biases 0."""
    drawn = 2 * uniform_rows(seed, _START, [0], 0, (features + 1) * hidden)[0] - 1
    inner = drawn[: features * hidden] * np.sqrt(6 / (features + hidden))
    outer = drawn[features * hidden :] * np.sqrt(6 / (hidden + 1))
    return np.concatenate([inner, np.zeros(hidden), outer, [0.0]]).astype(np.float32)


def _network_forward(weights: F64, x: F32, hidden: int) -> tuple[F64, F64]:
    """v · max(0, W x + a) + b; kept is what the ReLU let through (p, hidden)."""
    matrix, bias, outer, last = network_parts(weights, x.shape[1], hidden)
    kept = np.maximum(x @ matrix + bias, 0.0)
    return kept @ outer + last[0], kept


def _network_backward(weights: F64, x: F32, hidden: int, kept: F64, by_scores: F64) -> F64:
    outer = network_parts(weights, x.shape[1], hidden)[2]
    by_hidden = np.where(kept > 0, by_scores[:, None] * outer, 0.0)
    by_matrix = x.T @ by_hidden
    return np.concatenate([by_matrix.ravel(), by_hidden.sum(0), by_scores @ kept, [by_scores.sum()]])


def _network_last(weights: F64, x: F32, hidden: int) -> tuple[F32, F64]:
    kept = _network_forward(weights, x, hidden)[1]
    return kept.astype(np.float32), weights[-hidden - 1 :]


def network_parts(weights: F64, features: int, hidden: int) -> tuple[F64, F64, F64, F64]:
    """W (F, hidden), a (hidden,), v (hidden,), b (1,)."""
    matrix, bias, outer, last = np.split(weights, np.cumsum([features * hidden, hidden, hidden]))
    return matrix.reshape(features, hidden), bias, outer, last


FORMS: dict[str, Form] = {
    "linear": Form(
        lambda features, hidden: features + 1, _linear_start, _linear_forward, _linear_backward, _linear_last
    ),
    "network": Form(
        lambda features, hidden: (features + 2) * hidden + 1,
        _network_start,
        _network_forward,
        _network_backward,
        _network_last,
    ),
}
