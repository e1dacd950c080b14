"""One round of the paper's baseline, FedAvg of the whole two-tower: clients embed items themselves."""

from collections.abc import Callable
from dataclasses import replace

from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution, training_prior
from spfedrec_cli.federated.server.steps import full_step
from spfedrec_cli.federated.simulation.beginning import popularity_where_needed, send_fields
from spfedrec_cli.federated.simulation.on_request import without_requests
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, kept_private
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies import whole_client, whole_cohort
from spfedrec_cli.federated.strategies.report import Report, gathered, report
from spfedrec_cli.federated.strategies.whole_client import Whole, whole_model
from spfedrec_cli.federated.wire.channel import Channel

FullEngine = Callable[[World, Whole, Cohort, Channel], CohortResult]
FULL_ENGINES: dict[str, FullEngine] = {
    "simulation": whole_cohort.train_cohort,
    "reference": whole_client.train_one_by_one,
}


def full_round(state: State, world: World) -> tuple[State, Report]:
    """Clients request nothing: they have both towers."""
    config, round_ = world.config, state.round + 1
    channel = world.channel(round_)
    state = popularity_where_needed(state, world, channel)
    send_fields(state, world, channel)

    # 1. The server draws the cohort and broadcasts both towers, and which items are the public training negatives.
    clients = draw_cohort(config.federated, world.known.eligible, world.seed, round_)
    q = obfuscating_distribution(state.server, world.known)
    public = draw_pool(config, q, round_), q, training_prior(state.server, world.known)
    whole = Whole(round_, state.query, state.item, *public)
    whole = replace(whole, told=channel.tell(whole_model(whole), world.here(clients)))

    # 4.-6. Each client embeds its candidates, trains both towers, clips, encodes and uploads.
    cohort = without_requests(state, world, clients)
    result = FULL_ENGINES[config.train.engine](world, whole, cohort, channel)
    sums, losses = gathered(world, clients, cohort, result)

    # 7. The sum is divided by the survivors; both towers move along the mean Δ by the server's optimiser.
    server = full_step(state.server, world.known, sums.query, sums.items, sums.clients)
    state = replace(
        state, server=replace(server, round=round_), private=kept_private(state, world, cohort.clients, result.private)
    )
    return state, report(state, world, clients, sums, losses, channel)
