"""`whole_client.py` for many devices at once: the loss of one client, mapped over clients with weights of their own.

Of the tables of the item tower a client holds the rows that its candidates touch: no other can change. Each client's
changes are clipped and rounded for itself, and only integers leave a batch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.aggregation.protocol import Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device.cost import client_floats
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS, NO_MOMENTS, Moments
from spfedrec_cli.federated.sampling.pool import Pool
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.padded import Batch, batches
from spfedrec_cli.federated.strategies.whole_client import Whole, opening
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import (
    Weights,
    dense,
    flatten,
    history_weights,
    item_tower,
    query_tower,
    table_of,
    tables,
    unflatten,
)
from spfedrec_cli.rng import uniform

_CELLS = 8 << 20  # floats that one batch may hold


@dataclass(frozen=True)
class _Touched:
    """The rows of the item tower's tables that the candidates of clients touch, one table behind the other."""

    rows: Tensor  # (K, T) among the rows of all tables; −1: padding
    sizes: tuple[int, ...]  # of each table
    codes: Tensor  # (K, C, fields) of the candidates, as places in the table's part of `rows`


@dataclass(frozen=True)
class _Held:
    """What the devices of a batch hold besides their towers."""

    fields: Tensor  # (K, F) of the clients
    codes: Tensor  # (K, C, fields) of the candidates, purchases first
    keep_id: Tensor  # (K, C)
    bought: Tensor  # (K, L) which of the first candidates are no padding
    prior: Tensor  # (K, L)
    offsets: Tensor  # (K, M) what the scores of negatives lose

    def first(self, clients: int) -> "_Held":
        """Those who still train."""
        return _Held(*(getattr(self, name)[:clients] for name in self.__dataclass_fields__))


def train_cohort(world: World, whole: Whole, cohort: Cohort, channel: Channel) -> CohortResult:
    """The cohort in batches."""
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else cohort.private.clone()
    protocol = AGGREGATIONS[world.config.federated.aggregation]
    aggregation = protocol.open(opening(world, whole, cohort, channel))

    def fitting(candidates: int) -> int:
        return _CELLS // client_floats(world.config, world.shapes, candidates)

    pool = Pool.of(world.config.client, whole.obfuscating, whole.pool)
    for batch in batches(world, world.config, cohort, pool, whole.prior, whole.round, fitting, aggregation.uploads):
        members = torch.from_numpy(batch.members)
        private = None if kept is None else kept.index_select(0, members)
        updates, each, private = _visit(world, whole, cohort, batch, private)
        aggregation.add(updates)
        losses.index_copy_(0, members, each)
        if kept is not None and private is not None:
            kept.index_copy_(0, members, private)
    return CohortResult(aggregation.close(), kept, losses, aggregation.uploads)


def _visit(
    world: World, whole: Whole, cohort: Cohort, batch: Batch, private: Tensor | None
) -> tuple[Updates, Tensor, Tensor | None]:
    """What the devices of a batch upload, their losses, and what they keep."""
    client, stacked = world.config.client, _stacked(whole.item)
    held, touched = _hold(world, whole, cohort, batch)
    shared = torch.cat([flatten(whole.query), flatten(dense(whole.item))])
    rows = stacked.index_select(0, touched.rows.clamp_min(0).reshape(-1)).view(len(batch.members), -1)
    start = torch.cat([shared.expand(len(rows), -1), rows], 1)
    like = (whole.query, dense(whole.item), _local_tables(whole.item, touched.sizes))
    moved, losses, moments = torch.zeros_like(start), torch.zeros(len(start), dtype=torch.float64), NO_MOMENTS
    for number in range(1, int(batch.steps[0]) + 1):
        left = int((batch.steps >= number).sum())
        mine = None if private is None else private[:left]
        now, targets = start[:left] + moved[:left], batch.targets[number - 1][:left]
        grads, of_private, each = _gradients(world.config, like, now, held.first(left), targets, mine)
        step, moments = LOCAL_OPTIMIZERS[client.optimizer](client, number, grads, _of_first(moments, left))
        moved[:left] += step
        losses[:left] += each
        if private is not None and of_private is not None:
            private[:left] -= client.private_lr * of_private
    return _encode(world, batch.members, moved, len(shared), touched), losses / torch.from_numpy(batch.steps), private


def _of_first(moments: Moments, clients: int) -> Moments:
    return tuple(moment[:clients] if isinstance(moment, Tensor) else moment for moment in moments)


def _gradients(
    config: Settings,
    like: tuple[Weights, Weights, Weights],
    weights: Tensor,
    held: _Held,
    targets: Tensor,
    private: Tensor | None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """One local step of K clients: gradients by all weights (K, W) and by the private embeddings; losses (K,)."""

    def loss(own: Tensor, mine: Tensor | None, *rest: Tensor) -> Tensor:
        return _loss(config, like, own, mine, *rest)

    rest = (held.fields, held.codes, held.keep_id, held.bought, held.prior, held.offsets, targets)
    if private is None:
        found = grad_and_value(loss)
        grads, losses = vmap(found, in_dims=(0, None, *[0] * len(rest)))(weights, None, *rest)
        return grads, None, losses.double()
    both = grad_and_value(loss, argnums=(0, 1))
    (grads, of_private), losses = vmap(both)(weights, private, *rest)
    return grads, of_private, losses.double()


def _loss(
    config: Settings,
    like: tuple[Weights, Weights, Weights],
    weights: Tensor,
    private: Tensor | None,
    fields: Tensor,
    codes: Tensor,
    keep_id: Tensor,
    bought: Tensor,
    prior: Tensor,
    offsets: Tensor,
    targets: Tensor,
) -> Tensor:
    """The loss of one client in one local step, padding masked."""
    model = config.model
    sizes = [sum(weight.numel() for weight in part.values()) for part in like]
    query_weights, others, of_fields = (
        unflatten(part, shapes) for part, shapes in zip(torch.split(weights, sizes), like, strict=True)
    )
    items = item_tower(model, {**of_fields, **others}, codes, keep_id)
    own, negatives = items[: len(bought)], items[len(bought) :]
    history = history_weights(model, bought & ~targets) @ own
    query = query_tower(model, query_weights, fields, history, private)
    of_own = own @ query / model.temperature + prior
    each = LOSSES[config.client.loss](of_own, negatives @ query / model.temperature - offsets)
    return (each * targets).sum() / targets.sum()


def _hold(world: World, whole: Whole, cohort: Cohort, batch: Batch) -> tuple[_Held, _Touched]:
    candidates = torch.cat([batch.own, batch.hidden, batch.pool.expand(len(batch.members), -1)], 1)
    touched = _touch(world, whole, candidates)
    keep = uniform(world.seed, "id_dropout", candidates.clamp_min(0).numpy(), whole.round)
    held = _Held(
        world.devices.fields.at(whole.round).codes.index_select(0, torch.from_numpy(cohort.clients[batch.members])),
        touched.codes,
        torch.from_numpy(keep >= world.config.model.id_dropout).float(),
        batch.own >= 0,
        batch.prior,
        batch.offsets,
    )
    return held, touched


def _touch(world: World, whole: Whole, candidates: Tensor) -> _Touched:
    """Table by table; padding points at the first row, which it never changes."""
    of_all = world.known.items.at(whole.round).codes
    real, codes = (candidates >= 0).numpy(), of_all[candidates.clamp_min(0)].numpy()
    before, rows, local = 0, [], np.empty_like(codes)
    for column, name in enumerate(world.known.items.names):
        touched, local[:, :, column] = _distinct(codes[:, :, column], real)
        rows.append(np.where(touched < 0, -1, touched + before))
        before += len(whole.item[table_of(name)])
    sizes = tuple(part.shape[1] for part in rows)
    return _Touched(torch.from_numpy(np.concatenate(rows, 1)), sizes, torch.from_numpy(local))


def _distinct(codes: I64, real: npt.NDArray[np.bool_]) -> tuple[I64, I64]:
    """The distinct codes of each row (K, T), ascending, −1 behind them; and where each code (K, C) is among them."""
    last = np.iinfo(np.int64).max
    keys = np.where(real, codes, last)
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, 1)
    fresh = np.ones(ordered.shape, np.bool_)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    fresh &= ordered != last
    rank = np.maximum(fresh.cumsum(1) - 1, 0)
    places = np.empty_like(rank)
    np.put_along_axis(places, order, rank, 1)
    found = np.full((len(codes), int(fresh.sum(1).max(initial=0))), -1)
    found[np.nonzero(fresh)[0], rank[fresh]] = ordered[fresh]
    return found, np.where(real, places, 0)


def _encode(world: World, members: I64, moved: Tensor, width: int, touched: _Touched) -> Updates:
    """Each client's own coordinates become integers; rows that it does not hold are zeros, which add nothing."""
    encoded, saturated = world.known.codecs()[0].encode(moved)
    rows = encoded[:, width:].reshape(touched.rows.numel(), -1)
    real = (touched.rows.reshape(-1) >= 0).nonzero()[:, 0]
    return Updates(
        members=members,
        query=encoded[:, :width],
        own_rows=touched.rows.reshape(-1).index_select(0, real),
        own=rows.index_select(0, real),
        counts=(touched.rows >= 0).sum(1).numpy(),
        pool_rows=torch.empty(0, dtype=torch.int64),
        pool=rows.new_empty(len(encoded), 0, rows.shape[1]),
        saturated=saturated,
    )


def _stacked(item: Weights) -> Tensor:
    """All tables of the item tower, one below the other."""
    return torch.cat(list(tables(item).values()))


def _local_tables(item: Weights, sizes: tuple[int, ...]) -> Weights:
    """Shapes of the tables as the clients of a batch hold them."""
    of_fields = tables(item).items()
    return {name: weight[:1].expand(size, -1) for (name, weight), size in zip(of_fields, sizes, strict=True)}
