"""The server: the item tower on the rows that take part, and what it does with the sums.

Server optimisers: Reddi et al., "Adaptive federated optimization", ICLR 2021. The item tower is trained by split
learning: the mean g_v enters at its output, and its lazy optimiser touches only rows that took part.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import Config, ServerConfig
from spfedrec_cli.federated.state import Moments
from spfedrec_cli.federated.team import ALONE, Team
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import Weights, item_tower
from spfedrec_cli.placement import placed
from spfedrec_cli.rng import uniform

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
EPSILON = 1e-8  # of the item optimisers
PART = 1 << 13  # rows of the item tower at once: their activations stay in the cache


@dataclass(frozen=True)
class Part:
    """ṽ of some rows with the graph behind it, and the leaves that it hangs from. A leaf of a table holds only the rows
    that these items touch."""

    embeddings: Tensor
    leaves: Weights


@dataclass(frozen=True)
class Served:
    """The rows that take part: ṽ (R, d) of all, without the graph; and the parts that this process computed.

    Parts are cut the same way whoever computes them. `touched` has, for each part and each table, the table's rows.
    """

    embeddings: Tensor
    parts: dict[int, Part]
    touched: list[dict[str, Tensor]]


def serve(
    item: Weights, features: Features, rows: I64, id_dropout: float, seed: int, round_: int, team: Team = ALONE
) -> Served:
    """Step 3: run the item tower on the items `rows` (ascending) and on nothing else."""
    device = features.codes.device
    keep = placed(uniform(seed, "id_dropout", rows, round_) >= id_dropout, device).float()
    cuts = [slice(start, start + PART) for start in range(0, max(len(rows), 1), PART)]
    codes = features.codes.index_select(0, placed(rows, device))
    found = [_touched(features, item, codes[cut]) for cut in cuts]
    embeddings, parts = torch.zeros(len(rows), _dim(item), device=device), dict[int, Part]()
    for number in team.mine(len(cuts)):
        cut, (touched, local) = cuts[number], found[number]
        leaves = {name: _picked(weight, touched.get(name)).detach().requires_grad_() for name, weight in item.items()}
        parts[number] = Part(item_tower(leaves, local, keep[cut]), leaves)
        embeddings[cut] = parts[number].embeddings.detach()
    return Served(team.merge(embeddings), parts, [touched for touched, _ in found])


def _dim(item: Weights) -> int:
    """d: the last weight is the bias of the output."""
    return next(reversed(item.values())).shape[0]


def _touched(features: Features, item: Weights, codes: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The rows of each table that items of codes (n, fields) touch, ascending; and the codes as places in them."""
    touched, local = {}, torch.empty_like(codes)
    for column, name in enumerate(features.names):
        marked = codes.new_zeros(len(item[f"field.{name}"]))
        marked[codes[:, column]] = 1
        touched[f"field.{name}"] = marked.nonzero()[:, 0]
        local[:, column] = (marked.cumsum(0) - 1).index_select(0, codes[:, column])
    return touched, local


def _picked(weight: Tensor, rows: Tensor | None) -> Tensor:
    return weight if rows is None else weight.index_select(0, rows)


def item_step(
    server: ServerConfig, item: Weights, moments: Moments, served: Served, mean: Tensor, team: Team = ALONE
) -> tuple[Weights, Moments]:
    """Step 7, second half: back-propagate the mean g_v (R, d) into the item tower. Tables are written in place."""
    rule, pulled = ITEM_OPTIMIZERS[server.item_optimizer], _pull(item, served, mean, team)
    for name, weight in item.items():
        rows, grad = _joined([touched.get(name) for touched in served.touched], [grads[name] for grads in pulled])
        _step_rows(rule, server, weight, _picked(weight, rows), grad, moments, name, rows)
    return item, moments


def _pull(item: Weights, served: Served, mean: Tensor, team: Team) -> list[Weights]:
    """The gradients of the leaves, part by part."""
    like = [{name: _leaf_shape(w, touched.get(name)) for name, w in item.items()} for touched in served.touched]
    sizes = [[math.prod(shape) for shape in shapes.values()] for shapes in like]
    flat = mean.new_zeros(sum(map(sum, sizes)))
    whole = torch.split(flat, [sum(each) for each in sizes])
    rooms = [torch.split(part, each) for part, each in zip(whole, sizes, strict=True)]
    for number, part in served.parts.items():
        wanted = mean[number * PART :][: len(part.embeddings)]
        grads = torch.autograd.grad(part.embeddings, list(part.leaves.values()), wanted, materialize_grads=True)
        for room, grad in zip(rooms[number], grads, strict=True):
            room.copy_(grad.reshape(-1))
    team.merge(flat)
    return [
        {name: room.view(shape) for (name, shape), room in zip(shapes.items(), part, strict=True)}
        for shapes, part in zip(like, rooms, strict=True)
    ]


def _leaf_shape(weight: Tensor, touched: Tensor | None) -> tuple[int, ...]:
    return tuple(weight.shape) if touched is None else (len(touched), weight.shape[1])


def _joined(touched: list[Tensor | None], grads: list[Tensor]) -> tuple[Tensor | None, Tensor]:
    """The rows of a table that any part touched (None: it is none), and the sum of its gradients, part by part."""
    rows = [some for some in touched if some is not None]
    if len(grads) == 1:
        return touched[0], grads[0]
    if not rows:
        return None, torch.stack(grads).sum(0)
    union, place = torch.unique(torch.cat(rows), return_inverse=True)
    return union, grads[0].new_zeros(len(union), grads[0].shape[1]).index_add_(0, place, torch.cat(grads))


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
    """Evenly from 1 in round 1 to 1 / rounds in the last: it would be 0 in the one after."""
    return (rounds - round_ + 1) / rounds


SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear}


def scheduled(config: Config, round_: int) -> ServerConfig:
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


def _step_rows(
    rule: ItemRule,
    server: ServerConfig,
    weight: Tensor,
    leaf: Tensor,
    grad: Tensor,
    moments: Moments,
    name: str,
    rows: Tensor | None,
) -> None:
    """One step of one weight; of a table only the rows named, with their own moments and step counts."""
    first, second, steps = moments.first[name], moments.second[name], moments.steps[name]
    if rows is None:
        steps += 1
        change, new_first, new_second = rule(server, grad, first, second, steps)
        for old, new in ((weight, leaf - change), (first, new_first), (second, new_second)):
            old.copy_(new)
        return
    count = steps.index_select(0, rows) + 1
    change, new_first, new_second = rule(
        server, grad, first.index_select(0, rows), second.index_select(0, rows), count[:, None]
    )
    for old, new in ((weight, leaf - change), (first, new_first), (second, new_second), (steps, count)):
        old.index_copy_(0, rows, new)
