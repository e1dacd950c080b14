"""Step 7 of the round: what the server does with the means.

Server optimisers: Reddi et al., "Adaptive federated optimization", ICLR 2021. The item tower's lazy optimiser touches
only rows that took part.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import ServerConfig, Settings
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.server.item_tower import Served, pulled
from spfedrec_cli.kernels import item_rules as kernel
from spfedrec_cli.model.towers import Weights
from spfedrec_cli.placement import CPU, placed
from spfedrec_cli.threads import shared

EPSILON = 1e-8  # of the item optimisers
TOGETHER = 1 << 13  # rows of a table that are stepped at once, and stay in the cache meanwhile


@dataclass(frozen=True)
class Moments:
    """First and second moments of an optimiser by weight, and how often each row was stepped (lazy optimisers)."""

    first: Weights
    second: Weights
    steps: Weights


def item_step(
    server: ServerConfig, item: Weights, moments: Moments, served: Served, mean: Tensor, team: Team = ALONE
) -> tuple[Weights, Moments]:
    """Step 7, second half: back-propagate the mean g_v (R, d) into the item tower. Its weights are written in place."""
    compiled = mean.device == CPU and server.item_optimizer in kernel.NUMBERS
    step = _step_rows_compiled if compiled else _step_rows
    for name, (rows, grad) in pulled(item, served, mean, team).items():
        _step(
            step,
            server,
            [item[name], moments.first[name], moments.second[name]],
            moments.steps[name],
            rows,
            grad,
            served.threads,
        )
    return item, moments


def query_step(
    server: ServerConfig, tau: float, query: Weights, moments: Moments, mean: Weights
) -> tuple[Weights, Moments]:
    """Step 7, first half: *add* along the mean Δθ_u by the server optimiser."""
    rule = SERVER_OPTIMIZERS[server.optimizer]
    stepped = {k: rule(server, tau, w, mean[k], moments.first[k], moments.second[k]) for k, w in query.items()}
    weights, first, second = ({k: parts[i] for k, parts in stepped.items()} for i in range(3))
    return weights, Moments(first, second, moments.steps)


def is_drowned(moments: Moments, tau: float) -> bool:
    """Whether τ outweighs √v in most coordinates that ever moved: the optimiser is then no longer adaptive."""
    roots = torch.cat([v.sqrt().reshape(-1) for v in moments.second.values()])
    moved = torch.cat([m.reshape(-1) for m in moments.first.values()]) != 0
    return bool(moved.any()) and bool(roots[moved].median() < tau)


Schedule = Callable[[int, int], float]


def constant(round_: int, rounds: int) -> float:
    """The same in every round."""
    return 1.0


def linear(round_: int, rounds: int) -> float:
    """Evenly from 1 in round 1 to 1 / rounds in the last, and in any that an audit has behind it."""
    return max(rounds - round_ + 1, 1) / rounds


SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear}


def scheduled(config: Settings, round_: int) -> ServerConfig:
    """The server's settings with the learning rates of one round, from 1."""
    server = config.server
    share = SCHEDULES[server.schedule](round_, config.train.rounds)
    return server.model_copy(update={"lr": server.lr * share, "item_lr": server.item_lr * share})


Stepped = tuple[Tensor, Tensor, Tensor]
ServerRule = Callable[[ServerConfig, float, Tensor, Tensor, Tensor, Tensor], Stepped]


def _adaptive(server: ServerConfig, tau: float, w: Tensor, delta: Tensor, first: Tensor, second: Tensor) -> Stepped:
    first = server.beta1 * first + (1 - server.beta1) * delta
    return w + server.lr * first / (second.sqrt() + tau), first, second


def fedavg(server: ServerConfig, tau: float, w: Tensor, delta: Tensor, first: Tensor, second: Tensor) -> Stepped:
    """x ← x + η Δ."""
    return w + server.lr * delta, first, second


def fedadagrad(server: ServerConfig, tau: float, w: Tensor, delta: Tensor, first: Tensor, second: Tensor) -> Stepped:
    """v ← v + Δ²."""
    return _adaptive(server, tau, w, delta, first, second + delta**2)


def fedadam(server: ServerConfig, tau: float, w: Tensor, delta: Tensor, first: Tensor, second: Tensor) -> Stepped:
    """v ← β2 v + (1 − β2) Δ²."""
    return _adaptive(server, tau, w, delta, first, server.beta2 * second + (1 - server.beta2) * delta**2)


def fedyogi(server: ServerConfig, tau: float, w: Tensor, delta: Tensor, first: Tensor, second: Tensor) -> Stepped:
    """v ← v − (1 − β2) Δ² sign(v − Δ²)."""
    square = delta**2
    return _adaptive(server, tau, w, delta, first, second - (1 - server.beta2) * square * torch.sign(second - square))


SERVER_OPTIMIZERS: dict[str, ServerRule] = {
    "fedadam": fedadam,
    "fedyogi": fedyogi,
    "fedadagrad": fedadagrad,
    "fedavg": fedavg,
}

ItemRule = Callable[[ServerConfig, Tensor, Tensor, Tensor, Tensor], Stepped]


def adam(server: ServerConfig, grad: Tensor, first: Tensor, second: Tensor, steps: Tensor) -> Stepped:
    """Adam (Kingma and Ba 2015), each row with a step count of its own for the bias correction."""
    first = server.beta1 * first + (1 - server.beta1) * grad
    second = server.beta2 * second + (1 - server.beta2) * grad**2
    unbiased = first / (1 - server.beta1**steps)
    return server.item_lr * unbiased / ((second / (1 - server.beta2**steps)).sqrt() + EPSILON), first, second


def adagrad(server: ServerConfig, grad: Tensor, first: Tensor, second: Tensor, steps: Tensor) -> Stepped:
    """Adagrad (Duchi, Hazan and Singer 2011)."""
    second = second + grad**2
    return server.item_lr * grad / (second.sqrt() + EPSILON), first, second


def sgd(server: ServerConfig, grad: Tensor, first: Tensor, second: Tensor, steps: Tensor) -> Stepped:
    """Plain gradient descent."""
    return server.item_lr * grad, first, second


ITEM_OPTIMIZERS: dict[str, ItemRule] = {"adam": adam, "adagrad": adagrad, "sgd": sgd}


Step = Callable[[ServerConfig, list[Tensor], Tensor, Tensor, Tensor], None]


def _step(
    step: Step,
    server: ServerConfig,
    tables: list[Tensor],
    steps: Tensor,
    rows: Tensor | None,
    grad: Tensor,
    threads: int,
) -> None:
    """One step of one weight and its moments, `tables`, in place; of a table only the rows named (n,), with step counts
    of their own. Any other weight (None) is a single row."""
    if rows is None:
        rows, grad, tables = torch.zeros(1, dtype=torch.int64), grad.reshape(1, -1), [t.view(1, -1) for t in tables]
    rows, grad = placed(rows, steps.device), placed(grad, steps.device)
    pieces = [slice(at, at + TOGETHER) for at in range(0, len(rows), TOGETHER)]
    shared(lambda part: step(server, tables, steps, rows[part], grad[part]), pieces, threads)


def _step_rows(server: ServerConfig, tables: list[Tensor], steps: Tensor, rows: Tensor, grad: Tensor) -> None:
    weight, first, second = (table[rows] for table in tables)
    count = steps[rows] + 1
    change, *moments = ITEM_OPTIMIZERS[server.item_optimizer](server, grad, first, second, count[:, None])
    for old, new in zip([*tables, steps], [weight - change, *moments, count], strict=True):
        old.index_copy_(0, rows, new)


def _step_rows_compiled(server: ServerConfig, tables: list[Tensor], steps: Tensor, rows: Tensor, grad: Tensor) -> None:
    numbers = (np.float32(number) for number in (server.item_lr, server.beta1, server.beta2, EPSILON))
    rule = kernel.Rule(kernel.NUMBERS[server.item_optimizer], *numbers)
    kernel.step_rows(rule, *(each.numpy() for each in (*tables, steps, rows, grad)))
