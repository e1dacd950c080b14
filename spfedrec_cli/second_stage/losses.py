"""Losses of one list of candidates, a row each: the loss, and its gradient by the scores.

Every one takes the scores of the candidates (p,) and which of them were bought (p,), at least one.
"""

from collections.abc import Callable

import numpy as np

from spfedrec_cli.dtypes import F64, Bool

Loss = Callable[[F64, Bool], tuple[float, F64]]


def softmax(scores: F64, bought: Bool) -> tuple[float, F64]:
    """log Σ_j e^{s_j} − s_t, the mean over what was bought: by s_j it is p_j − y_j, where y sums to one."""
    top = scores.max()
    powers = np.exp(scores - top)
    total = powers.sum()
    wanted = bought / bought.sum()
    return float(top + np.log(total) - scores @ wanted), powers / total - wanted


def bce(scores: F64, bought: Bool) -> tuple[float, F64]:
    """The mean over candidates of log(1 + e^{s}) − y s: by s it is (σ(s) − y) ÷ candidates."""
    loss = np.logaddexp(0.0, scores) - bought * scores
    return float(loss.mean()), (0.5 * (1 + np.tanh(scores / 2)) - bought) / len(scores)


def bpr(scores: F64, bought: Bool) -> tuple[float, F64]:
    """The mean over pairs of what was bought and what was not of log(1 + e^{s_j − s_t})."""
    behind = scores[~bought][None, :] - scores[bought][:, None]
    each = 0.5 * (1 + np.tanh(behind / 2)) / max(behind.size, 1)
    gradient = np.zeros(len(scores))
    gradient[bought], gradient[~bought] = -each.sum(1), each.sum(0)
    return float(np.logaddexp(0.0, behind).sum() / max(behind.size, 1)), gradient


LOSSES: dict[str, Loss] = {"softmax": softmax, "bce": bce, "bpr": bpr}
