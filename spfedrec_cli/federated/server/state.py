"""The server's state: what one round hands to the next."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spfedrec_cli.config import Settings
from spfedrec_cli.data.decay import UNIT
from spfedrec_cli.federated.server.catalogue import Catalogue
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.server.optimizers import Moments
from spfedrec_cli.model.towers import Weights, init_item_tower, init_query_tower, is_table
from spfedrec_cli.placement import placed

SUMMED = ("popularity", "decayed")  # once over all clients
PUBLIC = (*SUMMED, "prior")  # of sales and their weight, each where something needs it


@dataclass(frozen=True)
class ServerState:
    """Both towers, the moments of their optimisers, and what was published. Nothing else remembers anything.

    A step may write into the large tensors of the state that it is given (item tables): use the one that it returns, as
    with a donated buffer.
    """

    round: int
    query: Weights
    query_moments: Moments
    item: Weights
    item_moments: Moments
    popularity: Tensor | None = None  # (n_items,) int64, published once by a secure sum
    decayed: Tensor | None = None  # (n_items,) int64, the same by age, in units of `data.decay`
    prior: Tensor | None = None  # () float32, the γ of ranking, where validation chooses it
    catalogue: Catalogue | None = None  # as last published, where clients keep one

    @property
    def sales(self) -> Tensor | None:
        """Of each item (n_items,), as the prior takes them: decayed by age where they are."""
        return self.popularity if self.decayed is None else self.decayed.double() / UNIT

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor under a stable name."""
        named = {f"query/{k}": v for k, v in self.query.items()} | {f"item/{k}": v for k, v in self.item.items()}
        for tower, moments in (("query", self.query_moments), ("item", self.item_moments)):
            for part in ("first", "second", "steps"):
                named |= {f"{tower}_{part}/{k}": v for k, v in getattr(moments, part).items()}
        named |= {name: known for name in PUBLIC if (known := getattr(self, name)) is not None}
        if self.catalogue is not None:
            named |= {"catalogue/codes": self.catalogue.codes, "catalogue/steps": self.catalogue.steps}
        return named

    @classmethod
    def from_tensors(cls, round_: int, tensors: dict[str, Tensor]) -> "ServerState":
        """The inverse of `tensors`."""

        def part(prefix: str) -> Weights:
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        def moments(tower: str) -> Moments:
            return Moments(part(f"{tower}_first/"), part(f"{tower}_second/"), part(f"{tower}_steps/"))

        kept = part("catalogue/")
        catalogue = Catalogue(kept["codes"], kept["steps"]) if kept else None
        towers = part("query/"), moments("query"), part("item/"), moments("item")
        popularity, decayed, prior = map(tensors.get, PUBLIC)
        return cls(round_, *towers, popularity, decayed, prior, catalogue)

    def on(self, device: torch.device) -> "ServerState":
        """The same, its towers and moments on the device; what is public of sales stays in the memory of the CPU."""
        named = replace(self, popularity=None, decayed=None, prior=None).tensors()
        moved = self.from_tensors(self.round, {name: placed(tensor, device) for name, tensor in named.items()})
        return replace(moved, popularity=self.popularity, decayed=self.decayed, prior=self.prior)


def initial_server_state(known: Known) -> ServerState:
    """Round 0. Server optimisers start at v = τ² (Reddi et al. 2021, algorithm 2), those of the item tower at zero."""
    model, seed = known.config.model, known.seed
    query = init_query_tower(model, known.client_fields, seed)
    item = init_item_tower(model, known.items, seed)
    tau = effective_tau(known.config)
    start = tau * tau if known.config.federated.strategy == "full" else 0.0
    steps = {name: _steps(name, weight) for name, weight in item.items()}
    state = ServerState(
        round=0,
        query=query,
        query_moments=Moments(_like(query, 0.0), _like(query, tau * tau), {}),
        item=item,
        item_moments=Moments(_like(item, 0.0), _like(item, start), steps),
    )
    return state.on(known.device)


def effective_tau(config: Settings) -> float:
    """τ as it stands beside √v: `server.tau` times the client's learning rate, since Δθ_u carries that factor."""
    return config.server.tau * config.client.lr


def _like(weights: Weights, value: float) -> Weights:
    return {name: torch.full_like(tensor, value) for name, tensor in weights.items()}


def _steps(name: str, weight: Tensor) -> Tensor:
    return torch.zeros(weight.shape[0] if is_table(name) else 1, dtype=torch.int32)
