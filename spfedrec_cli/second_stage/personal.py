"""Weights of a device's own: a correction of the last layer, learned on its own label weeks, that never leaves it.

It follows from the shared weights and what the device bought, so that nothing of it has to be kept: a device makes it
when it makes a list. `kernels.lists.correct` does the same for many devices, and is held equal to this.
"""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli.dtypes import F32, F64
from spfedrec_cli.second_stage.examples import Lists
from spfedrec_cli.second_stage.losses import LOSSES


@dataclass(frozen=True)
class Personal:
    """So many `steps` down the loss plus `proximal`/2 · |w − w₀|², where w₀ is the shared last layer."""

    steps: int
    proximal: float
    loss: str


def corrected(lists: Lists, entering: F32, shared: F64, how: Personal) -> F64:
    """(H + 1,): the last layer of one device, of what is `entering` it (p, H) in its lists; without lists the shared
    one (H + 1,)."""
    own, loss, count = shared.copy(), LOSSES[how.loss], len(lists.owner)
    step = step_size(entering, how)
    for _ in range(how.steps if count else 0):
        gradient = np.zeros_like(own)
        for number in range(count):
            part = slice(lists.offsets[number], lists.offsets[number + 1])
            by_scores = loss(entering[part] @ own[:-1] + own[-1], lists.bought[part])[1]
            gradient += np.append(by_scores @ entering[part], by_scores.sum())
        own -= step * (gradient / count + how.proximal * (own - shared))
    return own


def step_size(entering: F32, how: Personal) -> float:
    """1 ÷ a bound of the curvature: the longest of what enters, squared, with the bias."""
    squares = np.square(entering, dtype=np.float64).sum(1)
    return float(1.0 / (how.proximal + 1.0 + squares.max(initial=0.0)))
