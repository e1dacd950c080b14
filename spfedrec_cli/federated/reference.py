"""The cohort as single devices that exchange real messages with the server: what the fast form must equal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.federated import client, messages
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums, Updates
from spfedrec_cli.federated.exchange import I64, Cohort, CohortResult, Published
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.towers import flatten

ON_REQUEST = (messages.Broadcast, messages.Request, messages.Embeddings, messages.ClientUpdate)
ON_SLATE = (messages.Broadcast, messages.PublishedSlate, messages.ClientUpdate)


@dataclass(frozen=True)
class _Visit:
    """One device's round: where its items stand among the published rows, what it made of them, what crossed."""

    places: I64
    trained: client.Trained
    crossed: tuple[messages.Message, ...]


def train_one_by_one(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 2 to 6, a device at a time; message sizes as they are."""
    broadcast = _broadcast(world, published)
    told = _slate(published)
    if told is None:
        visits = [_visit(world, published, broadcast, cohort, place) for place in range(len(cohort))]
    else:
        visits = [_visit_on_slate(world, published, broadcast, cohort, place, *told) for place in range(len(cohort))]
    sums = Sums.zero(len(broadcast.query), published.shape)
    aggregate = AGGREGATIONS[world.config.federated.aggregation]
    for visit in visits:
        aggregate(sums, _uploaded(visit, published))
    losses = torch.tensor([visit.trained.loss for visit in visits], dtype=torch.float64)
    return CohortResult(sums, _kept(cohort, visits), losses, _sizes(visits, ON_REQUEST if told is None else ON_SLATE))


def _sizes(visits: list[_Visit], kinds: Sequence[type[messages.Message]]) -> dict[type[messages.Message], I64]:
    crossed = zip(*(visit.crossed for visit in visits), strict=True) if visits else [() for _ in kinds]
    sizes = ([len(messages.serialise(message)) for message in sent] for sent in crossed)
    return dict(zip(kinds, (np.array(each, np.int64) for each in sizes), strict=True))


def _broadcast(world: World, published: Published) -> messages.Broadcast:
    places = published.pool if published.slate is None else published.pool[:0]
    pool, embeddings = published.rows[places].astype(np.int32), published.embeddings.numpy()[places]
    query = flatten(published.query)[: world.shared_width].numpy()
    return messages.Broadcast(published.round, query, pool, embeddings)


def _visit(world: World, published: Published, broadcast: messages.Broadcast, cohort: Cohort, place: int) -> _Visit:
    device, public = _device(world, published, cohort, place)
    request, probabilities = client.make_request(device, public, published.round)
    places = np.searchsorted(published.rows, request.items)
    answer = messages.Embeddings(published.round, published.embeddings.numpy()[places])
    trained = client.train(device, public, broadcast, request, answer, probabilities)
    return _Visit(places, trained, (broadcast, request, answer, trained.update))


def _slate(published: Published) -> tuple[messages.PublishedSlate, messages.PublishedCatalogue | None] | None:
    """What everybody is told of the items, where nobody requests any."""
    slate, kept = published.slate, published.catalogue
    if slate is None:
        return None
    embeddings = published.embeddings.numpy()[published.pool]
    told = messages.PublishedSlate(published.round, slate.items.astype(np.int32), embeddings)
    if kept is None:
        return told, None
    return told, messages.PublishedCatalogue(published.round, kept.steps.numpy(), kept.codes.numpy().view(np.uint8))


def _visit_on_slate(
    world: World,
    published: Published,
    broadcast: messages.Broadcast,
    cohort: Cohort,
    place: int,
    slate: messages.PublishedSlate,
    catalogue: messages.PublishedCatalogue | None,
) -> _Visit:
    device, public = _device(world, published, cohort, place, catalogue)
    trained = client.train_on_slate(device, public, broadcast, slate)
    return _Visit(published.pool[:0], trained, (broadcast, slate, trained.update))


def _device(
    world: World,
    published: Published,
    cohort: Cohort,
    place: int,
    catalogue: messages.PublishedCatalogue | None = None,
) -> tuple[client.Device, client.Public]:
    member = int(cohort.clients[place])
    private = None if cohort.private is None else cohort.private[place]
    device = client.Device(member, cohort.own.row(place), world.clients.codes[member], private, catalogue)
    return device, client.Public(world.config, *world.codecs(), published.query, published.obfuscating)


def _uploaded(visit: _Visit, published: Published) -> Updates:
    """A single upload, as the aggregation sees it."""
    items, asked = torch.from_numpy(visit.trained.update.items), len(visit.places)
    return Updates(
        torch.from_numpy(visit.trained.update.query)[None],
        torch.from_numpy(visit.places),
        items[:asked],
        torch.from_numpy(published.pool),
        items[asked:][None],
        visit.trained.saturated,
    )


def _kept(cohort: Cohort, visits: list[_Visit]) -> Tensor | None:
    rows = [visit.trained.private for visit in visits]
    return (
        cohort.private if cohort.private is None or not rows else torch.stack([row for row in rows if row is not None])
    )
