"""What crosses once, before the first round that needs it."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.data.decay import UNIT
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.federated.server.publishing import (
    clients_draw_by_popularity,
    needs_popularity,
    ranks_by_popularity,
)
from spfedrec_cli.federated.simulation.once import summed_once
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.model.towers import flatten
from spfedrec_cli.placement import fetched


def publish_popularity(state: State, world: World, channel: Channel) -> State:
    """What is public of sales, before the first round: item popularity where anybody draws by it or it is the prior,
    and a prior that decays."""
    if needs_popularity(world.config):
        state = _publish_counts(state, world, channel)
    return _publish_decayed(state, world, channel)


def popularity_where_needed(state: State, world: World, channel: Channel) -> State:
    """The same for a strategy without requests: V− are drawn only to be training negatives."""
    client = world.config.client
    drawn = needs_popularity(world.config) and (client.uses_own or client.pools_by_popularity)
    if drawn or ranks_by_popularity(world.config):
        state = _publish_counts(state, world, channel)
    return _publish_decayed(state, world, channel)


def _publish_counts(state: State, world: World, channel: Channel) -> State:
    """Item popularity, as one secure sum of training purchases or as the user gives it; and from the server to the
    clients where they draw by it, or have it in their scores."""
    if state.popularity is not None:
        return state
    given, config = world.known.given_popularity, world.config
    counts = summed_purchases(world, channel) if given is None else torch.from_numpy(given())
    if clients_draw_by_popularity(config) or (config.model.trains_with_prior and not config.decays):
        _tell_counts(counts, world, channel)
    return replace(state, server=replace(state.server, popularity=counts))


def _publish_decayed(state: State, world: World, channel: Channel) -> State:
    """Sales that are decayed by their age, likewise."""
    if state.server.decayed is not None or not world.config.decays:
        return state
    assert world.devices.decayed is not None  # made with the world
    total = summed_purchases(world, channel, world.devices.decayed())
    if world.config.model.trains_with_prior:
        _tell_counts(total, world, channel)
    return replace(state, server=replace(state.server, decayed=total))


def _tell_counts(counts: Tensor, world: World, channel: Channel) -> None:
    told = messages.PublishedCounts(channel.round, counts.numpy().astype(np.int32))
    channel.tell(told, world.here(world.known.eligible))


def summed_purchases(world: World, channel: Channel, weights: Ragged | None = None) -> Tensor:
    """How many clients bought each item (n_items,), or the sum of what these purchases count, row by row."""
    purchased, n_items = world.devices.purchased, world.n_items

    def of_one(client: int) -> I32:
        mine = np.zeros(n_items, np.int32)
        mine[purchased.row(client)] = 1 if weights is None else weights.row(client)
        return mine

    def of_all() -> I64:
        counted = None if weights is None else weights.values
        return np.bincount(purchased.values, counted, n_items).astype(np.int64)  # exact below 2^53

    decayed = weights is not None
    most = UNIT if decayed else 1
    return summed_once(world, channel, messages.PurchaseCounts, of_one, of_all, (n_items,), int(decayed), most)


def send_first_towers(state: State, world: World, channel: Channel) -> None:
    """Where every client keeps a query tower of its own: θ_u crosses once, to all who train."""
    if state.round or world.known.shared_width:
        return
    told = messages.FirstTower(channel.round, fetched(flatten(state.query)).numpy())
    channel.tell(told, world.here(world.known.eligible))


def send_fields(state: State, world: World, channel: Channel) -> None:
    """Before the first round of `full`, and before any that changes them: the fields of all items, to all who train."""
    items = world.known.items
    if len(items.names) == 1 or (
        state.round and torch.equal(items.at(channel.round).codes, items.at(state.round).codes)
    ):
        return
    channel.tell(item_fields(world, channel.round), world.here(world.known.eligible))


def item_fields(world: World, round_: int) -> messages.ItemFields:
    """The codes of all items but their ids."""
    return messages.ItemFields(round_, fetched(world.known.items.at(round_).codes[:, 1:]).numpy().astype(np.int32))
