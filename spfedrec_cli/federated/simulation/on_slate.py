"""Steps 2 and 3 where nobody requests anything and the server publishes the same to everybody: request.mode = slate, or
catalogue, whose slate is all items."""

from dataclasses import replace

import numpy as np
import torch

from spfedrec_cli.dtypes import I64, Bool
from spfedrec_cli.federated.server.publishing import (
    draw_slate,
    keeps_catalogue,
    refreshed_catalogue,
    serve_rows,
    training_prior,
)
from spfedrec_cli.federated.simulation.on_request import cohort_of
from spfedrec_cli.federated.simulation.opening import broadcast, catalogue_message, slate_message
from spfedrec_cli.federated.simulation.round import Published, Start
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel


def start_on_slate(state: State, world: World, clients: I64, channel: Channel) -> Start:
    """The server runs the item tower on the slate and tells everybody; what else a client bought it looks up in the
    catalogue that it keeps."""
    config, known, round_ = world.config, world.known, state.round + 1
    slate, cohort = draw_slate(state.server, known, world.kept.rotation), cohort_of(state, world, clients, None)
    served = serve_rows(state.server, known, slate.items, config.model.id_dropout)
    others = np.setdiff1d(cohort.own.values, slate.items).astype(np.int64)
    nobody_keeps_it = torch.zeros(len(others), config.model.dim, device=known.device)
    kept = nobody_keeps_it if state.catalogue is None else state.catalogue.rows(others)
    rows, embeddings = np.concatenate([slate.items, others]), torch.cat([served.embeddings, kept])
    laws = np.arange(len(slate.items)), np.empty(0), training_prior(state.server, known)
    published = Published(round_, state.query, rows, embeddings, *laws, slate, state.catalogue)
    here = world.here(clients)
    told = tuple(channel.tell(each, here) for each in (broadcast(known, published), slate_message(published)))
    return Start(served, replace(published, told=told), cohort)


def publish_catalogue(state: State, world: World, clients: I64, channel: Channel) -> State:
    """Before the round: the embeddings of all items anew where that is due, and a download for each of the cohort's
    `clients` that does not hold the last ones."""
    config = world.config
    if not keeps_catalogue(config):
        return state
    state = replace(state, server=refreshed_catalogue(state.server, world.known))
    eligible, refresh = world.known.eligible, config.request.refresh
    lacking = world.kept.holders.lacking(config.federated, refresh, eligible, clients, world.seed, state.round + 1)
    message = catalogue_message(state.catalogue, state.round + 1, refresh)
    if message is not None and len(lacking):
        channel.tell(message, world.here(lacking))
    return state


def without_target(world: World, start: Start, uploads: Bool) -> int:
    """How many clients of the whole cohort have no purchase in the slate, and so upload zeros."""
    slate, cohort = start.published.slate, start.cohort
    if slate is None:
        return 0
    lacking = np.count_nonzero((slate.holds(cohort.own, world.n_items) == 0) & uploads)
    return int(world.team.sum(torch.tensor([lacking])))
