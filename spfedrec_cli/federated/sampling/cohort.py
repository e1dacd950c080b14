"""Who takes part in a round: a function of (seed, round) alone."""

import math
from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from spfedrec_cli.config import FederatedConfig
from spfedrec_cli.dtypes import I64
from spfedrec_cli.kernels.draws import permuted
from spfedrec_cli.rng import distinct, uniform


def draw_cohort(federated: FederatedConfig, eligible: I64, seed: int, round_: int) -> I64:
    """C^t: ids of the cohort, ascending, out of `eligible` (ascending).

    `fixed` draws cohort_size clients without replacement (all where there are fewer); `poisson` takes each client
    with probability cohort_size / eligible, so that the size varies and may be 0; `shuffled` goes through everybody in
    a seeded order, and then again in another, so that the last cohort of a pass may be smaller.
    """
    if federated.sampling == "shuffled":
        a_pass = -(-len(eligible) // federated.cohort_size)
        number, place = divmod(round_ - 1, a_pass)
        start = place * federated.cohort_size
        places = np.arange(start, min(start + federated.cohort_size, len(eligible)))
        return eligible[np.sort(permuted(seed, "cohort/shuffled", len(eligible), places, number))]
    if federated.sampling == "poisson":
        draws = uniform(seed, "cohort/poisson", eligible, round_)
        limit = largest_cohort(federated, len(eligible))
        taken = np.flatnonzero(draws < federated.cohort_size / max(1, len(eligible)))
        return eligible[np.sort(taken[np.argsort(draws[taken], kind="stable")[:limit]])]
    return eligible[distinct(seed, "cohort/fixed", len(eligible), federated.cohort_size, round_)]


class Phase(IntEnum):
    """Where in a round a client falls silent: it has done all that comes before."""

    REQUEST = 0  # it is told, and never answers
    SEAL = 1  # before it commits itself in its chain
    REVEAL = 2  # before it opens what it has sealed
    UPLOAD = 3  # before it uploads
    AFTER = 4  # after its upload, which counts
    NEVER = 5


def fall_silent(federated: FederatedConfig, phases: Sequence[Phase], clients: I64, seed: int, round_: int) -> I64:
    """The `Phase` in which each of these clients falls silent (K,): with probability federated.dropout one of `phases`,
    each as likely, else never."""
    silent = np.full(len(clients), Phase.NEVER, np.int64)
    if federated.dropout == 0:
        return silent
    drawn = uniform(seed, "dropout", clients, round_) / federated.dropout
    lost = drawn < 1
    silent[lost] = np.array(phases, np.int64)[(drawn[lost] * len(phases)).astype(np.int64)]
    return silent


def largest_cohort(federated: FederatedConfig, eligible: int) -> int:
    """K_max, which the codec is laid out for.

    A Poisson cohort is cut at eight standard deviations above its mean (chance below 10^-11 a round), because a codec
    for everybody at once would leave a single client a few hundred steps of resolution.
    """
    size = federated.cohort_size
    if federated.sampling == "poisson":
        size += math.ceil(8 * math.sqrt(size) + 8)
    return min(eligible, size)
