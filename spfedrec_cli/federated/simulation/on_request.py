"""Steps 2 and 3 where each client requests its own items, hidden among others: request.mode = paper."""

from dataclasses import replace

import numpy as np

from spfedrec_cli.dtypes import F64, I64
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution, serve_rows, training_prior
from spfedrec_cli.federated.simulation.opening import broadcast
from spfedrec_cli.federated.simulation.round import (
    Cohort,
    Published,
    Start,
    nothing_hidden,
    private_states,
    silent_phases,
    taking_part,
)
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel


def start_on_request(state: State, world: World, clients: I64, channel: Channel) -> Start:
    """The clients that live here, out of the cohort's `clients`, request V+ ∪ V−; the server runs the item tower on
    those rows and the pool's."""
    config, known, round_ = world.config, world.known, state.round + 1
    q = obfuscating_distribution(state.server, known)
    pool, cohort = draw_pool(config, q, round_), cohort_of(state, world, clients, q)
    own, hidden = cohort.own, cohort.hidden
    rows = taking_part(world, own.values, hidden.items.values, pool)
    served = serve_rows(state.server, known, rows, config.model.id_dropout)
    places, prior = np.searchsorted(rows, pool), training_prior(state.server, known)
    published = Published(round_, state.query, rows, served.embeddings, places, q, prior)
    told = (channel.tell(broadcast(known, published), world.here(clients)),)
    return Start(served, replace(published, told=told), cohort)


def without_requests(state: State, world: World, clients: I64) -> Cohort:
    """The members of the cohort that live here; V− only where they are training negatives."""
    uses_own = world.config.client.uses_own
    return cohort_of(state, world, clients, obfuscating_distribution(state.server, world.known) if uses_own else None)


def cohort_of(state: State, world: World, clients: I64, q: F64 | None) -> Cohort:
    """Those of the cohort `clients` that live here and do not fall silent at once; V− drawn by q (n_items,), if any."""
    config, devices, here = world.config, world.devices, world.here(clients)
    silent = silent_phases(world, here, state.round + 1)
    here, silent = here[silent > Phase.REQUEST], silent[silent > Phase.REQUEST]
    own, keys, hidden = devices.purchased.take(here), devices.keys(here), nothing_hidden(len(here))
    if q is not None:
        threads, recall = config.train.threads_here, world.kept.memory.recall
        hidden = recall(config.request, q, here, keys, own, state.round + 1, threads)
    return Cohort(here, keys, own, hidden, private_states(state, world, here), silent)
