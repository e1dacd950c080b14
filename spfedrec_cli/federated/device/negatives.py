"""Training negatives of many clients side by side: what `client.training_negatives` lays out for one device."""

import numpy as np

from spfedrec_cli.config import ClientConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I64
from spfedrec_cli.federated.device.client import kinds, logq_share
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation


def side_by_side(
    client: ClientConfig, own: Ragged, hidden: Obfuscation, pool: I64, chance: F64, prior: F32
) -> tuple[I64, F32]:
    """V− of K clients, where they are negatives, padded with −1 (K, H); and what the score of each negative loses
    (K, H + M), V− first and then the pool (M,): the log of its expected number less its prior, inf where there is none,
    or where the client bought it.

    `chance` () or (M,) is that of an item of the pool, `prior` (n_items,) that of all. There is a column at least.
    """
    logq, shares = logq_share(client), np.log(kinds(client, hidden.items.lengths))
    width = int(hidden.items.lengths.max(initial=0)) if client.uses_own else 0
    width = max(width, int(not len(pool)))
    negatives = np.full((len(own), width), -1)
    expected = np.full((len(own), width + len(pool)), np.inf)
    if client.uses_own:
        row, place = hidden.items.row_index(), hidden.items.position()
        negatives[row, place] = hidden.items.values
        expected[row, place] = logq * (np.log(hidden.inclusion) + shares[row])
    if len(pool):
        expected[:, width:] = logq * (np.log(chance) + shares[:, None])
        seat = np.full(len(prior), -1)
        seat[pool] = np.arange(len(pool))
        hits = seat[own.values]
        expected[own.row_index()[hits >= 0], width + hits[hits >= 0]] = np.inf
    every = np.concatenate([negatives, np.broadcast_to(pool, (len(own), len(pool)))], 1)
    return negatives, expected.astype(np.float32) - prior[every]
