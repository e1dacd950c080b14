"""Which clients a training ever asked: cohorts are functions of the seed and the round, so they can be drawn again."""

import numpy as np

from spfedrec_cli.dtypes import Bool
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.simulation.world import World

MOST_DRAWS = 100_000_000  # under a minute
_EVERY = 64  # rounds between two looks whether everybody has been drawn

UNTOLD = (
    "Which customers were never trained is not told: to draw the cohorts of all {rounds:,} rounds again takes minutes"
)


def ever_drawn(world: World, n_clients: int, rounds: int) -> Bool | None:
    """(n_clients,): who was in a cohort of rounds 1 to `rounds`; None where MOST_DRAWS would not tell.

    A client that fell silent in its rounds counts as drawn.
    """
    federated, eligible = world.config.federated, world.known.eligible
    a_round = len(eligible) if federated.sampling == "poisson" else min(federated.cohort_size, len(eligible))
    if a_round * rounds > MOST_DRAWS:
        return None
    drawn = np.zeros(n_clients, np.bool_)
    for round_ in range(1, rounds + 1):
        drawn[draw_cohort(federated, eligible, world.seed, round_)] = True
        if round_ % _EVERY == 0 and drawn[eligible].all():
            break
    return drawn
