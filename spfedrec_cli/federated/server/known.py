"""What the server knows of a training, before it begins and while it lasts."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.sampling.cohort import largest_cohort
from spfedrec_cli.federated.wire.fixed_point import Codec, quantum_limit
from spfedrec_cli.model.features import Features
from spfedrec_cli.placement import CPU


@dataclass(frozen=True)
class Known:
    """Settings, the catalogue, and who may be asked: what functions of the server are given beside its state.

    `client_fields` has names and sizes of the clients' fields and no row, since whose field has which value lies on the
    devices; `eligible` the ids of all clients that have any training purchase, ascending. `team`: the processes that
    share the server's work, and `device` where it computes: towers, moments and the fields of items lie there.
    """

    config: Settings
    items: Features
    client_fields: Features
    eligible: I64
    width: int  # P, the number of weights in θ_u
    team: Team = ALONE
    device: torch.device = CPU
    given_popularity: Callable[[], I64] | None = field(default=None, compare=False, repr=False)  # (n_items,)

    @property
    def seed(self) -> int:
        """Of public draws."""
        return self.config.train.seed

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def shared_width(self) -> int:
        """Weights of θ_u that cross: none where every client keeps a tower of its own."""
        return 0 if self.config.client.private_state == "tower" else self.width

    def codecs(self) -> tuple[Codec, Codec]:
        """For Δθ_u and for g_v; their scales differ."""
        federated = self.config.federated
        qmax = quantum_limit(largest_cohort(federated, len(self.eligible)))
        return Codec(federated.range_query, qmax), Codec(federated.range_item, qmax)
