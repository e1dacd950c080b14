"""One round of SpFedRec, in the order of the paper; and one of what it is compared with.

A strategy is one function `(state, world) -> (state, report)` and one row of `STRATEGIES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import Settings
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.aggregation.chain.ring import too_long
from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.sampling.cohort import draw_cohort, drop_out, largest_cohort
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation, popularity_weights
from spfedrec_cli.federated.sampling.pool import draw_items
from spfedrec_cli.federated.server import optimizers
from spfedrec_cli.federated.server.item_tower import Served
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.one_by_one import train_one_by_one
from spfedrec_cli.federated.simulation.publishing import (
    publish_catalogue,
    serve_rows,
    start_on_request,
    start_on_slate,
    taking_part,
    without_target,
)
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.state import State, effective_tau
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies import collected, whole_client, whole_cohort
from spfedrec_cli.federated.strategies.whole_client import Whole
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.ledger import Ledger
from spfedrec_cli.model.towers import Weights, unflatten
from spfedrec_cli.placement import placed


@dataclass(frozen=True)
class Report:
    """What a round tells. `loss` is the mean over the clients that had a target and did not drop out (0 without any),
    which no client sends: only we see it. `survivors` are the clients in the aggregate, `aborted` the chains that came
    to no sum, `without_target` those that uploaded zeros, having no purchase in the slate. `warning` is what whoever
    reads the results must know of the strategy or of the aggregation.
    """

    round: int
    clients: int
    survivors: int
    aborted: int
    loss: float
    saturated: int
    ledger: Ledger
    drowned: bool
    warning: str | None = None
    without_target: int = 0


def split_round(state: State, world: World) -> tuple[State, Report]:
    """One round: the item tower stays on the server, the purchases stay on the devices."""
    config, round_ = world.config, state.round + 1
    ledger = Ledger(round_)
    state = publish_popularity(state, world, ledger)
    ship_towers(state, world, ledger)

    # 1. The server draws the cohort and broadcasts θ_u, with this round's pool of public training negatives.
    clients = draw_cohort(config.federated, world.known.eligible, world.seed, round_)
    q = obfuscating_distribution(state, world)
    pool = draw_pool(config, q, round_)

    # 2. Each client builds its request, V+ hidden among V−; or nobody does, and a slate is drawn for all.
    # 3. The server runs the item tower on the requested rows (on the slate) only, and returns their embeddings.
    here = clients[world.shards.mine(clients)]
    private = private_states(state, world, here)
    if config.request.mode == "paper":
        start = start_on_request(state, world, here, private, pool, q)
    else:
        state = publish_catalogue(state, world, clients, ledger)
        start = start_on_slate(state, world, here, private)

    # 4.-6. Each client trains, clips, encodes and uploads; the aggregator learns the sum.
    result = ENGINES[config.train.engine](world, start.published, start.cohort)
    sums, losses = gathered(world, clients, result, ledger)

    # 7. Both sums are divided by the survivors; θ_u moves along the mean Δθ_u, the mean g_v enters the item tower.
    state = server_step(state, world, start.served, sums)
    state = replace(state, round=round_, private=kept_private(state, world, here, result.private))
    return state, report(state, world, clients, sums, losses, ledger, without_target(world, start))


def full_round(state: State, world: World) -> tuple[State, Report]:
    """The paper's baseline, FedAvg of the whole two-tower: clients embed items themselves and request nothing."""
    config, round_ = world.config, state.round + 1
    ledger = Ledger(round_)
    state = popularity_where_needed(state, world, ledger)
    ship_fields(state, world, ledger)

    # 1. The server draws the cohort and broadcasts both towers, and which items are the public training negatives.
    clients = draw_cohort(config.federated, world.known.eligible, world.seed, round_)
    q = obfuscating_distribution(state, world)
    pool = draw_pool(config, q, round_)
    whole = Whole(round_, state.query, state.item, pool, q)

    # 4.-6. Each client embeds its candidates, trains both towers, clips, encodes and uploads.
    cohort = without_requests(state, world, clients, round_)
    result = FULL_ENGINES[config.train.engine](world, whole, cohort)
    sums, losses = gathered(world, clients, result, ledger)

    # 7. The sum is divided by the survivors; both towers move along the mean Δ by the server's optimiser.
    state = full_step(state, world, sums)
    state = replace(state, round=round_, private=kept_private(state, world, cohort.clients, result.private))
    return state, report(state, world, clients, sums, losses, ledger)


def central_round(state: State, world: World) -> tuple[State, Report]:
    """The upper bound: one step of the same model and loss on a minibatch of clients, with all purchases in one place.

    Nothing crosses and nothing is private: the ledger stays empty, and the report says so.
    """
    config, round_ = world.config, state.round + 1
    ledger = Ledger(round_)
    state = popularity_where_needed(state, world, Ledger(round_))
    clients = draw_cohort(config.federated, world.known.eligible, world.seed, round_)
    q = obfuscating_distribution(state, world)
    pool = draw_pool(config, q, round_)
    cohort = without_requests(state, world, clients, round_)

    # Forward through the item tower, then through the query tower of every client.
    rows = taking_part(world, cohort.own.values, cohort.hidden.items.values, pool)
    served = serve_rows(state, world, rows, config.model.id_dropout)
    published = Published(round_, state.query, rows, served.embeddings, np.searchsorted(rows, pool), q)
    found = collected.gradients(world, published, cohort)
    nothing = CohortResult(Sums.zero(0, (0,), len(cohort)), found.private, found.losses, {})
    sums, losses = gathered(world, clients, nothing, ledger)

    # Backward: the mean gradient by θ_u is a step like a mean Δθ_u, that by ṽ enters the item tower as a mean g_v.
    if len(clients):
        delta, mean = collected.step_along(world, found, state.query, len(clients))
        state = step_towers(state, world, served, delta, mean)
    state = replace(state, round=round_, private=kept_private(state, world, cohort.clients, found.private))
    return state, replace(report(state, world, clients, sums, losses, ledger), warning=COLLECTED)


Strategy = Callable[[State, World], tuple[State, Report]]
STRATEGIES: dict[str, Strategy] = {"split": split_round, "full": full_round, "central": central_round}
COLLECTED = (
    "federated.strategy = central collects every client's purchases in one place: nothing is private, "
    "and no message is counted"
)


def gathered(world: World, clients: I64, result: CohortResult, ledger: Ledger) -> tuple[Sums, Tensor]:
    """The aggregate of the whole cohort and the losses of its clients (K,); what crossed is entered in the ledger."""
    sums, team = result.sums, world.team
    counts = torch.tensor([sums.clients, sums.saturated, sums.aborted, sums.unchecked])
    for integers in (sums.query, sums.items, counts):
        team.sum(integers)
    of_each = torch.zeros(1 + len(result.sizes), len(clients), dtype=torch.int64)
    sizes = [torch.from_numpy(each) for each in result.sizes.values()]
    of_each[:, torch.from_numpy(world.shards.mine(clients))] = torch.stack([result.losses.view(torch.int64), *sizes])
    losses, *each = team.sum(of_each)
    for kind, size in zip(result.sizes, each, strict=True):
        ledger.count(kind.kind, kind.direction, size.numpy())
    return Sums(sums.query, sums.items, *counts.tolist()), losses.view(torch.float64)


def report(
    state: State, world: World, clients: I64, sums: Sums, losses: Tensor, ledger: Ledger, idle: int = 0
) -> Report:
    """Of so many clients, `idle` had no target. Raises SpfedrecError where the loss is no number any more."""
    dropped = drop_out(world.config.federated, clients, world.seed, state.round)
    loss = float(losses.sum() / max(1, (~dropped).sum() - idle))
    if not np.isfinite(loss):
        hint = "lower client.lr, optimizers.lr or optimizers.item_lr"
        raise SpfedrecError(f"The loss of round {state.round} is {loss}", hint=hint)
    drowned = optimizers.is_drowned(state.query_moments, effective_tau(world.config))
    counts = len(clients), sums.clients, sums.aborted
    largest = largest_cohort(world.config.federated, len(world.known.eligible))
    warning = too_long(world.config.federated, largest) if sums.unchecked else None
    return Report(state.round, *counts, loss, sums.saturated, ledger, drowned, warning, idle)


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


def server_step(state: State, world: World, served: Served, sums: Sums) -> State:
    """Decode the aggregate, take the means over the survivors, step both towers. Without survivors nothing moves."""
    if sums.clients == 0:
        return state
    codec_query, codec_item = world.known.codecs()
    delta = None
    if world.known.shared_width:
        delta = unflatten(placed(codec_query.decode(sums.query) / sums.clients, world.known.device), state.query)
    mean = placed(codec_item.decode(sums.items) / sums.clients, world.known.device)
    return step_towers(state, world, served, delta, mean)


def step_towers(state: State, world: World, served: Served, delta: Weights | None, mean: Tensor) -> State:
    """θ_u along the mean Δθ_u (where it is shared), the item tower by the mean g_v."""
    rates, query, query_moments = optimizers.scheduled(world.config, state.round + 1), state.query, state.query_moments
    if delta is not None:
        query, query_moments = optimizers.query_step(rates, effective_tau(world.config), query, query_moments, delta)
    item, item_moments = optimizers.item_step(rates, state.item, state.item_moments, served, mean, world.team)
    return replace(state, query=query, query_moments=query_moments, item=item, item_moments=item_moments)


def full_step(state: State, world: World, sums: Sums) -> State:
    """Both towers along their mean Δ by one optimiser. Without survivors nothing moves."""
    if sums.clients == 0:
        return state
    rates, codec = optimizers.scheduled(world.config, state.round + 1), world.known.codecs()[0]
    tau = effective_tau(world.config)
    dense, tables = (codec.decode(total) / sums.clients for total in (sums.query, sums.items))
    of_query = unflatten(dense[: world.known.width], state.query)
    of_item = unflatten(torch.cat([tables.reshape(-1), dense[world.known.width :]]), state.item)
    query, query_moments = optimizers.query_step(rates, tau, state.query, state.query_moments, of_query)
    item, item_moments = optimizers.query_step(rates, tau, state.item, state.item_moments, of_item)
    return replace(state, query=query, query_moments=query_moments, item=item, item_moments=item_moments)


def popularity_where_needed(state: State, world: World, ledger: Ledger) -> State:
    """The same for a strategy without requests: V− are drawn only to be training negatives."""
    client = world.config.client
    return publish_popularity(state, world, ledger) if client.uses_own or client.pools_by_popularity else state


def without_requests(state: State, world: World, clients: I64, round_: int) -> Cohort:
    """The members of the cohort that live here; V− only where they are training negatives."""
    here = clients[world.shards.mine(clients)]
    own, private = world.devices.purchased.take(here), private_states(state, world, here)
    dropped = drop_out(world.config.federated, here, world.seed, round_)
    if not world.config.client.uses_own:
        none = Obfuscation(Ragged.from_lengths(np.zeros(len(here), np.int64), np.empty(0, np.int32)), np.empty(0))
        return Cohort(here, own, none, private, dropped)
    q = obfuscating_distribution(state, world)
    config = world.config
    hidden = world.kept.memory.recall(config.request, q, here, own, world.seed, round_, config.train.threads_here)
    return Cohort(here, own, hidden, private, dropped)


def publish_popularity(state: State, world: World, ledger: Ledger) -> State:
    """Before the first round that needs it: item popularity, as one secure sum of training purchases or as the user
    gives it; and from the server to the clients that draw by it."""
    if state.popularity is not None or not needs_popularity(world.config):
        return state
    given = world.known.given_popularity
    counts = summed_purchases(world, ledger) if given is None else torch.from_numpy(given())
    ship_popularity(world, ledger)
    return replace(state, popularity=counts)


def summed_purchases(world: World, ledger: Ledger) -> Tensor:
    """How many clients bought each item (n_items,): one message of every client that trains."""
    counts = torch.bincount(torch.from_numpy(world.devices.purchased.values).long(), minlength=world.n_items)
    world.team.sum(counts)
    each = messages.size([world.n_items])
    ledger.count(messages.PurchaseCounts.kind, messages.PurchaseCounts.direction, np.full(len(world.known.eligible), each))
    return counts


def ship_popularity(world: World, ledger: Ledger) -> None:
    """Once, to all who train, wherever it came from: the device draws V− by it, and has to know how likely a pool by
    popularity was. A slate is drawn by the server, and at request.rate = 0 nobody draws anything."""
    request, client = world.config.request, world.config.client
    if request.mode != "paper" or (request.rate == 0 and not client.pools_by_popularity):
        return
    each = np.full(len(world.known.eligible), messages.size([world.n_items]))
    ledger.count(messages.PublishedCounts.kind, messages.PublishedCounts.direction, each)


def needs_popularity(config: Settings) -> bool:
    """Whether obfuscating items, slates or pools are drawn by it."""
    request = config.request
    return request.mode == "slate" or (request.mode == "paper" and request.negatives == "popularity")


def ship_towers(state: State, world: World, ledger: Ledger) -> None:
    """Before the first round, where every client keeps a tower of its own: θ_u crosses once, to all who train."""
    if state.round or world.known.shared_width:
        return
    each = np.full(len(world.known.eligible), messages.size([world.known.width]))
    ledger.count(messages.FirstTower.kind, messages.FirstTower.direction, each)


def ship_fields(state: State, world: World, ledger: Ledger) -> None:
    """Before the first round of `full`, and before any that changes them: the fields of all items, to all who train."""
    fields = len(world.known.items.names) - 1
    now, before = (world.known.items.at(round_).codes for round_ in (state.round + 1, state.round))
    if not fields or (state.round and torch.equal(now, before)):
        return
    each = np.full(len(world.known.eligible), messages.size([world.n_items * fields]))
    ledger.count(messages.ItemFields.kind, messages.ItemFields.direction, each)


def obfuscating_distribution(state: State, world: World) -> npt.NDArray[np.float64]:
    """q of V−, from what is public."""
    counts = np.ones(world.n_items, np.int64) if state.popularity is None else state.popularity.numpy()
    return popularity_weights(world.config.request, counts)


def draw_pool(config: Settings, q: npt.NDArray[np.float64], round_: int) -> I64:
    """The round's public training negatives, over the catalogue evenly or by its popularity q (n_items,); empty where
    clients use their own, or the slate's."""
    if not config.client.uses_pool or config.request.mode != "paper":
        return np.empty(0, np.int64)
    return draw_items(config.client, q, config.train.seed, round_)


Engine = Callable[[World, Published, Cohort], CohortResult]
ENGINES: dict[str, Engine] = {"simulation": train_cohort, "reference": train_one_by_one}
FullEngine = Callable[[World, Whole, Cohort], CohortResult]
FULL_ENGINES: dict[str, FullEngine] = {
    "simulation": whole_cohort.train_cohort,
    "reference": whole_client.train_one_by_one,
}
