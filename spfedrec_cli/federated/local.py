"""The local steps of a block of clients at once: what `client.train` does for one device.

In the first step all clients still hold the same θ_u, so that one product serves them all; from then on every client
has weights of its own. Clients whose batches have run out are left behind: the others are the first rows of the block.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spfedrec_cli.config import ClientConfig, ModelConfig
from spfedrec_cli.federated.blocks import Block
from spfedrec_cli.federated.exchange import Published
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import Weights, history_weights, linear, query_tower, unflatten


@dataclass(frozen=True)
class Learned:
    """What the local steps of K clients came to; losses and the gradients of items are means over their steps."""

    moved: Tensor  # (K, P) θ_end − θ_start
    own: Tensor  # (K, L, d)
    candidates: Tensor  # (K, M, d)
    private: Tensor | None  # (K, d)
    losses: Tensor  # (K,) float64


@dataclass(frozen=True)
class _Held:
    """What the devices of a block hold besides their towers: field codes, ṽ of their items and of their negatives."""

    block: Block
    codes: Tensor  # (K, fields)
    own: Tensor  # (K, L, d)
    candidates: Tensor  # (K, M, d)
    shared: bool  # all have the same candidates


def train_block(
    world: World, published: Published, codes: Tensor, block: Block, starts: Tensor | None, private: Tensor | None
) -> Learned:
    """All local steps of a block, whose clients start from θ_u, or each from its own tower in `starts` (K, P)."""
    client, held = world.config.client, _hold(world, published, codes, block)
    towers = _Towers(client, _start(published.query, starts, len(block.members)))
    kept = None if private is None else private.clone()
    totals: list[Tensor] = []
    for step in range(int(block.steps[0])):
        left = int((block.steps > step).sum())
        mine = None if kept is None else kept[:left]
        of_tower, others, of_private = _gradients(world.config.model, held, step, towers.first(left), mine)
        if mine is not None:
            mine -= client.private_lr * of_private
        towers.step(of_tower)  # last: it uses up the gradients, one of which may be the private embedding's too
        for total, other in zip(totals, others, strict=False):
            total[:left] += other
        totals = totals or others
    losses, own, candidates = _means(totals, torch.from_numpy(block.steps))
    return Learned(towers.moved(), own, candidates, kept, losses)


def _means(totals: list[Tensor], steps: Tensor) -> list[Tensor]:
    """Sums over each client's steps, divided by their number."""
    if steps[0] == 1:
        return totals
    return [total.div_(steps.view(-1, *[1] * (total.dim() - 1))) for total in totals]


@dataclass
class _Towers:
    """The clients' query towers on their way from `start`, a weight (K, …) each; all one until the first step."""

    client: ClientConfig
    start: Weights
    taken: int = 0
    changes: list[Tensor] = field(default_factory=list)  # of the first step
    weights: list[Tensor] = field(default_factory=list)  # after it, once a second one is wanted
    moments: list[list[Tensor]] = field(default_factory=list)

    def first(self, clients: int) -> Weights:
        """The towers of so many clients, as they are now."""
        if self.taken and not self.weights:
            self.weights = [old + change for old, change in zip(self.start.values(), self.changes, strict=True)]
        return {k: w[:clients] for k, w in zip(self.start, self.weights or self.start.values(), strict=True)}

    def step(self, grads: list[Tensor]) -> None:
        """One step of as many clients as there are gradients; the others stay where they are."""
        self.taken += 1
        rule = IN_PLACE[self.client.optimizer]
        if self.taken == 1:
            self.changes, self.moments = rule.start(self.client, grads)
            return
        clients = len(grads[0])
        moments = [[moment[:clients] for moment in moments] for moments in self.moments]
        rule.step(self.client, self.taken, [weight[:clients] for weight in self.weights], grads, moments)

    def moved(self) -> Tensor:
        """θ_end − θ_start (K, P)."""
        changes = self.changes
        if self.weights:
            changes = [new.sub_(old) for new, old in zip(self.weights, self.start.values(), strict=True)]
        return torch.cat([change.flatten(1) for change in changes], 1)


def _hold(world: World, published: Published, codes: Tensor, block: Block) -> _Held:
    own = rows(published.embeddings, block.own)
    if world.config.client.negatives == "request":
        return _Held(block, codes, own, rows(published.embeddings, block.negatives), False)
    pool = published.embeddings.index_select(0, torch.from_numpy(published.pool))
    return _Held(block, codes, own, pool.expand(len(codes), -1, -1), True)


def _start(query: Weights, starts: Tensor | None, clients: int) -> Weights:
    if starts is not None:
        return unflatten(starts, query)
    return {name: weight.expand(clients, *weight.shape) for name, weight in query.items()}


def _gradients(
    model: ModelConfig, held: _Held, step: int, theta: Weights, private: Tensor | None
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """One local step of the first clients: the gradients by each weight; the losses, with the gradients by own items
    and by candidates; the gradient by the private embedding."""
    clients = len(next(iter(theta.values())))
    theta = {name: weight.detach().requires_grad_() for name, weight in theta.items()}
    own, candidates = (items[:clients].detach().requires_grad_() for items in (held.own, held.candidates))
    mine = None if private is None else private.detach().requires_grad_()
    targets = (held.block.turns[:, :clients] == step).any(0)

    history = torch.bmm(history_weights(model, (held.block.own[:clients] >= 0) & ~targets)[:, None], own)[:, 0]
    query = query_tower(theta, held.codes[:clients], history, mine)
    scores = (own * query[:, None]).sum(-1) / model.temperature
    against = _products(query, candidates, held.shared) / model.temperature - held.block.expected[:clients]
    each = LOSSES["softmax"](scores, against) * targets
    losses = each.sum(1) / targets.sum(1)

    leaves = [*theta.values(), own, candidates] + ([] if mine is None else [mine])
    grads = list(torch.autograd.grad(losses.sum(), leaves, materialize_grads=True))
    return grads[: len(theta)], [losses.detach().double(), *grads[len(theta) : len(theta) + 2]], grads[-1]


def _products(query: Tensor, candidates: Tensor, shared: bool) -> Tensor:
    """(K, M) of (K, d) and (K, M, d); one product where they are `shared` by all clients."""
    return linear(query, candidates) if shared else (candidates * query[:, None]).sum(-1)


def rows(embeddings: Tensor, places: Tensor) -> Tensor:
    """(K, L, d) rows at the places, zero where a place is −1."""
    padded = torch.cat([embeddings, embeddings.new_zeros(1, embeddings.shape[1])])
    return torch.nn.functional.embedding(places % len(padded), padded)


Moments = list[list[Tensor]]


@dataclass(frozen=True)
class Rule:
    """`optimizers.py` in place. start: (settings, gradients) -> (changes, moments) of the first step; step: (settings,
    number, weights, gradients, moments), every later one. Gradients are used up."""

    start: Callable[[ClientConfig, list[Tensor]], tuple[list[Tensor], Moments]]
    step: Callable[[ClientConfig, int, list[Tensor], list[Tensor], Moments], None]


def _sgd_start(client: ClientConfig, grads: list[Tensor]) -> tuple[list[Tensor], Moments]:
    velocity = [[grad.clone() for grad in grads]] if client.momentum else []
    torch._foreach_mul_(grads, -client.lr)
    return grads, velocity


def _sgd_step(client: ClientConfig, number: int, weights: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
    if client.momentum:
        torch._foreach_mul_(moments[0], client.momentum)
        torch._foreach_add_(moments[0], grads)
        grads = moments[0]
    torch._foreach_add_(weights, grads, alpha=-client.lr)


def _adam_start(client: ClientConfig, grads: list[Tensor]) -> tuple[list[Tensor], Moments]:
    changes, first, second = ([torch.zeros_like(grad) for grad in grads] for _ in range(3))
    _adam_step(client, 1, changes, grads, [first, second])
    return changes, [first, second]


def _adam_step(client: ClientConfig, number: int, weights: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
    first, second = moments
    torch._fused_adam_(
        weights,
        grads,
        first,
        second,
        [],
        [torch.tensor(float(number))] * len(weights),
        lr=client.lr,
        beta1=client.beta1,
        beta2=client.beta2,
        weight_decay=0.0,
        eps=client.eps,
        amsgrad=False,
        maximize=False,
    )


IN_PLACE: dict[str, Rule] = {"sgd": Rule(_sgd_start, _sgd_step), "adam": Rule(_adam_start, _adam_step)}
