"""One round of SpFedRec, in the order of the paper.

A strategy is one function `(state, world) -> (state, report)` and one row of `STRATEGIES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import Config, RequestConfig
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated import messages, server
from spfedrec_cli.federated.aggregation import Sums
from spfedrec_cli.federated.cohort import draw_cohort
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.ledger import Ledger
from spfedrec_cli.federated.publishing import open_on_request, open_on_slate, publish_catalogue, without_target
from spfedrec_cli.federated.reference import train_one_by_one
from spfedrec_cli.federated.request import popularity_weights
from spfedrec_cli.federated.simulation import train_cohort
from spfedrec_cli.federated.state import State, World, effective_tau
from spfedrec_cli.model.towers import unflatten
from spfedrec_cli.rng import distinct

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Report:
    """What a round tells. `loss` is the mean over clients with targets (0 without any), which no client sends: only we
    see it. Those without a purchase in the slate have no target, and upload zeros."""

    round: int
    clients: int
    loss: float
    saturated: int
    ledger: Ledger
    drowned: bool
    without_target: int = 0


def split_round(state: State, world: World) -> tuple[State, Report]:
    """One round: the item tower stays on the server, the purchases stay on the devices."""
    config, round_ = world.config, state.round + 1
    ledger = Ledger(round_)
    state = publish_popularity(state, world, ledger)
    ship_towers(state, world, ledger)

    # 1. The server draws the cohort and broadcasts θ_u, with this round's pool of public training negatives.
    clients = draw_cohort(config.federated, world.eligible, world.seed, round_)
    pool = draw_pool(config, world.n_items, round_)

    # 2. Each client builds its request, V+ hidden among V−; or nobody does, and a slate is drawn for all.
    # 3. The server runs the item tower on the requested rows (on the slate) only, and returns their embeddings.
    here = clients[world.shards.mine(clients)]
    private = private_states(state, world, here)
    if config.request.mode == "paper":
        opening = open_on_request(state, world, here, private, pool, obfuscating_distribution(state, world))
    else:
        state = publish_catalogue(state, world, clients, ledger)
        opening = open_on_slate(state, world, here, private)

    # 4.-6. Each client trains, clips, encodes and uploads; the aggregator learns the sum.
    result = ENGINES[config.train.engine](world, opening.published, opening.cohort)
    sums, losses = gathered(world, clients, result, ledger)

    # 7. Both sums are divided by the survivors; θ_u moves along the mean Δθ_u, the mean g_v enters the item tower.
    state = server_step(state, world, opening.served, sums)
    state = replace(state, round=round_, private=kept_private(state, world, here, result.private))
    return state, report(state, world, sums, losses, ledger, without_target(world, opening))


Strategy = Callable[[State, World], tuple[State, Report]]
STRATEGIES: dict[str, Strategy] = {"split": split_round}


def gathered(world: World, clients: I64, result: CohortResult, ledger: Ledger) -> tuple[Sums, Tensor]:
    """The aggregate of the whole cohort and the losses of its clients (K,); what crossed is entered in the ledger."""
    sums, team = result.sums, world.team
    counts = torch.tensor([sums.clients, sums.saturated])
    for integers in (sums.query, sums.items, counts):
        team.sum(integers)
    of_each = torch.zeros(1 + len(result.sizes), len(clients), dtype=torch.int64)
    sizes = [torch.from_numpy(each) for each in result.sizes.values()]
    of_each[:, torch.from_numpy(world.shards.mine(clients))] = torch.stack([result.losses.view(torch.int64), *sizes])
    losses, *each = team.sum(of_each)
    for kind, size in zip(result.sizes, each, strict=True):
        ledger.count(kind.kind, kind.direction, size.numpy())
    return Sums(sums.query, sums.items, int(counts[0]), int(counts[1])), losses.view(torch.float64)


def report(state: State, world: World, sums: Sums, losses: Tensor, ledger: Ledger, without_target: int = 0) -> Report:
    """Raises SpfedrecError where the loss is no number any more."""
    clients = len(losses)
    loss = float(losses.sum()) / max(1, clients - without_target)
    if not np.isfinite(loss):
        hint = "lower client.lr, server.lr or server.item_lr"
        raise SpfedrecError(f"The loss of round {state.round} is {loss}", hint=hint)
    drowned = server.is_drowned(state.query_moments, effective_tau(world.config))
    return Report(state.round, clients, loss, sums.saturated, ledger, drowned, without_target)


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


def server_step(state: State, world: World, served: server.Served, sums: Sums) -> State:
    """Decode the aggregate, take the means over the survivors, step both towers. Without survivors nothing moves."""
    if sums.clients == 0:
        return state
    config = world.config
    codec_query, codec_item = world.codecs()
    query, query_moments = state.query, state.query_moments
    if world.shared_width:
        delta = unflatten(codec_query.decode(sums.query) / sums.clients, query)
        query, query_moments = server.query_step(config.server, effective_tau(config), query, query_moments, delta)
    mean = codec_item.decode(sums.items) / sums.clients
    item, item_moments = server.item_step(config.server, state.item, state.item_moments, served, mean, world.team)
    return replace(state, query=query, query_moments=query_moments, item=item, item_moments=item_moments)


def publish_popularity(state: State, world: World, ledger: Ledger) -> State:
    """Before the first round that needs it: item popularity, as one secure sum of training purchases or as the user
    gives it."""
    if state.popularity is not None or not needs_popularity(world.config.request):
        return state
    if world.given_popularity is not None:
        return replace(state, popularity=torch.from_numpy(world.given_popularity()))
    counts = torch.bincount(torch.from_numpy(world.purchased.values).long(), minlength=world.n_items)
    world.team.sum(counts)
    each = messages.size([world.n_items])
    ledger.count(messages.PurchaseCounts.kind, messages.PurchaseCounts.direction, np.full(len(world.eligible), each))
    return replace(state, popularity=counts)


def needs_popularity(request: RequestConfig) -> bool:
    """Whether obfuscating items or slates are drawn by it."""
    return request.mode == "slate" or (request.mode == "paper" and request.negatives == "popularity")


def ship_towers(state: State, world: World, ledger: Ledger) -> None:
    """Before the first round, where every client keeps a tower of its own: θ_u crosses once, to all who train."""
    if state.round or world.shared_width:
        return
    each = np.full(len(world.eligible), messages.size([world.width]))
    ledger.count(messages.FirstTower.kind, messages.FirstTower.direction, each)


def obfuscating_distribution(state: State, world: World) -> npt.NDArray[np.float64]:
    """q of V−, from what is public."""
    counts = np.ones(world.n_items, np.int64) if state.popularity is None else state.popularity.numpy()
    return popularity_weights(world.config.request, counts)


def draw_pool(config: Config, n_items: int, round_: int) -> I64:
    """The round's public training negatives: uniform over the catalogue; empty where clients use their own, or the
    slate's."""
    if config.client.negatives != "public" or config.request.mode != "paper":
        return np.empty(0, np.int64)
    return distinct(config.train.seed, "pool", n_items, config.client.pool_size, round_)


Engine = Callable[[World, Published, Cohort], CohortResult]
ENGINES: dict[str, Engine] = {"simulation": train_cohort, "reference": train_one_by_one}
