"""The cohort as single devices that exchange real messages with the server: what the fast form must equal."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from spfedrec_cli.dtypes import I64, Bool
from spfedrec_cli.federated.aggregation.protocol import Sent, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device import client
from spfedrec_cli.federated.simulation.opening import catalogue_message, opening
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel, Role


@dataclass(frozen=True)
class Visit:
    """One device's round: where its items stand among the published rows, and what it made of them."""

    places: I64
    trained: client.Trained


_Visiting = Callable[[client.Device, client.Public, bool], Visit | None]


def train_one_by_one(world: World, published: Published, cohort: Cohort, channel: Channel) -> CohortResult:
    """Steps 2 to 6, a device at a time. (A device that falls silent before its upload would train in vain.)"""
    published = published.fetched()
    protocol = AGGREGATIONS[world.config.federated.aggregation]
    aggregation = protocol.by_messages(opening(world, published, cohort, channel))
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else cohort.private.clone()
    for place, visit in enumerate(_visits(world, published, cohort, channel, aggregation.uploads)):
        if visit is None:
            continue
        aggregation.add(uploaded(place, visit, published))
        losses[place], private = visit.trained.loss, visit.trained.private
        if kept is not None and private is not None:
            kept[place] = private
    return CohortResult(aggregation.close(), kept, losses, aggregation.uploads)


def _visits(world: World, published: Published, cohort: Cohort, channel: Channel, uploads: Bool) -> list[Visit | None]:
    """Every device's round, one after another."""
    refresh, codes = world.config.request.refresh, world.devices.fields.at(published.round).codes
    catalogue = catalogue_message(published.catalogue, published.round, refresh)
    public = client.Public(world.config, *world.known.codecs(), published.query, published.obfuscating, published.prior)
    visit, visits = _visiting(published, channel), []
    for place, member in enumerate(cohort.clients.tolist()):
        private, own = None if cohort.private is None else cohort.private[place], cohort.own.row(place)
        device = client.Device(member, cohort.keys[place], own, codes[member], private, catalogue)
        visits.append(visit(device, public, bool(uploads[place])))
    return visits


def _visiting(published: Published, channel: Channel) -> _Visiting:
    """What a device does in this round, given what all are told."""
    told = {type(message): message for message in published.told}
    broadcast, slate = told.get(messages.Broadcast), told.get(messages.PublishedSlate)
    assert isinstance(broadcast, messages.Broadcast)
    if not isinstance(slate, messages.PublishedSlate):
        return lambda *of_device: _on_request(published, broadcast, channel, *of_device)
    return lambda *of_device: _on_slate(broadcast, slate, *of_device)


def _on_request(
    published: Published,
    broadcast: messages.Broadcast,
    channel: Channel,
    device: client.Device,
    public: client.Public,
    uploads: bool,
) -> Visit | None:
    request, probabilities = client.make_request(device, public, published.round)
    asked = channel.send(request, device.client, Role.SERVER)
    places = np.searchsorted(published.rows, asked.items)
    rows = messages.Embeddings(published.round, published.embeddings.numpy()[places])
    answer = channel.send(rows, Role.SERVER, device.client)
    if not uploads:
        return None
    return Visit(places, client.train(device, public, broadcast, request, answer, probabilities))


def _on_slate(
    broadcast: messages.Broadcast,
    slate: messages.PublishedSlate,
    device: client.Device,
    public: client.Public,
    uploads: bool,
) -> Visit | None:
    if not uploads:
        return None
    return Visit(np.empty(0, np.int64), client.train_on_slate(device, public, broadcast, slate))


def uploaded(place: int, visit: Visit, published: Published) -> Updates:
    """A single upload, as the aggregation sees it, whether it crosses as it is or not."""

    def read(message: messages.Message) -> Updates:
        assert isinstance(message, messages.ClientUpdate)
        return _read(place, visit, published, message)

    update = visit.trained.update
    return replace(_read(place, visit, published, update), sent=Sent(update, read))


def _read(place: int, visit: Visit, published: Published, update: messages.ClientUpdate) -> Updates:
    asked, items = len(visit.places), torch.from_numpy(np.array(update.items))
    return Updates(
        members=np.array([place]),
        query=torch.from_numpy(np.array(update.query))[None],
        own_rows=torch.from_numpy(visit.places),
        own=items[:asked],
        counts=np.array([asked]),
        pool_rows=torch.from_numpy(published.pool),
        pool=items[asked:][None],
        saturated=visit.trained.saturated,
    )
