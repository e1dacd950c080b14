"""The cohort as single devices that exchange real messages with the server: what the fast form must equal."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.federated import client, messages
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums, Updates
from spfedrec_cli.federated.exchange import I64, Cohort, CohortResult, Published
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.towers import flatten
from spfedrec_cli.placement import fetched, placed

CROSSED = (messages.Broadcast, messages.Request, messages.Embeddings, messages.ClientUpdate)


@dataclass(frozen=True)
class _Visit:
    """One device's round: where its items stand among the published rows, what it made of them, what crossed."""

    places: I64
    trained: client.Trained
    crossed: tuple[messages.Message, ...]


def train_one_by_one(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 2 to 6, a device at a time; message sizes as they are."""
    published, codes = _on_cpu(published), _codes(world, cohort)
    broadcast = _broadcast(world, published)
    visits = [_visit(world, published, broadcast, cohort, codes, place) for place in range(len(cohort))]
    sums = Sums.zero(len(broadcast.query), published.embeddings.shape)
    aggregate = AGGREGATIONS[world.config.federated.aggregation]
    for visit in visits:
        aggregate(sums, _uploaded(visit, published))
    losses = torch.tensor([visit.trained.loss for visit in visits], dtype=torch.float64)
    return CohortResult(sums, _kept(cohort, visits), losses, _sizes(visits))


def _sizes(visits: list[_Visit]) -> dict[type[messages.Message], I64]:
    crossed = zip(*(visit.crossed for visit in visits), strict=True) if visits else [() for _ in CROSSED]
    sizes = ([len(messages.serialise(message)) for message in sent] for sent in crossed)
    return dict(zip(CROSSED, (np.array(each, np.int64) for each in sizes), strict=True))


def _broadcast(world: World, published: Published) -> messages.Broadcast:
    pool = published.rows[published.pool].astype(np.int32)
    embeddings = published.embeddings.numpy()[published.pool]
    query = flatten(published.query)[: world.shared_width].numpy()
    return messages.Broadcast(published.round, query, pool, embeddings)


def _on_cpu(published: Published) -> Published:
    """A phone has no part of the simulator's GPU."""
    query = {name: fetched(weight) for name, weight in published.query.items()}
    return replace(published, query=query, embeddings=fetched(published.embeddings))


def _codes(world: World, cohort: Cohort) -> Tensor:
    return fetched(world.clients.codes.index_select(0, placed(cohort.clients, world.device)))


def _visit(
    world: World, published: Published, broadcast: messages.Broadcast, cohort: Cohort, codes: Tensor, place: int
) -> _Visit:
    member = int(cohort.clients[place])
    private = None if cohort.private is None else cohort.private[place]
    device = client.Device(member, cohort.own.row(place), codes[place], private)
    public = client.Public(world.config, *world.codecs(), published.query, published.obfuscating)
    request, probabilities = client.make_request(device, public, published.round)
    places = np.searchsorted(published.rows, request.items)
    answer = messages.Embeddings(published.round, published.embeddings.numpy()[places])
    trained = client.train(device, public, broadcast, request, answer, probabilities)
    return _Visit(places, trained, (broadcast, request, answer, trained.update))


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
