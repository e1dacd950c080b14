"""A whole chain by messages, each serialised and parsed as it crosses; and what they weigh without building them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import I32
from spfedrec_cli.federated.aggregation.chain.collector import Collector
from spfedrec_cli.federated.aggregation.chain.failures import Aborted
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.terms import DIGEST_BYTES, Terms
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel, Role


@dataclass(frozen=True)
class Outcome:
    """The sum (N,) of a chain, or why there is none."""

    total: I32 | None = None
    aborted: Aborted | None = None


def run_chain(
    terms: Terms,
    members: Mapping[int, Member],
    payloads: Mapping[int, I32],
    channel: Channel,
    silent: Mapping[int, int] | None = None,
) -> Outcome:
    """One attempt of one chain, all members at one table. `silent` has the `Phase` in which a member falls silent, if
    any; one without a payload does so before its upload."""
    silent = silent or {}
    collector = Collector(terms, list(members))
    try:
        for client, member in members.items():
            invitation = channel.send(collector.invitation(), Role.AGGREGATOR, client)
            if silent.get(client, Phase.NEVER) > Phase.SEAL:
                sealed = member.accept(invitation, terms.setting)
                collector.receive(client, channel.send(sealed, client, Role.AGGREGATOR))
        commitments = collector.commitments()
        for client, member in members.items():
            received = channel.send(commitments, Role.AGGREGATOR, client)
            if silent.get(client, Phase.NEVER) > Phase.REVEAL:
                collector.receive(client, channel.send(member.reveal(received), client, Role.AGGREGATOR))
        roster = collector.roster()
        for client, member in members.items():
            listed = channel.send(roster, Role.AGGREGATOR, client)
            if client in payloads:
                masked = member.upload(listed, payloads[client])
                collector.receive(client, channel.send(masked, client, Role.AGGREGATOR))
        return Outcome(total=collector.total())
    except Aborted as aborted:
        return Outcome(aborted=aborted)


Count = int | npt.NDArray[np.integer]


def message_sizes(members: Count, union: Count, length: Count) -> dict[type[messages.Message], Any]:
    """Bytes of each kind of message to or from one member of a chain of so many members, items in its union, and
    coordinates in its payload (or of one member each of many chains)."""
    sizes = messages.size
    return {
        messages.ChainInvitation: sizes([2, 1, union]),
        messages.ChainCommitment: sizes([2], [DIGEST_BYTES]),
        messages.ChainCommitments: sizes([2, members], [members * DIGEST_BYTES]),
        messages.ChainReveal: sizes([2], [DIGEST_BYTES, DIGEST_BYTES]),
        messages.ChainRoster: sizes([2], [members * DIGEST_BYTES, members * DIGEST_BYTES]),
        messages.MaskedUpdate: sizes([2, length]),
    }
