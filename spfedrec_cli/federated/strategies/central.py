"""One round of the upper bound: the same model and loss, with all purchases in one place."""

from dataclasses import replace

import numpy as np

from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution, serve_rows, training_prior
from spfedrec_cli.federated.server.steps import step_towers
from spfedrec_cli.federated.simulation.beginning import popularity_where_needed
from spfedrec_cli.federated.simulation.on_request import without_requests
from spfedrec_cli.federated.simulation.round import CohortResult, Published, kept_private, taking_part
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies import collected
from spfedrec_cli.federated.strategies.report import Report, gathered, report

COLLECTED = (
    "federated.strategy = central collects every client's purchases in one place: nothing is private, "
    "and no message is counted"
)


def central_round(state: State, world: World) -> tuple[State, Report]:
    """One step on a minibatch of clients.

    Nothing crosses and nothing is private: the ledger stays empty, and the report says so.
    """
    config, known, round_ = world.config, world.known, state.round + 1
    nothing_crosses = world.channel(round_)
    state = popularity_where_needed(state, world, world.channel(round_))
    clients = draw_cohort(config.federated, known.eligible, world.seed, round_)
    q = obfuscating_distribution(state.server, known)
    pool = draw_pool(config, q, round_)
    cohort = without_requests(state, world, clients)

    # Forward through the item tower, then through the query tower of every client.
    rows = taking_part(world, cohort.own.values, cohort.hidden.items.values, pool)
    served = serve_rows(state.server, known, rows, config.model.id_dropout)
    places, prior = np.searchsorted(rows, pool), training_prior(state.server, known)
    published = Published(round_, state.query, rows, served.embeddings, places, q, prior)
    found = collected.gradients(world, published, cohort)
    nothing = CohortResult(Sums.zero(0, (0,), len(cohort)), found.private, found.losses, np.ones(len(cohort), np.bool_))
    sums, losses = gathered(world, clients, cohort, nothing)

    # Backward: the mean gradient by θ_u is a step like a mean Δθ_u, that by ṽ enters the item tower as a mean g_v.
    server = state.server
    if len(clients):
        delta, mean = collected.step_along(world, found, state.query, len(clients))
        server = step_towers(server, known, served, delta, mean)
    state = replace(
        state, server=replace(server, round=round_), private=kept_private(state, world, cohort.clients, found.private)
    )
    return state, replace(report(state, world, clients, sums, losses, nothing_crosses), warning=COLLECTED)
