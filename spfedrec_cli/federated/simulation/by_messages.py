"""The cohort as devices that exchange real messages, for which the compiled loop trains: what `one_by_one` has, within
a unit here and there, where thousands of devices are to be recorded."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.federated.aggregation.protocol import Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device.client import Trained
from spfedrec_cli.federated.simulation.arrays import Layout
from spfedrec_cli.federated.simulation.compiled import updates_of
from spfedrec_cli.federated.simulation.one_by_one import Visit, uploaded
from spfedrec_cli.federated.simulation.opening import opening
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel, Role


def train_by_messages(world: World, published: Published, cohort: Cohort, channel: Channel) -> CohortResult:
    """Steps 2 to 6: every request, answer and upload crosses, and a device trains on what it was sent."""
    published = published.fetched()
    protocol = AGGREGATIONS[world.config.federated.aggregation]
    aggregation = protocol.by_messages(opening(world, published, cohort, channel))
    layout, losses = Layout.of(world, published, cohort, aggregation.uploads), np.zeros(len(cohort))
    candidates, orders = cohort.own.followed_by(cohort.hidden.items), [np.empty(0, np.int64)] * len(cohort)
    if published.slate is None:
        orders, rows = _exchanged(published, cohort.clients, candidates, channel)
        layout = _answered(layout, rows)
    for updates in updates_of(world, published, aggregation.uploads, layout, losses):
        for place, visit in _visits(updates, published, candidates, orders):
            aggregation.add(uploaded(place, visit, published))
    private = None if cohort.private is None else torch.from_numpy(layout.clients.private)
    return CohortResult(aggregation.close(), private, torch.from_numpy(losses), aggregation.uploads)


def _exchanged(published: Published, clients: I64, candidates: Ragged, channel: Channel) -> tuple[list[I64], F32]:
    """Of each device the order in which its request has its candidates; and what each of these was answered (n, d)."""
    embeddings, orders = published.embeddings.numpy(), list[I64]()
    rows = np.empty((len(candidates.values), embeddings.shape[1]), np.float32)
    for place, member in enumerate(clients.tolist()):
        items = candidates.row(place)
        order = np.argsort(items, kind="stable")
        asked = channel.send(messages.Request(published.round, items[order]), member, Role.SERVER)
        places = np.searchsorted(published.rows, asked.items)
        answer = messages.Embeddings(published.round, embeddings[places])
        rows[candidates.offsets[place] + order] = channel.send(answer, Role.SERVER, member).rows
        orders.append(order)
    return orders, rows


def _answered(layout: Layout, rows: F32) -> Layout:
    """The same where each candidate has the row (n, d) that its own device was sent: whoever lies may send everybody
    another one."""
    told, clients = layout.published, layout.clients
    seats = len(told.embeddings) + np.arange(len(rows), dtype=np.int32)
    published = told._replace(
        embeddings=np.concatenate([told.embeddings, rows]),
        in_pool=np.concatenate([told.in_pool, told.in_pool[clients.seats]]),
        eligible=len(told.embeddings) + len(rows),
    )
    return replace(layout, published=published, clients=clients._replace(seats=seats))


def _visits(
    updates: Updates, published: Published, candidates: Ragged, orders: list[I64]
) -> Iterator[tuple[int, Visit]]:
    """Each device of those whose updates these are, and what it sends. What was saturated is told of the first one."""
    starts, saturated = np.cumsum([0, *updates.counts]), updates.saturated
    for number, place in enumerate(updates.members.tolist()):
        order = orders[place]
        own = updates.own[starts[number] : starts[number + 1]].numpy()[order]
        rows = np.concatenate([own, updates.pool[number].numpy()])
        update = messages.ClientUpdate(published.round, updates.query[number].numpy(), rows)
        places = np.searchsorted(published.rows, candidates.row(place)[order])
        yield place, Visit(places, Trained(update, None, 0.0, saturated))
        saturated = 0
