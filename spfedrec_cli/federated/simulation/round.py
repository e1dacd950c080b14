"""What passes between the server's steps and the clients' in one round of the simulator."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I64, U64, Bool
from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.cohort import fall_silent
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation
from spfedrec_cli.federated.sampling.slate import Slate
from spfedrec_cli.federated.server.catalogue import Catalogue
from spfedrec_cli.federated.server.item_tower import Served
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.messages import Message
from spfedrec_cli.kernels.candidates import mark
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
    prior: F32  # (n_items,) γ · π, which scores have while training; zeros without
    slate: Slate | None = None
    catalogue: Catalogue | None = None  # as last published, where clients keep one
    told: tuple[Message, ...] = ()  # what the whole cohort was told of this alike

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
    """The devices of a round that live here and take part, row for row: ids (K,), the keys (K, 2) of their own draws,
    their purchases V+, their V−, their private state or None, and the phase in which each falls silent."""

    clients: I64
    keys: U64
    own: Ragged
    hidden: Obfuscation
    private: Tensor | None  # (K, d) or (K, P)
    silent: I64  # (K,) of `Phase`

    def __len__(self) -> int:
        return len(self.clients)


@dataclass(frozen=True)
class CohortResult:
    """Of a cohort: the aggregate, the private states that stayed on the devices, and what only a simulation sees."""

    sums: Sums
    private: Tensor | None  # (K, d) or (K, P) in the order of the cohort
    losses: Tensor  # (K,) float64 in the order of the cohort; 0 of those that did not upload
    uploads: Bool  # (K,) who did


@dataclass(frozen=True)
class Start:
    """What training starts from: the item tower's output with its graph, what clients are told, and the clients."""

    served: Served
    published: Published
    cohort: Cohort


def taking_part(world: World, *items: npt.NDArray[np.integer]) -> I64:
    """The distinct items of the round, ascending."""
    marked = np.zeros(world.n_items, np.int32)
    for some in items:
        mark(some.astype(np.int32, copy=False), marked)
    return np.flatnonzero(world.team.sum(torch.from_numpy(marked)).numpy())


def private_states(state: State, world: World, clients: I64) -> Tensor | None:
    """What devices that live here kept from earlier rounds: (K, d) or (K, P)."""
    if state.private is None:
        return None
    return state.private.index_select(0, torch.from_numpy(world.shards.seats(clients)))


def kept_private(state: State, world: World, clients: I64, private: Tensor | None) -> Tensor | None:
    """The private states of all devices that live here, after those of the cohort changed."""
    if state.private is None or private is None:
        return state.private
    return state.private.index_copy_(0, torch.from_numpy(world.shards.seats(clients)), private)


def silent_phases(world: World, clients: I64, round_: int) -> I64:
    """The phase in which each of these clients falls silent (K,)."""
    federated = world.config.federated
    return fall_silent(federated, AGGREGATIONS[federated.aggregation].phases, clients, world.seed, round_)


def nothing_hidden(clients: int) -> Obfuscation:
    """Of clients that draw no V−."""
    return Obfuscation(Ragged.from_lengths(np.zeros(clients, np.int64), np.empty(0, np.int32)), np.empty(0))
