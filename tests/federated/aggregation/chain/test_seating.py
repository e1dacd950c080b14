"""What the chain does not prevent: nobody can tell who its neighbours are."""

import numpy as np
from chaining import make_round, members, payloads
from exchanges import exchanged

from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.sources import SeededSecrets


def test_an_aggregator_that_seats_every_member_among_puppets_has_every_update() -> None:
    """Each of ten has a table of its own, whose other seats are the aggregator's, under the ids of the true members.
    Everybody follows the protocol, nobody aborts, and the sum of a table is one member's update."""
    made = make_round(np.random.default_rng(4), 10, 10)
    terms, true = made.terms[0], payloads(made, 0)
    for victim, update in true.items():
        seated = {other: Member(other, SeededSecrets(99)) for other in true} | {
            victim: members(made, 0, SeededSecrets(7))[victim]
        }
        sent = {other: np.zeros_like(update) for other in true} | {victim: update}
        np.testing.assert_array_equal(exchanged(terms, seated, sent).total, update)
