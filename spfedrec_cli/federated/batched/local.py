"""The local steps of a block of clients at once: what `client.train` does for one device.

In the first step all clients still hold the same θ_u, so that one product serves them all; from then on every client
has weights of its own. Clients whose batches have run out are left behind: the others are the first rows of the block.
A step leaves the gradients by items as the two vectors of their product; they are multiplied out once, over all steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spfedrec_cli.config import Config, ModelConfig
from spfedrec_cli.federated.batched.blocks import Block
from spfedrec_cli.federated.batched.descent import Towers
from spfedrec_cli.federated.batched.factors import Factors, Products, backward, field_places, forward, of_unit
from spfedrec_cli.federated.batched.gradients import loss_and_gradients
from spfedrec_cli.federated.batched.scratch import Scratch
from spfedrec_cli.federated.exchange import Published
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.towers import Weights, flatten, history_weights, unit
from spfedrec_cli.placement import fetched, placed


@dataclass(frozen=True)
class Learned:
    """What the local steps of K clients came to; losses are means over their steps, and so is g_v."""

    towers: Towers
    items: Products  # (K, L + M, d)
    pool: Products | None  # (K, pool, d), where the public pool is training negatives
    private: Tensor | None  # (K, d) or (K, P)
    losses: Tensor  # (K,) float64, on the CPU


@dataclass(frozen=True)
class _Held:
    """What the devices of a block hold besides their towers: fields, ṽ of their items and of the pool."""

    block: Block
    places: Tensor  # (K, fields · e)
    items: Tensor  # (K, L + M, d)
    pool: Tensor | None  # (pool, d), where that is training negatives


class _Steps:
    """What the S local steps of K clients start from and leave behind, each at its place (S, K, …)."""

    def __init__(self, model: ModelConfig, block: Block, pool: int) -> None:
        steps, (clients, items), own = int(block.steps[0]), block.items.shape, block.purchases
        on = block.items.device
        numbers = torch.arange(steps, dtype=torch.int32, device=on)[:, None, None]
        targets = torch.stack([turn == numbers for turn in block.turns]).any(0)
        self.shares = targets / targets.sum(-1, keepdim=True).clamp_min_(1)
        # ∂L/∂ṽ of an item is its score's gradient times the query, and its weight in the history times that's gradient.
        self.by_item = torch.zeros(2, steps, clients, items, device=on)
        self.scores, self.history = self.by_item[0], self.by_item[1, :, :, :own]
        self.history.copy_(history_weights(model, (block.items[:, :own] >= 0) & ~targets))
        self.vectors = torch.zeros(2, steps, clients, model.dim, device=on)
        self.by_pool = torch.zeros(steps, clients, pool, device=on)
        self.losses = torch.zeros(steps, clients, device=on)


def train_block(
    world: World, published: Published, codes: Tensor, block: Block, private: Tensor | None, scratch: Scratch
) -> Learned:
    """All local steps of a block. Its towers are scratch: the next block ends them."""
    client, model, like = world.config.client, world.config.model, published.query
    own_tower = client.private_state == "tower"
    held, start = _hold(world, published, codes, block, scratch), flatten(like)
    towers = Towers(client, like, block, scratch, private if own_tower and private is not None else start)
    embedding = None if private is None or own_tower else private.clone()
    steps = _Steps(model, block, 0 if held.pool is None else len(held.pool))
    for step in range(int(block.steps[0])):
        left = int((block.steps > step).sum())
        mine = None if embedding is None else embedding[:left]
        factors, of_private = _gradients(world.config, like, held, steps, step, towers.of_first(left), mine, left)
        towers.step(factors, left)
        if mine is not None:
            mine -= client.private_lr * of_private
    counts = torch.from_numpy(block.steps)
    each = 1 / placed(counts, world.device)
    items = Products(steps.by_item.flatten(0, 1), steps.vectors.flatten(0, 1)).times(each)
    pool = None if held.pool is None else Products(steps.by_pool, steps.vectors[0]).times(each)
    losses = fetched(steps.losses).double().sum(0) / counts
    return Learned(towers, items, pool, towers.weights if own_tower else embedding, losses)


def _hold(world: World, published: Published, codes: Tensor, block: Block, scratch: Scratch) -> _Held:
    places, room = (
        field_places(published.query, codes),
        scratch.take("items", block.items.numel(), world.config.model.dim),
    )
    items = rows(published.embeddings, block.items, room)
    if not world.config.client.uses_pool:
        return _Held(block, places, items, None)
    return _Held(block, places, items, published.embeddings.index_select(0, placed(published.pool, world.device)))


def _gradients(
    settings: Config,
    like: Weights,
    held: _Held,
    steps: _Steps,
    step: int,
    theta: Tensor,
    private: Tensor | None,
    clients: int,
) -> tuple[Factors, Tensor]:
    """One local step of the first clients: the gradients by the tower, and by the private embedding. The losses and
    the gradients by items go to their place in `steps`."""
    model, items, own = settings.model, held.items[:clients], held.block.purchases
    pooled = _sums(steps.history[step, :clients], items[:, :own])
    passed = forward(like, theta, held.places[:clients], pooled, private)
    query = unit(passed.raw)
    # The score is cos / temperature: the factor enters where the vectors are short.
    vectors = torch.div(query, model.temperature, out=steps.vectors[0, step, :clients])
    scores = _products(items, vectors)
    negatives = _of_negatives(scores[:, own:], vectors, held.pool) - held.block.expected[:clients]
    weights = steps.shares[step, :clients]
    losses, of_own, of_negatives = loss_and_gradients(settings.client.loss, scores[:, :own], negatives, weights)
    steps.losses[step, :clients] = losses
    by_item = steps.scores[step, :clients]
    hidden = items.shape[1] - own
    by_item[:, :own], by_item[:, own:] = of_own, of_negatives[:, :hidden]
    of_query = _sums(by_item, items)
    if held.pool is not None:
        of_pool = of_negatives[:, hidden:]
        steps.by_pool[step, :clients] = of_pool
        of_query += of_pool @ held.pool
    of_raw = of_unit(passed.raw, query, of_query.div_(model.temperature))
    factors, of_history = backward(passed, of_raw)
    steps.vectors[1, step, :clients] = of_history
    return factors, of_raw


def _of_negatives(hidden: Tensor, vectors: Tensor, pool: Tensor | None) -> Tensor:
    """(K, M + pool) scores of all training negatives: those of V− (K, M), and of the pool with the vectors (K, d)."""
    if pool is None:
        return hidden
    of_pool = vectors @ pool.T
    return torch.cat([hidden, of_pool], 1) if hidden.shape[1] else of_pool


def _products(items: Tensor, query: Tensor) -> Tensor:
    """(K, L) of items (K, L, d) with (K, d)."""
    return torch.bmm(query[:, None], items.transpose(1, 2))[:, 0]


def _sums(weights: Tensor, items: Tensor) -> Tensor:
    """(K, d) of weights (K, L) and items (K, L, d)."""
    return torch.bmm(weights[:, None], items)[:, 0]


def rows(embeddings: Tensor, places: Tensor, out: Tensor) -> Tensor:
    """(K, L, d) rows at the places, in `out`; any row where a place is −1, since padding has no weight in anything."""
    return torch.index_select(embeddings, 0, places.clamp_min(0).view(-1), out=out).view(*places.shape, -1)
