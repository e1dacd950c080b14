"""An aggregator that departs from the protocol: it gives every member a chain of its own."""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.collusion import of_chain, rosters
from spfedrec_cli.audit.views import Upload
from spfedrec_cli.dtypes import I32
from spfedrec_cli.engine.corrupt import of_first_round, setting_of
from spfedrec_cli.federated.aggregation.chain.layout import run_chain
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.sources import KEY, SeededSecrets
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel, Crossing
from spfedrec_cli.federated.wire.messages import ChainRoster, MaskedUpdate

VICTIMS = 10


def seated_by(world: World, state: State, crossings: Sequence[Crossing]) -> tuple[Upload, ...]:
    """Of some members of chains in the first round after `state`, of which these are the crossings, what each uploads:
    the sum of a chain whose other seats are the aggregator's puppets, under the ids of its true members."""
    of_round, secrets = of_first_round(state, crossings), world.devices.secrets()
    if not any(isinstance(each.message, ChainRoster) for each in of_round):
        return ()
    sums = dict[int, I32]()
    for roster, terms in rosters(of_round, setting_of(world, state, of_round)):
        members = [int(each.sender) for each in of_round if _uploads(each, terms.chain)]  # type: ignore[arg-type]
        keys = {member: secrets.draw(member, terms.setting.round, 0, KEY) for member in members}
        for victim in members[: VICTIMS - len(sums)] if len(members) == terms.members else ():
            others = {member: key for member, key in keys.items() if member != victim}
            update = of_chain(of_round, roster, terms, others)[victim]
            table = {member: Member(member, SeededSecrets("puppets")) for member in others}
            sent = {member: np.zeros_like(update) for member in others} | {victim: update}
            total = run_chain(
                terms, table | {victim: Member(victim, secrets)}, sent, Channel(terms.setting.round)
            ).total
            assert total is not None
            sums[victim] = total
    return tuple(each for each in cut.masked(of_round, sums) if each.client in sums)


def _uploads(crossing: Crossing, chain: int) -> bool:
    return isinstance(crossing.message, MaskedUpdate) and int(crossing.message.chain[0]) == chain
