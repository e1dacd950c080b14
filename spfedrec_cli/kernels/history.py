"""A client's purchases pooled into one vector: what `model.towers.history_weights` gives."""

import numpy as np

from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.kernels.arithmetic import exp, f32, fill
from spfedrec_cli.kernels.compiling import compiled

NONE, MEAN, RECENCY = range(3)
NUMBERS = {"none": NONE, "mean": MEAN, "recency": RECENCY}
_LN2 = f32(0.6931472)


@compiled
def weigh_history(kind: int, half_life: np.float32, targets: I64, weights: F32) -> None:
    """The weight (L,) of each purchase, oldest first, in the pooled history: 0 of targets. They sum to 1, or to 0."""
    left = len(weights) - len(targets)
    if kind == NONE or left == 0:
        fill(weights, f32(0.0))
        return
    fill(weights, f32(1.0) / f32(left))
    for t in range(len(targets)):
        weights[targets[t]] = f32(0.0)
    if kind == RECENCY:
        fade(half_life, weights)


@compiled
def fade(half_life: np.float32, weights: F32) -> None:
    """Halves what is not 0 every `half_life` purchases back from the latest; the sum stays 1."""
    newer, total = 0, f32(0.0)
    for i in range(len(weights) - 1, -1, -1):
        if weights[i] > f32(0.0):
            weights[i] = exp(-f32(newer) * _LN2 / half_life)
            total += weights[i]
            newer += 1
    for i in range(len(weights)):
        weights[i] /= total
