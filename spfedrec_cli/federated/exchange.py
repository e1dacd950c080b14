"""What passes between the server's steps and the clients' in one round of the simulator."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.request import Obfuscation
from spfedrec_cli.federated.sums import Sizes, Sums
from spfedrec_cli.model.towers import Weights

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Published:
    """What the server has for the cohort: θ_u, ṽ of the rows that take part, where the public pool lies in them."""

    round: int
    query: Weights
    rows: I64  # (R,) item ids, ascending
    embeddings: Tensor  # (R, d)
    pool: I64  # (M,) places in `rows`
    obfuscating: F64  # (n_items,) the distribution q that obfuscating items come from


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
