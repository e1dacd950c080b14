"""The embeddings of all items in eight bits, which the server publishes now and then and clients keep.

A code q of dimension k stands for q · step_k, with step_k = max_j |ṽ_jk| / 127: a decoded coordinate is at most
step_k / 2 away. Since ṽ has length one, no coordinate is off by more than 1/254, and no cosine by more than half the
length of the vector of steps, √d / 254 at the most.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import FederatedConfig
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.placement import CPU, placed

LARGEST_CODE = 127


@dataclass(frozen=True)
class Catalogue:
    """As it was last published: `codes` (n_items, d) int8, and what one unit of each dimension is, `steps` (d,)."""

    codes: Tensor
    steps: Tensor

    @classmethod
    def of(cls, embeddings: Tensor) -> "Catalogue":
        """Of ṽ (n_items, d)."""
        steps = embeddings.abs().amax(0) / LARGEST_CODE
        codes = (embeddings / steps.clamp_min(1e-30)).round_().clamp_(-LARGEST_CODE, LARGEST_CODE)
        return cls(codes.to(torch.int8), steps)

    @classmethod
    def blank(cls, n_items: int, dim: int, device: torch.device = CPU) -> "Catalogue":
        """One of zeros, to be filled in."""
        return cls(torch.zeros(n_items, dim, dtype=torch.int8, device=device), torch.zeros(dim, device=device))

    def rows(self, items: I64) -> Tensor:
        """What clients take ṽ of the items to be, (n, d)."""
        return self.codes.index_select(0, placed(items, self.codes.device)).float() * self.steps


def published_at(round_: int, refresh: int) -> int:
    """The round of the last publication, up to and with this one."""
    return (round_ - 1) // refresh * refresh + 1


class Holders:
    """Which clients hold the catalogue as last published: those who took part since.

    It follows from the cohorts of those rounds, which are addressed: forgetting changes no byte of the ledger.
    """

    def __init__(self) -> None:
        self._since, self._through = 0, 0
        self._holds = np.empty(0, np.bool_)

    def lacking(
        self, federated: FederatedConfig, refresh: int, eligible: I64, clients: I64, seed: int, round_: int
    ) -> I64:
        """Those of the round's cohort `clients` that have to download the catalogue first."""
        since = published_at(round_, refresh)
        if since != self._since or self._through >= round_:
            self._since, self._through = since, since - 1
            self._holds = np.zeros(int(eligible.max(initial=0)) + 1, np.bool_)
        for earlier in range(self._through + 1, round_):
            self._holds[draw_cohort(federated, eligible, seed, earlier)] = True
        lacking = clients[~self._holds[clients]]
        self._holds[clients], self._through = True, round_
        return lacking
