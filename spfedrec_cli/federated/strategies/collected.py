"""The upper bound: the model and the loss of `split`, trained on everybody's purchases in one place.

There is no device, no codec and no message. A minibatch of clients takes one step together: all targets of each client
at once, as in one full-batch local step. Gradients of a shard are summed by the process that holds it, and shards in
their order by all, so that any number of workers comes to the same bits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.config import Settings
from spfedrec_cli.federated.sampling.pool import Pool
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.padded import Batch, batches
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import Weights, history_weights, query_tower, unflatten

_CELLS = 1 << 21  # floats of candidates in one batch


@dataclass(frozen=True)
class Collected:
    """Of the clients that live here: their losses (K,) and private embeddings after the step, in the order of the
    cohort. Of the whole cohort, summed over clients: the gradients by θ_u and by ṽ of the rows that take part."""

    query: Tensor  # (P,)
    items: Tensor  # (R, d)
    private: Tensor | None  # (K, d)
    losses: Tensor  # (K,) float64


def one_step(config: Settings) -> Settings:
    """The same settings with all targets in one local step."""
    return config.model_copy(update={"client": config.client.model_copy(update={"local_epochs": 1, "batch_size": 0})})


def gradients(world: World, published: Published, cohort: Cohort) -> Collected:
    """Of the loss of each client, which is the mean over its targets; summed over clients."""
    kept = None if cohort.private is None else cohort.private.clone()
    losses, sums = torch.zeros(len(cohort), dtype=torch.float64), dict[int, Tensor]()
    pool = Pool.of(world.config.client, published.obfuscating, published.rows[published.pool])
    everybody = np.ones(len(cohort), np.bool_)
    dim, together = published.embeddings.shape[1], one_step(world.config)
    for batch in batches(
        world, together, cohort, pool, published.prior, published.round, lambda most: _CELLS // (most * dim), everybody
    ):
        members = torch.from_numpy(batch.members)
        private = None if kept is None else kept.index_select(0, members)
        each, of_shared, of_private = _of_batch(world, published, cohort, batch, private)
        losses.index_copy_(0, members, each)
        sums[batch.shard] = sums[batch.shard] + of_shared if batch.shard in sums else of_shared
        if kept is not None and private is not None and of_private is not None:
            kept.index_copy_(0, members, private - world.config.client.private_lr * of_private)
    total = _over_shards(world, sums, world.known.width + published.embeddings.numel())
    items = total[world.known.width :].view(published.embeddings.shape)
    return Collected(total[: world.known.width], items, kept, losses)


def _over_shards(world: World, sums: dict[int, Tensor], width: int) -> Tensor:
    """Shard after shard, whoever holds it."""
    total = torch.zeros(width)
    for shard in range(world.shards.count):
        total += world.team.merge(sums.get(shard, torch.zeros(width)))
    return total


def _of_batch(
    world: World, published: Published, cohort: Cohort, batch: Batch, private: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Losses (K,); the sum of their gradients by θ_u and ṽ, end to end; those by the private embeddings."""
    theta = {name: weight.detach().requires_grad_() for name, weight in published.query.items()}
    items = published.embeddings.detach().requires_grad_()
    mine = None if private is None else private.clone().requires_grad_()
    seat = torch.full((world.n_items,), -1)
    seat[torch.from_numpy(published.rows)] = torch.arange(len(published.rows))
    codes = world.devices.fields.at(published.round).codes.index_select(
        0, torch.from_numpy(cohort.clients[batch.members])
    )
    losses = client_losses(world.config, theta, codes, items, seat, batch, mine)
    leaves = [*theta.values(), items] + ([] if mine is None else [mine])
    grads = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
    shared = torch.cat([grad.reshape(-1) for grad in grads[: len(theta) + 1]])
    return losses.detach().double(), shared, None if mine is None else grads[-1]


def client_losses(
    config: Settings, theta: Weights, codes: Tensor, items: Tensor, seat: Tensor, batch: Batch, private: Tensor | None
) -> Tensor:
    """The loss of each client (K,), by the towers that devices and server use. `seat` (n_items,) has the place of an
    item in `items` (R, d)."""
    model, own = config.model, _rows(items, seat, batch.own)
    targets = batch.targets[0].float()
    history = torch.einsum("kl,kld->kd", history_weights(model, (batch.own >= 0) & ~batch.targets[0]), own)
    query = query_tower(model, theta, codes, history, private)
    of_own = torch.einsum("kld,kd->kl", own, query) / model.temperature + batch.prior
    of_negatives = _of_negatives(items, seat, batch, query) / model.temperature - batch.offsets
    return (LOSSES[config.client.loss](of_own, of_negatives) * targets).sum(1) / targets.sum(1)


def _of_negatives(items: Tensor, seat: Tensor, batch: Batch, query: Tensor) -> Tensor:
    """(K, H + M): of V− and the pool, one behind the other, with the query embeddings (K, d)."""
    of_each = []
    if batch.hidden.shape[1]:
        of_each.append(torch.einsum("kmd,kd->km", _rows(items, seat, batch.hidden), query))
    if len(batch.pool):
        of_each.append(torch.einsum("md,kd->km", _rows(items, seat, batch.pool), query))
    return of_each[0] if len(of_each) == 1 else torch.cat(of_each, 1)


def _rows(items: Tensor, seat: Tensor, wanted: Tensor) -> Tensor:
    """ṽ of items by their ids; whatever stands at padding is masked by whoever uses it."""
    return F.embedding(seat[wanted.clamp_min(0)].clamp_min(0), items)


def step_along(world: World, found: Collected, query: Weights, clients: int) -> tuple[Weights, Tensor]:
    """What the server's optimisers take in place of the decoded means: Δθ_u = −lr · gradient, and g_v."""
    return unflatten(found.query * (-world.config.client.lr / clients), query), found.items / clients
