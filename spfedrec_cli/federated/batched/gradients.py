"""Gradients of losses by hand, for a cohort at once. A loss without a row here goes by autograd.

A gradient is one function and one row of `GRADIENTS`: (scores of the targets (K, T), of the negatives (K, M), weight
of each target in its client's loss (K, T)) -> (loss of each client (K,), its gradients (K, T) and (K, M)).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.model.loss import FLOOR, LOSSES, counted

Gradient = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
_PAIRS = 1 << 20  # pairs of a target and a negative that are worked on at a time


def loss_and_gradients(name: str, targets: Tensor, negatives: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_t weights · loss of each client, with its gradients by the scores."""
    if name in GRADIENTS:
        return GRADIENTS[name](targets, negatives, weights)
    return by_autograd(name, targets, negatives, weights)


def by_autograd(name: str, targets: Tensor, negatives: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same of any row of `LOSSES`."""
    leaves = targets.detach().requires_grad_(), negatives.detach().requires_grad_()
    losses = (LOSSES[name](*leaves) * weights).sum(1)
    of_targets, of_negatives = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
    return losses.detach(), of_targets, of_negatives


def softmax(targets: Tensor, negatives: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """With T = log Σ_j e^{n_j} the loss of a target s is softplus(T − s): its gradient by s is −σ(T − s), and that by
    n_j is σ(T − s) e^{n_j − T}."""
    finite = negatives.clamp_min(FLOOR)
    top = finite.amax(1, keepdim=True)
    powers = finite.sub_(top).exp_()
    total = powers.sum(1, keepdim=True)
    behind = (total.log() + top).sub(targets)
    shares = torch.sigmoid(behind).mul_(weights)
    of_negatives = powers.mul_(shares.sum(1, keepdim=True).div_(total))
    return (F.softplus(behind) * weights).sum(1), shares.neg_(), of_negatives


def bce(targets: Tensor, negatives: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By a target −σ(−s), by a negative σ(n_j)/m, once for every target: a client's negatives are worked on once."""
    weight, count = weights.sum(1), counted(negatives)
    losses = (F.softplus(-targets) * weights).sum(1) + F.softplus(negatives).sum(1) * (weight / count)
    of_negatives = torch.sigmoid(negatives).mul_((weight / count).unsqueeze(1))
    return losses, torch.sigmoid(-targets).mul_(weights).neg_(), of_negatives


def bpr(targets: Tensor, negatives: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """With p_tj = σ(n_j − s_t)/m: by a target −Σ_j p_tj, by a negative Σ_t p_tj. Targets without weight are left out,
    and as many pairs are worked on at a time as stay in the cache."""
    losses, of_targets = targets.new_zeros(len(targets)), torch.zeros_like(targets)
    of_negatives = torch.zeros_like(negatives)
    clients, places = weights.nonzero(as_tuple=True)
    if not negatives.shape[1]:
        return losses, of_targets, of_negatives
    shares = weights[clients, places] / counted(negatives)[clients]
    for few in torch.split(torch.arange(len(clients), device=targets.device), max(1, _PAIRS // negatives.shape[1])):
        client, place, share = clients[few], places[few], shares[few]
        behind = negatives.index_select(0, client).sub_(targets[client, place].unsqueeze(1))
        losses.index_add_(0, client, F.softplus(behind).sum(1).mul_(share))
        pushed = behind.sigmoid_().mul_(share.unsqueeze(1))
        of_targets[client, place] = -pushed.sum(1)
        of_negatives.index_add_(0, client, pushed)
    return losses, of_targets, of_negatives


GRADIENTS: dict[str, Gradient] = {"softmax": softmax, "bce": bce, "bpr": bpr}
