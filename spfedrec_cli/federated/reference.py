"""The cohort as single devices that exchange real messages with the server: what the fast form must equal."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.federated import client, messages
from spfedrec_cli.federated.aggregation import BY_MESSAGES
from spfedrec_cli.federated.exchange import I64, Cohort, CohortResult, Published
from spfedrec_cli.federated.opening import broadcast as broadcast_of
from spfedrec_cli.federated.opening import opening
from spfedrec_cli.federated.state import World
from spfedrec_cli.federated.sums import Sizes, Updates
from spfedrec_cli.placement import fetched, placed

CROSSED = (messages.Broadcast, messages.Request, messages.Embeddings, messages.ClientUpdate)


@dataclass(frozen=True)
class _Visit:
    """One device's round: where its items stand among the published rows, what it made of them, what crossed."""

    places: I64
    trained: client.Trained
    crossed: tuple[messages.Message, ...]


def train_one_by_one(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 2 to 6, a device at a time; message sizes as they are. (A device that drops out trains in vain.)"""
    published, codes = _on_cpu(published), _codes(world, cohort)
    broadcast = broadcast_of(world, published)
    visits = [_visit(world, published, broadcast, cohort, codes, place) for place in range(len(cohort))]
    aggregation = BY_MESSAGES[world.config.federated.aggregation](opening(world, published, cohort))
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
    crossed: Sizes = {kind: _bytes_of(visits, number) for number, kind in enumerate(CROSSED)}
    updates = crossed.pop(messages.ClientUpdate) * ~cohort.dropped
    if messages.ClientUpdate in sizes:
        sizes[messages.ClientUpdate] = updates
    return CohortResult(sums, kept, losses, {**crossed, **sizes})


def _bytes_of(visits: list[_Visit], number: int) -> I64:
    """Of each device's message of one kind."""
    return np.array([len(messages.serialise(visit.crossed[number])) for visit in visits], np.int64)


def _on_cpu(published: Published) -> Published:
    """A phone has no part of the simulator's GPU."""
    return replace(published, embeddings=fetched(published.embeddings))


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
