"""A cohort as the arrays that the compiled loop over clients takes: what `client.py` lays out for one device."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32, I64, Bool
from spfedrec_cli.federated.device.client import TARGETS, kinds, logq_share, target_counts
from spfedrec_cli.federated.sampling.pool import chance_of
from spfedrec_cli.federated.simulation.compilable import COMPILED
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.kernels import clients as kernel
from spfedrec_cli.kernels import descent, history, losses
from spfedrec_cli.kernels.candidates import lay_side_by_side
from spfedrec_cli.kernels.tower import Tower
from spfedrec_cli.model.towers import dense, flatten, tables


@dataclass(frozen=True)
class Layout:
    """All that the loop reads, but for where uploads go."""

    tower: Tower
    settings: kernel.Settings
    published: kernel.Published
    clients: kernel.Clients

    @classmethod
    def of(cls, world: World, published: Published, cohort: Cohort, trains: Bool) -> "Layout":
        """Of a cohort, those of whom train (K,)."""
        seats = _seats(world, published)
        laid_out = _published(world, published), _clients(world, published, cohort, seats, trains)
        return cls(COMPILED[world.config.model.query_tower](published.query), _settings(world), *laid_out)

    def room(self) -> kernel.Room:
        """For one thread."""
        batch, most = self.settings.batch_size, int(self.clients.targets.max(initial=0))
        several = self.settings.epochs > 1 or 0 < batch < most
        candidates = int(np.diff(self.clients.starts).max(initial=0))
        return kernel.make_room(self.tower, self.published.dense, candidates, self.published.pool.shape, several)


def _settings(world: World) -> kernel.Settings:
    client, model = world.config.client, world.config.model
    codec_query, codec_item = world.known.codecs()
    f32 = np.float32
    rule = descent.Rule(
        descent.NUMBERS[client.optimizer],
        *(f32(value) for value in (client.lr, client.momentum, client.beta1, client.beta2, client.eps)),
    )
    return kernel.Settings(
        rule=rule,
        loss=losses.NUMBERS[client.loss],
        history=history.NUMBERS[model.history],
        half_life=f32(model.half_life),
        temperature=f32(model.temperature),
        epochs=client.local_epochs,
        batch_size=client.batch_size,
        private_lr=f32(client.private_lr),
        own_tower=client.private_state == "tower",
        twice=client.uses_own,
        scale_query=f32(codec_query.scale),
        scale_item=f32(codec_item.scale),
        limit=f32(codec_query.qmax),
    )


def _published(world: World, published: Published) -> kernel.Published:
    embeddings, flat = published.embeddings.numpy(), flatten(published.query).numpy()
    in_pool = np.full(len(published.rows), -1, np.int32)
    in_pool[published.pool] = np.arange(len(published.pool))
    return kernel.Published(
        embeddings=embeddings,
        pool=embeddings[published.pool],
        offsets=_expected_of_pool(world, published) - published.prior[published.rows[published.pool]],
        in_pool=in_pool,
        eligible=len(published.rows) if published.slate is None else len(published.slate.items),
        query=flat,
        dense=sum(weight.numel() for weight in dense(published.query).values()),
        round=np.uint64(published.round),
        stream=TARGETS,
    )


def _expected_of_pool(world: World, published: Published) -> F32:
    """(M,) the log of the expected number of each item of the pool. In a slate targets are drawn as negatives are, and
    nothing is to be corrected."""
    if published.slate is not None:
        return np.zeros(len(published.pool), np.float32)
    chance = chance_of(world.config.client, published.obfuscating, published.rows[published.pool])
    logs = logq_share(world.config.client) * np.log(np.broadcast_to(chance, len(published.pool)))
    return np.asarray(logs, np.float32)


def _clients(world: World, published: Published, cohort: Cohort, seats: I32, trains: Bool) -> kernel.Clients:
    client, own, hidden = world.config.client, cohort.own, cohort.hidden
    shares = logq_share(client) * np.log(kinds(client, hidden.items.lengths)) * (published.slate is None)
    starts, count = own.offsets + hidden.items.offsets, len(own.values) + len(hidden.inclusion)
    offsets, places = np.empty(count, np.float32), np.empty(count, np.int32)
    logs = np.log(hidden.inclusion) if client.uses_own and logq_share(client) else np.empty(0)
    flat = own.offsets, own.values, hidden.items.offsets, hidden.items.values
    lay_side_by_side(*flat, logs, shares, published.prior, seats, places, offsets)
    nothing = torch.zeros(1, 0)
    return kernel.Clients(
        keys=cohort.keys,
        fields=_field_starts(world, published, cohort.clients),
        starts=starts,
        bought=own.lengths,
        seats=places,
        offsets=offsets,
        pool_offset=shares.astype(np.float32),
        targets=_target_numbers(world, published, own) * trains,
        private=(nothing if cohort.private is None else cohort.private.clone()).numpy(),
    )


def _target_numbers(world: World, published: Published, own: Ragged) -> I64:
    """(K,) targets of an epoch: the share of a client's purchases, but no more than lie in the slate."""
    wanted = target_counts(world.config.client.target_share, own.lengths)
    if published.slate is None:
        return wanted
    return np.minimum(wanted, published.slate.holds(own, world.n_items))


def _seats(world: World, published: Published) -> I32:
    """(n_items,) where the embedding of each item is; whatever of those that do not take part."""
    seats = np.zeros(world.n_items, np.int32)
    seats[published.rows] = np.arange(len(published.rows), dtype=np.int32)
    return seats


def _field_starts(world: World, published: Published, clients: I64) -> I64:
    """(K, F) where the rows of the clients' fields begin in the tables, which lie end to end."""
    of_fields = list(tables(published.query).values())
    codes = world.devices.fields.at(published.round).codes.numpy()[clients]
    if not of_fields:
        return codes[:, :0]
    first = np.array([0, *itertools.accumulate(table.numel() for table in of_fields[:-1])])
    return np.asarray(codes * of_fields[0].shape[1] + first, np.int64)
