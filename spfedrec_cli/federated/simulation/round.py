"""What passes between the server's steps and the clients' in one round of the simulator."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F64, I64
from spfedrec_cli.federated.aggregation.protocol import Sizes, Sums
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation
from spfedrec_cli.federated.sampling.slate import Slate
from spfedrec_cli.federated.server.catalogue import Catalogue
from spfedrec_cli.model.towers import Weights
from spfedrec_cli.placement import fetched


@dataclass(frozen=True)
class Published:
    """What the server has for the cohort: θ_u, ṽ of the rows that take part, where the public pool lies in them.

    Where the server publishes a slate, that is the pool and lies first in the rows; behind it come, of what clients
    keep from an earlier round, the rows that they need for their histories.
    """

    round: int
    query: Weights
    rows: I64  # (R,) item ids, ascending where there is no slate
    embeddings: Tensor  # (R, d)
    pool: I64  # (M,) places in `rows`
    obfuscating: F64  # (n_items,) the distribution q that obfuscating items come from
    slate: Slate | None = None
    catalogue: Catalogue | None = None  # as last published, where clients keep one

    @property
    def summed(self) -> I64:
        """The items whose gradients are uploaded: those that take part, or the slate's alone."""
        return self.rows if self.slate is None else self.slate.items

    def fetched(self) -> "Published":
        """The same as it reaches clients, who compute on the CPU. The catalogue stays where it lies: whoever builds its
        message fetches it."""
        query = {name: fetched(weight) for name, weight in self.query.items()}
        return replace(self, query=query, embeddings=fetched(self.embeddings))


@dataclass(frozen=True)
class Cohort:
    """The devices of a round that live here, row for row: ids (K,), their purchases V+, their V−, their private state
    or None, and which of them drop out before they upload."""

    clients: I64
    own: Ragged
    hidden: Obfuscation
    private: Tensor | None  # (K, d) or (K, P)
    dropped: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.clients)


@dataclass(frozen=True)
class CohortResult:
    """Of a cohort: the aggregate, the private states that stayed on the devices, and what only a simulation sees.

    `sizes` has the bytes of each client's messages of every kind that crossed, 0 where there was none.
    """

    sums: Sums
    private: Tensor | None  # (K, d) or (K, P) in the order of the cohort
    losses: Tensor  # (K,) float64 in the order of the cohort; 0 of those that dropped out
    sizes: Sizes
