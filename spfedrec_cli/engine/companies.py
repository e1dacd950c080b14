"""What is seen of customers by the company that they are in: sums of popularity, and unions of a chain's requests."""

from dataclasses import replace

import numpy as np

from spfedrec_cli.audit.views import Counted, Request, Union
from spfedrec_cli.dtypes import I64
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.federated.aggregation.chain.ring import companies
from spfedrec_cli.federated.aggregation.chain.terms import FEWEST
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.sampling.obfuscation import draw_obfuscating
from spfedrec_cli.federated.server.publishing import obfuscating_distribution
from spfedrec_cli.federated.simulation.on_request import start_on_request
from spfedrec_cli.federated.simulation.once import counted_together
from spfedrec_cli.federated.simulation.opening import opening
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World

MEETINGS = 8  # rounds whose unions are intersected


def counted(world: World, reached: Reached, state: State) -> tuple[Counted, ...]:
    """Of everybody who trains, with the requests of the next round of those who are looked at; none where popularity
    is no sum, or nobody requests anything."""
    if not _asks(world) or state.popularity is None or world.known.given_popularity is not None:
        return ()
    looked_at, q = reached.world.known.eligible, obfuscating_distribution(state.server, world.known)
    round_, nothing = state.round + 1, np.empty((0, world.config.model.dim), np.float32)

    def of_group(clients: I64) -> Counted:
        own, keys = world.devices.purchased.take(clients), world.devices.keys(clients)
        asked = own.followed_by(draw_obfuscating(world.config.request, q, keys, own, round_).items)
        buyers, askers = (np.bincount(each.values, minlength=world.n_items) for each in (own, asked))
        shown = np.flatnonzero(np.isin(clients, looked_at)).tolist()
        requests = (Request(int(clients[row]), round_, np.sort(asked.row(row)), nothing) for row in shown)
        return Counted(buyers, askers, tuple(requests))

    return tuple(of_group(clients) for clients in counted_together(world))


def unions(reached: Reached, state: State) -> tuple[Union, ...]:
    """Of the chains of so many rounds from `state` on; none where no chain can be made, or nobody requests anything."""
    following = reached.following(aggregation="ring", dropout=0.0).world
    if not _asks(following) or min(following.config.federated.cohort_size, len(following.known.eligible)) < FEWEST:
        return ()
    found = list[Union]()
    for round_ in range(state.round, state.round + MEETINGS):
        at = replace(state, server=replace(state.server, round=round_))
        clients = draw_cohort(following.config.federated, following.known.eligible, following.seed, round_ + 1)
        channel = following.channel(round_ + 1)
        begun = start_on_request(at, following, clients, channel)
        found += [Union(*each) for each in companies(opening(following, begun.published, begun.cohort, channel))]
    return tuple(found)


def _asks(world: World) -> bool:
    return world.config.federated.strategy == "split" and mode_of(world.config.request).asks
