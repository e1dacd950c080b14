"""A server that departs from the protocol answers one client with fingerprints and all others with zeros.

After Pham, Kulkarni and Houmansadr, "RAIFLE: reconstruction attacks on interaction-based federated learning with
adversarial data manipulation", NDSS 2025: whoever makes the embeddings of items can make them tell what was bought.
What has no embedding moves no query tower (Pasquini, Francati and Ateniese, "Eluding secure aggregation in federated
learning via model inconsistency", 2022), so that the sum of Δθ_u is what one client answers to its fingerprints; and
where a public pool is told to all alike, that and what all do with the pool.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims, units
from spfedrec_cli.audit.views import View
from spfedrec_cli.dtypes import F32


def fingerprints(count: int, dim: int, seed: int, round_: int) -> F32:
    """What is sent in place of ṽ (count, d): directions that have nothing to do with one another."""
    drawn = np.random.default_rng([seed, round_]).normal(size=(count, dim))
    return np.asarray(units(drawn.astype(np.float32)), np.float32)


def guess(view: View) -> Guess:
    """Of each round the items that the one client asked for score by how much nearer the sum of Δθ_u takes a query to
    their fingerprint."""
    assert view.model is not None
    rounds = {each.request.client: each for each in reversed(view.misled or ())}
    chosen = [rounds[client] for client in sorted(rounds)]
    moved = [view.model.moved(each.total.query) for each in chosen]
    scores = [np.asarray(each.sent @ way, np.float64) for each, way in zip(chosen, moved, strict=True)]
    return claims([each.request for each in chosen], scores)


ATTACK = Attack(
    name="misled clients",
    party="server that cheats",
    view="sum",
    needs=("misled", "model"),
    claim="bought",
    assumption="the server sends one client of ten fingerprints for embeddings, the others zeros, and has the sum",
    guess=guess,
)
