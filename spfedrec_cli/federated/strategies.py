"""One round of SpFedRec, in the order of the paper.

A strategy is one function `(state, world) -> (state, report)` and one row of `STRATEGIES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import Config
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated import client, messages, server
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums, Updates
from spfedrec_cli.federated.cohort import draw_cohort
from spfedrec_cli.federated.ledger import Ledger
from spfedrec_cli.federated.request import Obfuscation, popularity_weights
from spfedrec_cli.federated.simulation import CohortResult, Published, train_cohort
from spfedrec_cli.federated.state import State, World, effective_tau
from spfedrec_cli.model.towers import flatten, unflatten
from spfedrec_cli.rng import distinct

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Report:
    """What a round tells. `loss` is the mean over clients, seen by the simulation alone: no client sends it."""

    round: int
    clients: int
    loss: float
    saturated: int
    ledger: Ledger
    drowned: bool


def split_round(state: State, world: World) -> tuple[State, Report]:
    """One round: the item tower stays on the server, the server learns sums only."""
    config, round_ = world.config, state.round + 1
    ledger = Ledger(round_)
    state = publish_popularity(state, world, ledger)

    # 1. The server draws the cohort and broadcasts θ_u, with this round's pool of public training negatives.
    cohort = draw_cohort(config.federated, world.eligible, world.seed, round_)
    pool = draw_pool(config, world.n_items, round_)

    # 2. Each client builds its request: V+ hidden among V−.
    own = world.purchased.take(cohort)
    q = obfuscating_distribution(state, world)
    hidden = world.memory.recall(config.request, q, cohort, own, world.seed, round_)

    # 3. The server runs the item tower on the requested rows only, and returns their embeddings.
    rows = taking_part(world.n_items, own.values, hidden.items.values, pool)
    served = server.serve(state.item, world.items, rows, config.model.id_dropout, world.seed, round_)
    published = Published(round_, state.query, rows, served.embeddings.detach(), np.searchsorted(rows, pool))

    # 4.-6. Each client trains, clips, encodes and uploads; the aggregator learns the sum.
    members = torch.from_numpy(cohort)
    private = None if state.private is None else state.private.index_select(0, members)
    result = ENGINES[config.train.engine](world, published, cohort, own, hidden, private, q, ledger)
    kept = state.private
    if kept is not None and result.private is not None:
        kept = kept.index_copy_(0, members, result.private)

    # 7. Both sums are divided by the survivors; θ_u moves along the mean Δθ_u, the mean g_v enters the item tower.
    state = replace(server_step(state, world, served, result.sums), round=round_, private=kept)
    loss = float(result.losses.mean()) if len(cohort) else float("nan")
    if len(cohort) and not np.isfinite(loss):
        raise SpfedrecError(
            f"The loss of round {round_} is {loss}", hint="lower client.lr, server.lr or server.item_lr"
        )
    drowned = server.is_drowned(state.query_moments, effective_tau(config))
    return state, Report(round_, len(cohort), loss, result.sums.saturated, ledger, drowned)


Strategy = Callable[[State, World], tuple[State, Report]]
STRATEGIES: dict[str, Strategy] = {"split": split_round}


def taking_part(n_items: int, *items: npt.NDArray[np.integer]) -> I64:
    """The distinct items of the round, ascending."""
    marked = np.zeros(n_items, np.bool_)
    for some in items:
        marked[some] = True
    return np.flatnonzero(marked)


def server_step(state: State, world: World, served: server.Served, sums: Sums) -> State:
    """Decode the aggregate, take the means over the survivors, step both towers. Without survivors nothing moves."""
    if sums.clients == 0:
        return state
    config = world.config
    codec_query, codec_item = world.codecs()
    delta = unflatten(codec_query.decode(sums.query) / sums.clients, state.query)
    tau = effective_tau(config)
    query, query_moments = server.query_step(config.server, tau, state.query, state.query_moments, delta)
    mean = codec_item.decode(sums.items) / sums.clients
    item, item_moments = server.item_step(config.server, state.item, state.item_moments, served, mean)
    return replace(state, query=query, query_moments=query_moments, item=item, item_moments=item_moments)


def publish_popularity(state: State, world: World, ledger: Ledger) -> State:
    """Before the first round that needs it: item popularity as one secure sum of training purchases."""
    if state.popularity is not None or world.config.request.negatives != "popularity":
        return state
    counts = torch.bincount(torch.from_numpy(world.purchased.values).long(), minlength=world.n_items)
    each = messages.size([world.n_items])
    ledger.count(messages.PurchaseCounts.kind, messages.PurchaseCounts.direction, np.full(len(world.eligible), each))
    return replace(state, popularity=counts)


def obfuscating_distribution(state: State, world: World) -> npt.NDArray[np.float64]:
    """q of V−, from what is public."""
    counts = np.ones(world.n_items, np.int64) if state.popularity is None else state.popularity.numpy()
    return popularity_weights(world.config.request, counts)


def draw_pool(config: Config, n_items: int, round_: int) -> I64:
    """The round's public training negatives: uniform over the catalogue; empty where clients use their own."""
    if config.client.negatives != "public":
        return np.empty(0, np.int64)
    return distinct(config.train.seed, "pool", n_items, config.client.pool_size, round_)


def _simulate(
    world: World,
    published: Published,
    cohort: I64,
    own: Ragged,
    hidden: Obfuscation,
    private: Tensor | None,
    q: npt.NDArray[np.float64],
    ledger: Ledger,
) -> CohortResult:
    """The cohort in batched operations; message sizes by their formula."""
    width, dim, pool = flatten(published.query).numel(), published.embeddings.shape[1], len(published.pool)
    asked = own.lengths + hidden.items.lengths
    sizes: dict[type[messages.Message], npt.NDArray[np.int64]] = {
        messages.Broadcast: np.full(len(cohort), messages.size([width, pool, pool * dim])),
        messages.Request: messages.size([asked]),
        messages.Embeddings: messages.size([asked * dim]),
        messages.ClientUpdate: messages.size([width, (asked + pool) * dim]),
    }
    for kind, each in sizes.items():
        ledger.count(kind.kind, kind.direction, each)
    return train_cohort(world, published, cohort, own, hidden, private)


def _one_by_one(
    world: World,
    published: Published,
    cohort: I64,
    own: Ragged,
    hidden: Obfuscation,
    private: Tensor | None,
    q: npt.NDArray[np.float64],
    ledger: Ledger,
) -> CohortResult:
    """The cohort as single devices that exchange real messages with the server."""
    public = client.Public(world.config, *world.codecs(), published.query, q)
    embeddings = published.embeddings.numpy()
    pool = published.rows[published.pool].astype(np.int32)
    broadcast = messages.Broadcast(published.round, flatten(published.query).numpy(), pool, embeddings[published.pool])
    sums = Sums.zero(len(broadcast.query), published.embeddings.shape)
    losses, kept, crossed = torch.zeros(len(cohort), dtype=torch.float64), [], []
    for place, member in enumerate(cohort):
        mine = None if private is None else private[place]
        device = client.Device(int(member), own.row(place), world.clients.codes[member], mine)
        request, probabilities = client.make_request(device, public, published.round)
        asked = np.searchsorted(published.rows, request.items)
        answer = messages.Embeddings(published.round, embeddings[asked])
        trained = client.train(device, public, broadcast, request, answer, probabilities)
        sums = sums + AGGREGATIONS[world.config.federated.aggregation](
            _uploaded(trained.update, asked, published, trained.saturated), len(published.rows)
        )
        losses[place] = trained.loss
        kept.append(trained.private)
        crossed.append([broadcast, request, answer, trained.update])
    for column in zip(*crossed, strict=True):
        ledger.count(column[0].kind, column[0].direction, [len(messages.serialise(message)) for message in column])
    stacked = None if private is None else torch.stack([row for row in kept if row is not None])
    return CohortResult(sums, stacked, losses)


def _uploaded(update: messages.ClientUpdate, asked: I64, published: Published, saturated: int) -> Updates:
    """A single upload, as the aggregation sees it."""
    items = torch.from_numpy(update.items)
    return Updates(
        torch.from_numpy(update.query)[None],
        torch.from_numpy(asked),
        items[: len(asked)],
        torch.from_numpy(published.pool),
        items[len(asked) :][None],
        torch.tensor(saturated),
    )


ENGINES = {"simulation": _simulate, "reference": _one_by_one}
