"""Steps 2 and 3 of the round: how clients come to the embeddings of items.

In `paper` each requests its own, hidden among others. In `slate` and `catalogue` nobody requests anything: the server
publishes the same to everybody.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F64, I64
from spfedrec_cli.federated.sampling.cohort import drop_out
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation
from spfedrec_cli.federated.sampling.slate import Slate, whole_catalogue
from spfedrec_cli.federated.server.catalogue import Catalogue, published_at
from spfedrec_cli.federated.server.item_tower import Served, serve
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.ledger import Ledger
from spfedrec_cli.kernels.candidates import mark


@dataclass(frozen=True)
class Start:
    """What training starts from: the item tower's output with its graph, what clients are told, and the clients."""

    served: Served
    published: Published
    cohort: Cohort


def start_on_request(state: State, world: World, here: I64, private: Tensor | None, pool: I64, q: F64) -> Start:
    """The clients `here` request V+ ∪ V−; the server runs the item tower on those rows and the pool's."""
    config, round_ = world.config, state.round + 1
    own = world.devices.purchased.take(here)
    hidden = world.kept.memory.recall(config.request, q, here, own, world.seed, round_, config.train.threads_here)
    dropped = drop_out(config.federated, here, world.seed, round_)
    rows = taking_part(world, own.values, hidden.items.values, pool)
    served = serve_rows(state, world, rows, config.model.id_dropout)
    published = Published(round_, state.query, rows, served.embeddings, np.searchsorted(rows, pool), q)
    return Start(served, published, Cohort(here, own, hidden, private, dropped))


def serve_rows(state: State, world: World, rows: I64, id_dropout: float) -> Served:
    """The item tower on the items `rows`, ascending, in the round that begins."""
    threads = world.config.train.threads_here
    model, round_ = world.config.model, state.round + 1
    return serve(model, state.item, world.known.items, rows, id_dropout, world.seed, round_, world.team, threads)


def start_on_slate(state: State, world: World, here: I64, private: Tensor | None) -> Start:
    """The server runs the item tower on the slate and tells everybody; what else a client bought it looks up in the
    catalogue that it keeps."""
    round_, slate = state.round + 1, draw_slate(state, world)
    own = world.devices.purchased.take(here)
    served = serve_rows(state, world, slate.items, world.config.model.id_dropout)
    others = np.setdiff1d(own.values, slate.items).astype(np.int64)
    nobody_keeps_it = torch.zeros(len(others), world.config.model.dim, device=world.known.device)
    kept = nobody_keeps_it if state.catalogue is None else state.catalogue.rows(others)
    rows, embeddings = np.concatenate([slate.items, others]), torch.cat([served.embeddings, kept])
    places = np.arange(len(slate.items))
    published = Published(round_, state.query, rows, embeddings, places, np.empty(0), slate, state.catalogue)
    dropped = drop_out(world.config.federated, here, world.seed, round_)
    nothing = Obfuscation(Ragged.from_lengths(np.zeros(len(here), np.int64), np.empty(0, np.int32)), np.empty(0))
    return Start(served, published, Cohort(here, own, nothing, private, dropped))


def draw_slate(state: State, world: World) -> Slate:
    """The slate of the round that begins."""
    request = world.config.request
    if request.mode == "catalogue":
        return whole_catalogue(world.n_items)
    assert state.popularity is not None  # published before the first round
    return world.kept.rotation.slate(state.popularity.numpy(), request.slate_size, world.seed, state.round + 1)


def publish_catalogue(state: State, world: World, clients: I64, ledger: Ledger) -> State:
    """Before a round on a slate: every `request.refresh` rounds all items anew, as they are without dropout; and a
    download for each of the cohort's `clients` that does not hold the last ones. Not needed without histories."""
    request, round_ = world.config.request, state.round + 1
    if request.mode != "slate" or world.config.model.history == "none":
        return state
    if published_at(round_, request.refresh) == round_:
        everything = serve_rows(state, world, np.arange(world.n_items), 0.0).embeddings
        state = replace(state, catalogue=Catalogue.of(everything))
    lacking = world.kept.holders.missing(
        world.config.federated, request.refresh, world.known.eligible, clients, world.seed, round_
    )
    dim = world.config.model.dim
    each = messages.size([dim], [world.n_items * dim])
    ledger.count(messages.PublishedCatalogue.kind, messages.PublishedCatalogue.direction, np.full(lacking, each))
    return state


def without_target(world: World, start: Start) -> int:
    """How many clients of the whole cohort have no purchase in the slate, and so upload zeros."""
    slate, cohort = start.published.slate, start.cohort
    if slate is None:
        return 0
    lacking = np.count_nonzero((slate.holds(cohort.own, world.n_items) == 0) & ~cohort.dropped)
    return int(world.team.sum(torch.tensor([lacking])))


def taking_part(world: World, *items: npt.NDArray[np.integer]) -> I64:
    """The distinct items of the round, ascending."""
    marked = np.zeros(world.n_items, np.int32)
    for some in items:
        mark(some.astype(np.int32, copy=False), marked)
    return np.flatnonzero(world.team.sum(torch.from_numpy(marked)).numpy())
