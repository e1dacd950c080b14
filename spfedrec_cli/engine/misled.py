"""Rounds in which the server departs from the protocol: it answers requests with what it likes."""

from dataclasses import dataclass, field, replace

import numpy as np

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.attacks.misled import fingerprints
from spfedrec_cli.audit.views import Misled
from spfedrec_cli.dtypes import F32
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.wire.channel import Crossing, Party
from spfedrec_cli.federated.wire.messages import Embeddings, serialise

ROUNDS, COHORT = 30, 10  # recorded, and clients in the sum of each


@dataclass
class Liar:
    """Another end of the channel: the first one to ask in a round is answered with fingerprints, all others with zeros.
    `sent` has what the former got."""

    seed: int
    victims: dict[int, Party] = field(default_factory=dict)
    sent: dict[int, F32] = field(default_factory=dict)

    def __call__(self, crossing: Crossing, data: bytes) -> bytes | None:
        answer = crossing.message
        if not isinstance(answer, Embeddings):
            return None
        if self.victims.setdefault(answer.round, crossing.receiver) != crossing.receiver:
            return serialise(replace(answer, rows=np.zeros_like(answer.rows)))
        self.sent[answer.round] = fingerprints(len(answer.rows), answer.rows.shape[1], self.seed, answer.round)
        return serialise(replace(answer, rows=self.sent[answer.round]))


def misled(reached: Reached, seed: int) -> tuple[Misled, ...]:
    """So many rounds with cohorts of COHORT; none where nobody requests anything, so that all are answered alike."""
    config = reached.world.config
    asks = config.federated.strategy == "split" and mode_of(config.request).asks
    if not asks or config.client.private_state == "tower":
        return ()
    liar, few = Liar(seed), {"cohort_size": COHORT, "sampling": "shuffled", "dropout": 0.0, "aggregation": "sum"}
    crossings = reached.record(ROUNDS, liar, **few).crossings
    asked = {(each.round, each.client): each for each in cut.requests(crossings)}
    return tuple(
        Misled(asked[each.round, int(liar.victims[each.round])], liar.sent[each.round], each)  # type: ignore[arg-type]
        for each in cut.sums(crossings)
    )
