"""The state that rounds carry on."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import Settings
from spfedrec_cli.federated.server.catalogue import Catalogue
from spfedrec_cli.federated.server.optimizers import Moments
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.towers import Weights, flatten, init_item_tower, init_query_tower, is_table
from spfedrec_cli.placement import fetched, placed


@dataclass(frozen=True)
class State:
    """What a round takes and returns, and what a checkpoint holds. Nothing else remembers anything.

    A round may write into the large tensors of the state that it is given (item tables, private embeddings): use the
    state that it returns, as with a donated buffer.
    """

    round: int
    query: Weights
    query_moments: Moments
    item: Weights
    item_moments: Moments
    popularity: Tensor | None = None  # (n_items,) int64, published once by a secure sum
    catalogue: Catalogue | None = None  # as last published, where clients keep one
    private: Tensor | None = None  # (n, d) or (n, P) of the clients that live here: each row stays on its device

    def on(self, device: torch.device) -> "State":
        """The same, its towers and moments on the device. What grows with the clients stays in the memory of the CPU,
        of which there is more: a round moves no more of it than its cohort's rows."""
        towers = state_tensors(replace(self, popularity=None))
        moved = state_from_tensors(self.round, {name: placed(t, device) for name, t in towers.items()}, self.private)
        return replace(moved, popularity=self.popularity)


def initial_state(world: World) -> State:
    """Round 0. Server optimisers start at v = τ² (Reddi et al. 2021, algorithm 2), those of the item tower at zero."""
    model, seed = world.config.model, world.seed
    query = init_query_tower(model, world.devices.fields, seed)
    item = init_item_tower(model, world.known.items, seed)
    tau = effective_tau(world.config)
    start = tau * tau if world.config.federated.strategy == "full" else 0.0
    state = State(
        round=0,
        query=query,
        query_moments=Moments(_like(query, 0.0), _like(query, tau * tau), {}),
        item=item,
        item_moments=Moments(_like(item, 0.0), _like(item, start), {name: _steps(name, w) for name, w in item.items()}),
        private=_initial_private(world, query),
    )
    return state.on(world.known.device)


def _initial_private(world: World, query: Weights) -> Tensor | None:
    """Embeddings start at zero, a client's own tower as θ_u."""
    kind, clients = world.config.client.private_state, int(world.shards.mine(np.arange(len(world.devices.fields))).sum())
    if kind == "embedding":
        return torch.zeros(clients, world.config.model.dim)
    return flatten(query).repeat(clients, 1) if kind == "tower" else None


def effective_tau(config: Settings) -> float:
    """τ as it stands beside √v: `server.tau` times the client's learning rate, since Δθ_u carries that factor."""
    return config.server.tau * config.client.lr


def state_tensors(state: State) -> dict[str, Tensor]:
    """Every tensor of the state but the private ones, under a stable name."""
    named = {f"query/{k}": v for k, v in state.query.items()} | {f"item/{k}": v for k, v in state.item.items()}
    for tower, moments in (("query", state.query_moments), ("item", state.item_moments)):
        for part in ("first", "second", "steps"):
            named |= {f"{tower}_{part}/{k}": v for k, v in getattr(moments, part).items()}
    if state.popularity is not None:
        named["popularity"] = state.popularity
    if state.catalogue is not None:
        named |= {"catalogue/codes": state.catalogue.codes, "catalogue/steps": state.catalogue.steps}
    return named


def stored_tensors(state: State) -> dict[str, Tensor]:
    """The same on the CPU, for what is written, sent or hashed."""
    return {name: fetched(tensor) for name, tensor in state_tensors(state).items()}


def state_from_tensors(round_: int, tensors: dict[str, Tensor], private: Tensor | None) -> State:
    """The inverse of `state_tensors`."""

    def part(prefix: str) -> Weights:
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    def moments(tower: str) -> Moments:
        return Moments(part(f"{tower}_first/"), part(f"{tower}_second/"), part(f"{tower}_steps/"))

    query, item = part("query/"), part("item/")
    state = State(round_, query, moments("query"), item, moments("item"))
    kept = part("catalogue/")
    catalogue = Catalogue(kept["codes"], kept["steps"]) if kept else None
    return replace(state, popularity=tensors.get("popularity"), catalogue=catalogue, private=private)


def _like(weights: Weights, value: float) -> Weights:
    return {name: torch.full_like(tensor, value) for name, tensor in weights.items()}


def _steps(name: str, weight: Tensor) -> Tensor:
    return torch.zeros(weight.shape[0] if is_table(name) else 1, dtype=torch.int32)
