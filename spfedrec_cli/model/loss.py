"""Losses of a client's targets against its negatives. One row in the table, one function: (…, T), (…, M) -> (…, T)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]
FLOOR = -1e30


def softmax(targets: Tensor, negatives: Tensor) -> Tensor:
    """Sampled softmax: −log( e^s / (e^s + Σ_j e^{n_j}) ) of every target score s (…, T).

    negatives (…, M) are scores less the log of their expected number (logQ: Bengio and Senécal 2008), −inf where a
    negative is no negative for this client. Without any negative the loss is 0.
    """
    # A finite floor, because the gradient of logsumexp over nothing but −inf is not a number.
    total = torch.logsumexp(negatives.clamp_min(FLOOR), -1, keepdim=True)
    return F.softplus(total - targets)


LOSSES: dict[str, Loss] = {"softmax": softmax}
