"""The cohort as single devices that exchange real messages with the server: what the fast form must equal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.aggregation.protocol import Sizes, Updates
from spfedrec_cli.federated.aggregation.table import BY_MESSAGES
from spfedrec_cli.federated.device import client
from spfedrec_cli.federated.simulation import opening as messages_of
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages

ON_REQUEST = (messages.Broadcast, messages.Request, messages.Embeddings, messages.ClientUpdate)
ON_SLATE = (messages.Broadcast, messages.PublishedSlate, messages.ClientUpdate)


@dataclass(frozen=True)
class _Visit:
    """One device's round: where its items stand among the published rows, what it made of them, what crossed."""

    places: I64
    trained: client.Trained
    crossed: tuple[messages.Message, ...]


_Visiting = Callable[[client.Device, client.Public], _Visit]


def train_one_by_one(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 2 to 6, a device at a time; message sizes as they are. (A device that drops out trains in vain.)"""
    published, kinds = published.fetched(), ON_REQUEST if published.slate is None else ON_SLATE
    visits = _visits(world, published, cohort)
    aggregation = BY_MESSAGES[world.config.federated.aggregation](messages_of.opening(world, published, cohort))
    survivors = np.flatnonzero(~cohort.dropped).tolist()
    for place in survivors:
        aggregation.add(_uploaded(place, visits[place], published))
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else cohort.private.clone()
    for place in survivors:
        losses[place], private = visits[place].trained.loss, visits[place].trained.private
        if kept is not None and private is not None:
            kept[place] = private
    sums, sizes = aggregation.close()
    crossed = _sizes(visits, kinds)
    updates = crossed.pop(messages.ClientUpdate) * ~cohort.dropped
    if messages.ClientUpdate in sizes:
        sizes[messages.ClientUpdate] = updates
    return CohortResult(sums, kept, losses, {**crossed, **sizes})


def _sizes(visits: list[_Visit], kinds: Sequence[type[messages.Message]]) -> Sizes:
    """The bytes of each device's message of every kind."""
    every = [[len(messages.serialise(message)) for message in visit.crossed] for visit in visits]
    return dict(zip(kinds, np.array(every, np.int64).reshape(-1, len(kinds)).T, strict=True))


def _visits(world: World, published: Published, cohort: Cohort) -> list[_Visit]:
    """Every device's round, one after another."""
    catalogue, codes = messages_of.catalogue(world, published), world.devices.fields.at(published.round).codes
    public = client.Public(world.config, *world.known.codecs(), published.query, published.obfuscating)
    visit, visits = _visiting(world, published), []
    for place, member in enumerate(cohort.clients.tolist()):
        private = None if cohort.private is None else cohort.private[place]
        visits.append(visit(client.Device(member, cohort.own.row(place), codes[member], private, catalogue), public))
    return visits


def _visiting(world: World, published: Published) -> _Visiting:
    """What a device does in this round, given what all are told."""
    broadcast = messages_of.broadcast(world, published)
    if published.slate is None:
        return lambda device, public: _on_request(published, broadcast, device, public)
    slate = messages_of.slate(published)
    return lambda device, public: _on_slate(broadcast, slate, device, public)


def _on_request(
    published: Published, broadcast: messages.Broadcast, device: client.Device, public: client.Public
) -> _Visit:
    request, probabilities = client.make_request(device, public, published.round)
    places = np.searchsorted(published.rows, request.items)
    answer = messages.Embeddings(published.round, published.embeddings.numpy()[places])
    trained = client.train(device, public, broadcast, request, answer, probabilities)
    return _Visit(places, trained, (broadcast, request, answer, trained.update))


def _on_slate(
    broadcast: messages.Broadcast, slate: messages.PublishedSlate, device: client.Device, public: client.Public
) -> _Visit:
    trained = client.train_on_slate(device, public, broadcast, slate)
    return _Visit(np.empty(0, np.int64), trained, (broadcast, slate, trained.update))


def _uploaded(place: int, visit: _Visit, published: Published) -> Updates:
    """A single upload, as the aggregation sees it."""
    items, asked = torch.from_numpy(visit.trained.update.items), len(visit.places)
    return Updates(
        np.array([place]),
        torch.from_numpy(visit.trained.update.query)[None],
        torch.from_numpy(visit.places),
        items[:asked],
        np.array([asked]),
        torch.from_numpy(published.pool),
        items[asked:][None],
        visit.trained.saturated,
    )
