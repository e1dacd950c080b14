"""Losses of a client's targets against its negatives. One row in the table, one function: (…, T), (…, M) -> (…, T).

Every one takes target scores s (…, T) and negative scores n (…, M), −inf where a negative is no negative for this
client; m is the number of those that are. Where there is none, the terms of the negatives are 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]
FLOOR = -1e30


def softmax(targets: Tensor, negatives: Tensor) -> Tensor:
    """Sampled softmax: −log( e^s / (e^s + Σ_j e^{n_j}) ) of every target.

    n are scores less the log of their expected number (logQ: Bengio and Senécal 2008). Without any negative it is 0.
    """
    # A finite floor, because the gradient of logsumexp over nothing but −inf is not a number.
    total = torch.logsumexp(negatives.clamp_min(FLOOR), -1, keepdim=True)
    return F.softplus(total - targets)


def bce(targets: Tensor, negatives: Tensor) -> Tensor:
    """Binary cross-entropy: −log σ(s) − (1/m) Σ_j log σ(−n_j). Negatives together weigh as much as the target.

    Without any negative it is −log σ(s) alone.
    """
    return F.softplus(-targets) + (F.softplus(negatives).sum(-1) / counted(negatives)).unsqueeze(-1)


def bpr(targets: Tensor, negatives: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al. 2009): −(1/m) Σ_j log σ(s − n_j). Without any negative it is 0."""
    behind = negatives.unsqueeze(-2) - targets.unsqueeze(-1)
    return F.softplus(behind).sum(-1) / counted(negatives).unsqueeze(-1)


def counted(negatives: Tensor) -> Tensor:
    """m (…), the negatives that are some, and at least 1."""
    return (negatives > FLOOR).sum(-1).clamp_min(1)


LOSSES: dict[str, Loss] = {"softmax": softmax, "bce": bce, "bpr": bpr}
# Those that estimate a sum over the whole catalogue: logQ corrects the estimate, and says nothing about other losses.
ESTIMATES = frozenset({"softmax"})
