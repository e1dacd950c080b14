"""A chain by its messages, all of which are kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from spfedrec_cli.dtypes import I32
from spfedrec_cli.federated.aggregation.chain.failures import Aborted
from spfedrec_cli.federated.aggregation.chain.layout import run_chain
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.terms import Terms
from spfedrec_cli.federated.wire.channel import Channel, Recorder
from spfedrec_cli.federated.wire.messages import Message


@dataclass(frozen=True)
class Exchange:
    """What a chain came to, and every message that crossed (one sent to n members n times)."""

    total: I32 | None
    aborted: Aborted | None
    crossed: list[Message]


def exchanged(terms: Terms, members: Mapping[int, Member], payloads: Mapping[int, I32]) -> Exchange:
    recorder = Recorder()
    outcome = run_chain(terms, members, payloads, Channel(terms.setting.round, ends=(recorder,)))
    return Exchange(outcome.total, outcome.aborted, [each.message for each in recorder.crossings])
