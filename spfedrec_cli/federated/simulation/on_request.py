"""Steps 2 and 3 where each client requests its own items, hidden among others: request.mode = paper."""

from dataclasses import replace

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.sampling.cohort import drop_out
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution, serve_rows
from spfedrec_cli.federated.simulation.opening import broadcast
from spfedrec_cli.federated.simulation.round import (
    Cohort,
    Published,
    Start,
    nothing_hidden,
    private_states,
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
    pool, here = draw_pool(config, q, round_), world.here(clients)
    own = world.devices.purchased.take(here)
    hidden = world.kept.memory.recall(config.request, q, here, own, world.seed, round_, config.train.threads_here)
    rows = taking_part(world, own.values, hidden.items.values, pool)
    served = serve_rows(state.server, known, rows, config.model.id_dropout)
    published = Published(round_, state.query, rows, served.embeddings, np.searchsorted(rows, pool), q)
    told = (channel.tell(broadcast(known, published), here),)
    return Start(served, replace(published, told=told), _cohort(state, world, here, own, hidden))


def without_requests(state: State, world: World, clients: I64) -> Cohort:
    """The members of the cohort that live here; V− only where they are training negatives."""
    config, here = world.config, world.here(clients)
    own, hidden = world.devices.purchased.take(here), nothing_hidden(len(here))
    if config.client.uses_own:
        q, threads = obfuscating_distribution(state.server, world.known), config.train.threads_here
        hidden = world.kept.memory.recall(config.request, q, here, own, world.seed, state.round + 1, threads)
    return _cohort(state, world, here, own, hidden)


def _cohort(state: State, world: World, here: I64, own: Ragged, hidden: Obfuscation) -> Cohort:
    dropped = drop_out(world.config.federated, here, world.seed, state.round + 1)
    return Cohort(here, own, hidden, private_states(state, world, here), dropped)
