"""What crosses once, before the first round that needs it."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.federated.server.publishing import clients_draw_by_popularity, needs_popularity
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel, Role
from spfedrec_cli.model.towers import flatten
from spfedrec_cli.placement import fetched


def publish_popularity(state: State, world: World, channel: Channel) -> State:
    """Item popularity, as one secure sum of training purchases or as the user gives it; and from the server to the
    clients where they draw by it, or have it in their scores."""
    if state.popularity is not None or not needs_popularity(world.config):
        return state
    given = world.known.given_popularity
    counts = summed_purchases(world, channel) if given is None else torch.from_numpy(given())
    if clients_draw_by_popularity(world.config) or world.config.model.trains_with_prior:
        told = messages.PublishedCounts(state.round + 1, counts.numpy().astype(np.int32))
        channel.tell(told, world.here(world.known.eligible))
    return replace(state, server=replace(state.server, popularity=counts))


def popularity_where_needed(state: State, world: World, channel: Channel) -> State:
    """The same for a strategy without requests: V− are drawn only to be training negatives."""
    client, model = world.config.client, world.config.model
    wanted = client.uses_own or client.pools_by_popularity or model.prior > 0
    return publish_popularity(state, world, channel) if wanted else state


def summed_purchases(world: World, channel: Channel) -> Tensor:
    """How many clients bought each item (n_items,): one message of every client that trains."""
    purchased, clients = world.devices.purchased, world.here(world.known.eligible)
    if world.config.train.engine == "simulation":
        counts = torch.bincount(torch.from_numpy(purchased.values).long(), minlength=world.n_items)
        channel.account(messages.PurchaseCounts, np.full(len(clients), messages.size([world.n_items])))
        return world.team.sum(counts)
    counts = torch.zeros(world.n_items, dtype=torch.int64)
    for client in clients.tolist():
        ones = np.zeros(world.n_items, np.int32)
        ones[purchased.row(client)] = 1
        sent = channel.send(messages.PurchaseCounts(channel.round, ones), client, Role.AGGREGATOR)
        counts += torch.from_numpy(sent.counts.astype(np.int64))
    return world.team.sum(counts)


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
