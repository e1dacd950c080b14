"""The local steps of a block of clients at once: what `client.train` does for one device.

In the first step all clients still hold the same θ_u, so that one product serves them all; from then on every client
has weights of its own. Clients whose batches have run out are left behind: the others are the first rows of the block.
Whatever is as large as a tower a client is worked on for a few clients at a time, while it is in the cache.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.config import ClientConfig, ModelConfig
from spfedrec_cli.federated.blocks import Block
from spfedrec_cli.federated.codec import Codec
from spfedrec_cli.federated.exchange import Published
from spfedrec_cli.federated.scratch import Scratch
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.factors import Factors, backward, field_places, forward, write
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import Weights, flatten, history_weights, unit

_CACHED = 1 << 19  # floats of gradients that are worked on at a time: 2 MiB


@dataclass(frozen=True)
class Learned:
    """What the local steps of K clients came to; losses and the gradients of items are means over their steps."""

    query: Tensor  # (K, P) Δθ_u in fixed point, or (K, 0)
    saturated: int  # coordinates of it
    own: Tensor  # (K, L, d)
    candidates: Tensor  # (K, M, d)
    private: Tensor | None  # (K, d) or (K, P)
    losses: Tensor  # (K,) float64


@dataclass(frozen=True)
class _Held:
    """What the devices of a block hold besides their towers: fields, ṽ of their items and of their negatives."""

    block: Block
    places: Tensor  # (K, fields · e)
    own: Tensor  # (K, L, d)
    candidates: Tensor  # (K, M, d), or (M, d) where all have the same


def train_block(
    world: World, published: Published, codes: Tensor, block: Block, private: Tensor | None, scratch: Scratch
) -> Learned:
    """All local steps of a block, and step 5 for Δθ_u. Towers and integers are scratch: the next block ends them."""
    client, like = world.config.client, published.query
    own_tower = client.private_state == "tower"
    held, start = _hold(world, published, codes, block), flatten(like)
    towers = _Towers(client, like, block, scratch, private if own_tower and private is not None else start)
    embedding = None if private is None or own_tower else private.clone()
    totals: list[Tensor] = []
    for step in range(int(block.steps[0])):
        left = int((block.steps > step).sum())
        mine = None if embedding is None else embedding[:left]
        factors, others, of_private = _gradients(
            world.config.model, like, held, step, towers.of_first(left), mine, left
        )
        towers.step(factors, left)
        if mine is not None:
            mine -= client.private_lr * of_private
        for total, other in zip(totals, others, strict=False):
            total[:left] += other
        totals = totals or others
    losses, own, candidates = _means(totals, torch.from_numpy(block.steps))
    if own_tower:
        return Learned(torch.empty(len(codes), 0, dtype=torch.int32), 0, own, candidates, towers.weights, losses)
    query, saturated = towers.encoded(world.codecs()[0])
    return Learned(query, saturated, own, candidates, embedding, losses)


def _means(totals: list[Tensor], steps: Tensor) -> list[Tensor]:
    """Sums over each client's steps, divided by their number."""
    if steps[0] == 1:
        return totals
    return [total.div_(steps.view(-1, *[1] * (total.dim() - 1))) for total in totals]


class _Towers:
    """The query towers of a block on their way from `start`, which is θ_u (P,) or a tower a client (K, P)."""

    def __init__(self, client: ClientConfig, like: Weights, block: Block, scratch: Scratch, start: Tensor) -> None:
        self.client, self.like, self.clients, self.start = client, like, len(block.members), start
        self.scratch, self.taken, self.weights, self.moments = scratch, 0, torch.empty(0), list[Tensor]()
        self.factors: Factors | None = None  # of the only step, where that is all there is to know
        self.is_gradient = block.steps[0] == 1 and start.dim() == 1 and client.optimizer == "sgd"
        width = start.shape[-1]
        self.few = max(1, _CACHED // width)
        self.grads = scratch.take("gradients", min(self.few, self.clients), width)

    def of_first(self, clients: int) -> Tensor:
        """Their weights as they are now, (P,) while they are the same."""
        return self.weights[:clients] if self.taken else self.start[:clients] if self.start.dim() == 2 else self.start

    def step(self, factors: Factors, clients: int) -> None:
        """A local step of the first clients; the others stay where they are."""
        self.taken += 1
        if self.is_gradient:
            self.factors = factors
            return
        if self.taken == 1:
            size, count = (self.clients, self.start.shape[-1]), MOMENTS[self.client.optimizer](self.client)
            self.weights = self.scratch.take("weights", *size)
            self.moments = [self.scratch.take(f"moment {number}", *size) for number in range(count)]
        rule = IN_PLACE[self.client.optimizer]
        for rows, grads in self._few(clients):
            if self.taken == 1:
                self.weights[rows] = self.start if self.start.dim() == 1 else self.start[rows]
                for moment in self.moments:
                    moment[rows].zero_()
            write(factors, self.like, rows, grads)
            rule(self.client, self.taken, self.weights[rows], grads, [moment[rows] for moment in self.moments])

    def encoded(self, codec: Codec) -> tuple[Tensor, int]:
        """θ_end − θ_start in fixed point (K, P), and how many coordinates were saturated. The towers are used up."""
        encoded, saturated = self.scratch.take("integers", self.clients, self.start.shape[-1], torch.int32), 0
        for rows, grads in self._few(self.clients):
            if self.factors is None:
                moved = self.weights[rows].sub_(self.start)
            else:
                write(self.factors, self.like, rows, grads)
                moved = grads.mul_(-self.client.lr)
            saturated += codec.encode_into(moved, encoded[rows])
        return encoded, saturated

    def _few(self, clients: int) -> Iterator[tuple[slice, Tensor]]:
        for start in range(0, clients, self.few):
            rows = slice(start, min(start + self.few, clients))
            yield rows, self.grads[: rows.stop - rows.start]


def _hold(world: World, published: Published, codes: Tensor, block: Block) -> _Held:
    padded = torch.cat([published.embeddings, torch.zeros(1, published.embeddings.shape[1])])
    places, own = field_places(published.query, codes), rows(padded, block.own)
    if world.config.client.negatives == "request":
        return _Held(block, places, own, rows(padded, block.negatives))
    pool = published.embeddings.index_select(0, torch.from_numpy(published.pool))
    return _Held(block, places, own, pool)


def _gradients(
    model: ModelConfig, like: Weights, held: _Held, step: int, theta: Tensor, private: Tensor | None, clients: int
) -> tuple[Factors, list[Tensor], Tensor]:
    """One local step of the first clients: the gradients by the tower; the losses, with the gradients by own items and
    by candidates; the gradient by the private embedding."""
    targets = (held.block.turns[:, :clients] == step).any(0)
    own, candidates = held.own[:clients], held.candidates if held.candidates.dim() == 2 else held.candidates[:clients]
    pooling = history_weights(model, (held.block.own[:clients] >= 0) & ~targets)
    passed = forward(like, theta, held.places[:clients], _sums(pooling, own), private)
    raw = passed.raw.requires_grad_()
    query = unit(raw)
    products = _products(own, query.detach()), _products(candidates, query.detach())
    losses, of_own, of_candidates = _loss(model, held.block.expected[:clients], *products, targets)
    (of_raw,) = torch.autograd.grad(query, [raw], _sums(of_own, own) + _sums(of_candidates, candidates))
    factors, of_history = backward(passed, of_raw)
    vectors = torch.stack([query.detach(), of_history], 1)
    of_items = [torch.stack([of_own, pooling], 2) @ vectors, of_candidates[:, :, None] * vectors[:, :1]]
    return factors, [losses, *of_items], of_raw


def _loss(
    model: ModelConfig, expected: Tensor, own: Tensor, candidates: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of each client, and its gradients by the products ũ·ṽ (K, L) and (K, M)."""
    own, candidates = own.requires_grad_(), candidates.requires_grad_()
    each = LOSSES["softmax"](own / model.temperature, candidates / model.temperature - expected)
    losses = (each * targets).sum(1) / targets.sum(1)
    of_own, of_candidates = torch.autograd.grad(losses.sum(), [own, candidates], materialize_grads=True)
    return losses.detach().double(), of_own, of_candidates


def _products(items: Tensor, query: Tensor) -> Tensor:
    """(K, L) of items (K, L, d), or (L, d) that are everybody's, with (K, d)."""
    return query @ items.T if items.dim() == 2 else torch.bmm(query[:, None], items.transpose(1, 2))[:, 0]


def _sums(weights: Tensor, items: Tensor) -> Tensor:
    """(K, d) of weights (K, L) and items (K, L, d), or (L, d) that are everybody's."""
    return weights @ items if items.dim() == 2 else torch.bmm(weights[:, None], items)[:, 0]


def rows(padded: Tensor, places: Tensor) -> Tensor:
    """(K, L, d) rows at the places, the last one, of zeros, where a place is −1."""
    return F.embedding(torch.where(places < 0, len(padded) - 1, places), padded)


def _sgd(client: ClientConfig, number: int, weights: Tensor, grads: Tensor, moments: list[Tensor]) -> None:
    for velocity in moments:
        grads = velocity.mul_(client.momentum).add_(grads)
    weights.add_(grads, alpha=-client.lr)


def _adam(client: ClientConfig, number: int, weights: Tensor, grads: Tensor, moments: list[Tensor]) -> None:
    first, second = moments
    torch._fused_adam_(
        [weights],
        [grads],
        [first],
        [second],
        [],
        [torch.tensor(float(number))],
        lr=client.lr,
        beta1=client.beta1,
        beta2=client.beta2,
        weight_decay=0.0,
        eps=client.eps,
        amsgrad=False,
        maximize=False,
    )


# `optimizers.py` in place: settings, number of the step, weights, gradients (both are changed), moments.
IN_PLACE: dict[str, Callable[[ClientConfig, int, Tensor, Tensor, list[Tensor]], None]] = {"sgd": _sgd, "adam": _adam}
MOMENTS: dict[str, Callable[[ClientConfig], int]] = {
    "sgd": lambda client: int(client.momentum > 0),
    "adam": lambda _: 2,
}
