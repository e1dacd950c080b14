"""Customers who work with the aggregator, and what they hand it in a recorded round."""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.audit.collusion import opened
from spfedrec_cli.audit.views import Upload
from spfedrec_cli.config import digest
from spfedrec_cli.dtypes import I32
from spfedrec_cli.federated.aggregation.chain.sources import KEY, simulated_run
from spfedrec_cli.federated.aggregation.chain.terms import Setting, broadcast_digest
from spfedrec_cli.federated.simulation.opening import catalogue_message
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Crossing
from spfedrec_cli.federated.wire.messages import Broadcast, Message, PublishedCatalogue, PublishedSlate
from spfedrec_cli.rng import distinct


def exposed(clients: int, share: float) -> float:
    """How many clients of a round sit between two corrupt ones, on average: K (1 − f) f²."""
    return clients * (1 - share) * share**2


def opened_by(world: World, state: State, crossings: Sequence[Crossing], share: float, seed: int) -> tuple[Upload, ...]:
    """The updates that a share of the clients, drawn by the seed, opens together with the aggregator in the first round
    after `state`, of which these are the crossings."""
    of_round = of_first_round(state, crossings)
    if not any(isinstance(each.message, messages.ChainRoster) for each in of_round):
        return ()
    eligible, secrets = world.known.eligible, world.devices.secrets()
    corrupt = eligible[distinct(seed, "audit/corrupt", len(eligible), round(share * len(eligible)))]
    keys = {client: secrets.draw(client, state.round + 1, 0, KEY) for client in corrupt.tolist()}
    return opened(of_round, setting_of(world, state, of_round), keys)


def of_first_round(state: State, crossings: Sequence[Crossing]) -> list[Crossing]:
    """Of the round after `state`, with the catalogue that its clients keep."""
    return [each for each in crossings if each.message.round == state.round + 1 or _is_catalogue(each.message)]


def setting_of(world: World, state: State, of_round: Sequence[Crossing]) -> Setting:
    """What every member of a chain knows by itself."""
    told, round_ = _told(world, state, [each.message for each in of_round]), state.round + 1
    broadcast = next(each for each in told if isinstance(each, Broadcast))
    pool: I32 = next((each.items for each in told if isinstance(each, PublishedSlate)), broadcast.pool_items)
    codec_query, codec_item = world.known.codecs()
    return Setting(
        run=simulated_run(world.seed),
        round=round_,
        range_query=codec_query.limit,
        range_item=codec_item.limit,
        qmax=codec_query.qmax,
        query=len(broadcast.query),
        dim=world.config.model.dim,
        pool=np.asarray(pool, np.int32),
        broadcast=broadcast_digest(*told),
        settings=digest(world.config),
    )


def _told(world: World, state: State, crossed: Sequence[Message]) -> list[Message]:
    """What all members were told alike, in its order; the catalogue may be from a round before."""
    found: list[Message | None] = [
        next((each for each in crossed if isinstance(each, kind)), None)
        for kind in (Broadcast, PublishedSlate, PublishedCatalogue)
    ]
    if found[2] is None:
        found[2] = catalogue_message(state.catalogue, state.round + 1, world.config.request.refresh)
    return [each for each in found if each is not None]


def _is_catalogue(message: Message) -> bool:
    return isinstance(message, PublishedCatalogue)
