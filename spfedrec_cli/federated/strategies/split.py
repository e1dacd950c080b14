"""One round of SpFedRec, in the order of the paper."""

from collections.abc import Callable
from dataclasses import replace

from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.server.steps import server_step
from spfedrec_cli.federated.simulation.beginning import publish_popularity, send_first_towers
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.on_request import start_on_request
from spfedrec_cli.federated.simulation.on_slate import publish_catalogue, start_on_slate, without_target
from spfedrec_cli.federated.simulation.one_by_one import train_one_by_one
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published, kept_private
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.report import Report, gathered, report
from spfedrec_cli.federated.wire.channel import Channel

Engine = Callable[[World, Published, Cohort, Channel], CohortResult]
ENGINES: dict[str, Engine] = {"simulation": train_cohort, "reference": train_one_by_one}


def split_round(state: State, world: World, engine: Engine | None = None) -> tuple[State, Report]:
    """One round: the item tower stays on the server, the purchases stay on the devices. The clients' part is that of
    `train.engine`, unless another is given."""
    config, round_ = world.config, state.round + 1
    channel = world.channel(round_)
    state = publish_popularity(state, world, channel)
    send_first_towers(state, world, channel)

    # 1. The server draws the cohort and broadcasts θ_u, with this round's pool of public training negatives.
    clients = draw_cohort(config.federated, world.known.eligible, world.seed, round_)
    state = publish_catalogue(state, world, clients, channel)

    # 2. Each client builds its request, V+ hidden among V−; or nobody does, and a slate is drawn for all.
    # 3. The server runs the item tower on the requested rows (on the slate) only, and returns their embeddings.
    start = (start_on_request if mode_of(config.request).asks else start_on_slate)(state, world, clients, channel)

    # 4.-6. Each client trains, clips, encodes and uploads; the aggregator learns the sum.
    result = (engine or ENGINES[config.train.engine])(world, start.published, start.cohort, channel)
    sums, losses = gathered(world, clients, start.cohort, result)

    # 7. Both sums are divided by the survivors; θ_u moves along the mean Δθ_u, the mean g_v enters the item tower.
    server = server_step(state.server, world.known, start.served, sums.query, sums.items, sums.clients)
    state = replace(
        state,
        server=replace(server, round=round_),
        private=kept_private(state, world, start.cohort.clients, result.private),
    )
    return state, report(state, world, clients, sums, losses, channel, without_target(world, start, result.uploads))
