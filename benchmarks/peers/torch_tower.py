"""The work's query tower and loss in PyTorch, as the scripts that train a client at a time share them."""

import numpy as np
import torch
from torch import Tensor, nn
from work import TEMPERATURE, WIDTHS, Case, Client, Work

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


class QueryTower(nn.Sequential):
    """64 → 64 → 64 → 16."""

    def __init__(self) -> None:
        first, second, third, last = WIDTHS
        super().__init__(
            nn.Linear(first, second), nn.ReLU(), nn.Linear(second, third), nn.ReLU(), nn.Linear(third, last)
        )


def tower(work: Work) -> QueryTower:
    """With the weights of the work."""
    made = QueryTower()
    with torch.no_grad():
        for parameter, weight in zip(made.parameters(), work.weights, strict=True):
            parameter.copy_(torch.from_numpy(weight))
    return made


def loss(raw: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Sampled softmax, the mean over positives (B, d), of which each stands against all negatives (M, d)."""
    query = raw / raw.norm()
    targets, others = positives @ query / TEMPERATURE, negatives @ query / TEMPERATURE
    return (torch.logaddexp(targets, others.logsumexp(0)) - targets).mean()


def embeddings(work: Work, client: Client) -> tuple[Tensor, Tensor]:
    """Copies of the client's own rows: positives (n, d) and negatives (m, d)."""
    return torch.from_numpy(work.items[client.positives]), torch.from_numpy(work.items[client.negatives])


def train(module: nn.Module, features: Tensor, positives: Tensor, negatives: Tensor, case: Case) -> Tensor:
    """Trains `module` in place; returns the item gradients (n + m, d), the mean over local steps."""
    optimizer = OPTIMIZERS[case.optimizer](module.parameters(), lr=case.lr)
    positives, negatives = positives.detach().requires_grad_(), negatives.detach().requires_grad_()
    steps = case.batches(len(positives))
    for batch in steps:
        optimizer.zero_grad()
        loss(module(features), positives[batch], negatives).backward()
        optimizer.step()
    assert positives.grad is not None
    assert negatives.grad is not None
    return torch.cat([positives.grad, negatives.grad]).div_(len(steps))


def moved(module: nn.Module, start: Tensor) -> Tensor:
    """θ_end − θ_start (9,360,)."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()]).sub_(start)


def start_of(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])


def ids(client: Client) -> Tensor:
    return torch.from_numpy(client.items.astype(np.int64))
