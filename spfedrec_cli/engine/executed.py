"""What a round would weigh if its sum were made by the secret-sharing chain: `sum` is the ideal functionality, whose
bytes are those of no protocol."""

from collections.abc import Mapping
from dataclasses import replace

from spfedrec_cli.federated.aggregation.chain.ring import account_chains
from spfedrec_cli.federated.aggregation.chain.terms import FEWEST
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.simulation.on_request import start_on_request
from spfedrec_cli.federated.simulation.on_slate import publish_catalogue, start_on_slate
from spfedrec_cli.federated.simulation.opening import account_requests, opening
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import Kept, World


def beside_ideal(world: World, state: State) -> Mapping[str, float]:
    """`bytes_in_chains` of a training whose sums are those of the ideal functionality; of any other nothing, and of one
    by several processes neither, as each has a part of the cohort alone."""
    is_ideal = world.config.federated.aggregation == "sum" and world.team.size == 1
    return bytes_in_chains(world, state) if is_ideal else {}


def bytes_in_chains(world: World, state: State) -> Mapping[str, float]:
    """Mean bytes of a client, "up" and "down", in the round after `state`, in chains of `federated.chain_length`;
    nothing where no chain can be made. Nobody trains for it."""
    config, round_ = world.config, state.round + 1
    if config.federated.strategy != "split" or min(config.federated.cohort_size, len(world.known.eligible)) < FEWEST:
        return {}
    ring = config.model_copy(update={"federated": config.federated.model_copy(update={"aggregation": "ring"})})
    world = replace(world, known=replace(world.known, config=ring), kept=Kept())
    channel, clients = world.channel(round_), draw_cohort(ring.federated, world.known.eligible, world.seed, round_)
    start = start_on_request if mode_of(ring.request).asks else start_on_slate
    begun = start(publish_catalogue(state, world, clients, channel), world, clients, channel)
    account_requests(begun.published, begun.cohort, channel)
    account_chains(opening(world, begun.published.fetched(), begun.cohort, channel))
    return {way: channel.ledger().total(way) / max(1, len(clients)) for way in ("up", "down")}
