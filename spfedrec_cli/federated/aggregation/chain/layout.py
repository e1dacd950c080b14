"""A whole chain by messages, each serialised and parsed as it crosses; and what they weigh without building them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import I32
from spfedrec_cli.federated.aggregation.chain.collector import Collector
from spfedrec_cli.federated.aggregation.chain.failures import Aborted
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.terms import DIGEST_BYTES, Terms
from spfedrec_cli.federated.wire import messages


@dataclass
class Exchange:
    """The sum (N,) or why there is none, and every message that crossed (one sent to n members n times)."""

    total: I32 | None = None
    aborted: Aborted | None = None
    crossed: list[messages.Message] = field(default_factory=list)

    def send(self, message: messages.Message) -> Any:
        """The message as the other side parses it."""
        self.crossed.append(message)
        return messages.parse(messages.serialise(message))


def run_chain(terms: Terms, members: Mapping[int, Member], payloads: Mapping[int, I32]) -> Exchange:
    """One attempt of one chain, all members at one table. A member without a payload falls silent before its upload."""
    collector, exchange = Collector(terms, list(members)), Exchange()
    try:
        for member in members.values():
            sealed = member.accept(exchange.send(collector.invitation()), terms.setting)
            collector.receive(member.client, exchange.send(sealed))
        commitments = collector.commitments()
        for member in members.values():
            collector.receive(member.client, exchange.send(member.reveal(exchange.send(commitments))))
        roster = collector.roster()
        for client, member in members.items():
            received = exchange.send(roster)
            if client in payloads:
                collector.receive(client, exchange.send(member.upload(received, payloads[client])))
        exchange.total = collector.total()
    except Aborted as aborted:
        exchange.aborted = aborted
    return exchange


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
