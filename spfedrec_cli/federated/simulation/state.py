"""The state that rounds carry on, exactly as a checkpoint holds it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.federated.server.catalogue import Catalogue
from spfedrec_cli.federated.server.ranking import RankingState
from spfedrec_cli.federated.server.state import ServerState, initial_server_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.towers import Weights, flatten
from spfedrec_cli.placement import fetched


@dataclass(frozen=True)
class State:
    """What a round takes and returns: the server's state, and what every device keeps for itself.

    A round may write into the large tensors of the state that it is given (item tables, private embeddings): use the
    state that it returns, as with a donated buffer.
    """

    server: ServerState
    private: Tensor | None = None  # (n, d) or (n, P) of the clients that live here: each row stays on its device
    ranking: RankingState | None = None  # the second stage, once it has begun

    @property
    def round(self) -> int:
        return self.server.round

    @property
    def query(self) -> Weights:
        return self.server.query

    @property
    def item(self) -> Weights:
        return self.server.item

    @property
    def popularity(self) -> Tensor | None:
        return self.server.popularity

    @property
    def sales(self) -> Tensor | None:
        return self.server.sales

    @property
    def prior(self) -> Tensor | None:
        return self.server.prior

    @property
    def catalogue(self) -> Catalogue | None:
        return self.server.catalogue

    def on(self, device: torch.device) -> "State":
        """The same, its towers and moments on the device. What grows with the clients stays in the memory of the CPU,
        of which there is more: a round moves no more of it than its cohort's rows."""
        return replace(self, server=self.server.on(device))


def initial_state(world: World) -> State:
    """Round 0."""
    server = initial_server_state(world.known)
    return State(server, _initial_private(world, server.query))


def _initial_private(world: World, query: Weights) -> Tensor | None:
    """Embeddings start at zero, a client's own tower as θ_u."""
    kind, clients = world.config.client.private_state, len(world.here(np.arange(len(world.devices))))
    if kind == "embedding":
        return torch.zeros(clients, world.config.model.dim)
    return fetched(flatten(query)).repeat(clients, 1) if kind == "tower" else None


def state_tensors(state: State) -> dict[str, Tensor]:
    """Every tensor of the state but the private ones, under a stable name."""
    return state.server.tensors() | ({} if state.ranking is None else state.ranking.tensors())


def stored_tensors(state: State) -> dict[str, Tensor]:
    """The same on the CPU, for what is written, sent or hashed."""
    return {name: fetched(tensor) for name, tensor in state_tensors(state).items()}


def state_from_tensors(round_: int, tensors: dict[str, Tensor], private: Tensor | None) -> State:
    """The inverse of `state_tensors`."""
    return State(ServerState.from_tensors(round_, tensors), private, RankingState.from_tensors(tensors))
