"""What an attacker is assumed to have beside what crossed: the towers, half of some customers' purchases, and whom and
what it asks about. Beside it, apart, the truth."""

from dataclasses import dataclass

import numpy as np
import torch

from spfedrec_cli.audit.views import Candidates, Model, View
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32, I64, Bool
from spfedrec_cli.engine.drawn import ever_drawn
from spfedrec_cli.engine.load import drawn_canaries, load_config
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.judging.truth import Truth
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.model.towers import flatten, query_tower, unflatten

HALVES = 100  # customers of whom half is known
FEWEST = 4  # purchases that one has
ASKED = 300  # customers whose purchases or membership are asked about
EACH = 20  # purchases of each
STEP = 0.01  # of the length of θ_u: how far it goes to show where an update leads
UNTRAINED = 20  # customers who never took part, at least


@dataclass(frozen=True)
class Asked:
    """What somebody could have without recording anything, and the truth that guesses are judged by."""

    view: View
    truth: Truth


def ask(dataset: Dataset, world: World, reached: Reached, state: State, seed: int) -> Asked:
    """Of a run at its last checkpoint."""
    rng = np.random.default_rng([seed, reached.round])
    purchased, clients = world.devices.purchased, rng.permutation(reached.world.known.eligible)
    everybody = rng.permutation(world.known.eligible)
    trained = ever_drawn(world, len(world.devices), reached.round)
    canaries = drawn_canaries(dataset, load_config(reached.folder))
    nobody = np.empty(0, np.int32)
    truth = Truth(
        purchased,
        world.n_items,
        np.zeros(len(world.devices), np.bool_) if trained is None else trained,
        nobody if canaries is None else canaries.planted,
        np.empty((0, 2), np.int32) if canaries is None else canaries.both,
    )
    planted = None if canaries is None else Candidates(canaries.own.astype(np.int64), tuple(canaries.both))
    others = None if trained is None else _customers(rng, purchased, world.known.eligible, trained)
    halves, bought = _halves(rng, purchased, clients), _purchases(rng, dataset, everybody)
    return Asked(
        View(
            settings=world.config,
            seed=seed,
            popularity=None if state.popularity is None else state.popularity.numpy().astype(np.float64),
            model=model_of(world, state),
            known=halves,
            purchases=bought,
            customers=others,
            planted=planted,
        ),
        truth,
    )


def model_of(world: World, state: State) -> Model | None:
    """Nobody but its device has a tower of its own: None."""
    if world.config.client.private_state == "tower":
        return None
    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    codes = world.devices.fields.at(state.round).codes

    def embed(clients: I64, purchases: list[I32]) -> F32:
        rows = torch.from_numpy(np.maximum(clients, 0))
        known = codes.index_select(0, rows) * torch.from_numpy(clients >= 0)[:, None]
        history = Ragged.from_rows([each.tolist() for each in purchases])
        return query_embeddings(world.config.model, state.query, known, history, items).numpy()

    def moved(change: F32) -> F32:
        start, none = flatten(state.query), torch.zeros(1, codes.shape[1], dtype=codes.dtype)
        step = torch.from_numpy(change) * (STEP * float(start.norm()) / max(float(np.linalg.norm(change)), 1e-30))
        known, history = none, torch.zeros(1, items.shape[1])
        towers = state.query, unflatten(start + step, state.query)
        before, after = (query_tower(world.config.model, weights, known, history) for weights in towers)
        return np.asarray((after - before)[0].detach().numpy(), np.float32)

    return Model(items.numpy(), embed, moved)


def _halves(rng: np.random.Generator, purchased: Ragged, clients: I64) -> Candidates:
    able = clients[purchased.lengths[clients] >= FEWEST][:HALVES]
    rows = [purchased.row(client) for client in able]
    return Candidates(able, tuple(each[rng.permutation(len(each))[: len(each) // 2]] for each in rows))


def _purchases(rng: np.random.Generator, dataset: Dataset, clients: I64) -> Candidates | None:
    """Of customers of whom purchases were held out: some of these, and as many of those that were trained on."""
    train, later = dataset.truth("train"), dataset.bought("validation", "test")
    found = list[tuple[int, I32]]()
    able = clients[np.diff(later.offsets)[clients] > 0]
    for client in able.tolist():
        if len(found) == ASKED:
            break
        held = np.setdiff1d(later.row(client), train.row(client))[:EACH]
        if len(held) and len(train.row(client)) > len(held):
            of_train = rng.choice(train.row(client), len(held), replace=False)
            found.append((client, np.sort(np.concatenate([held, of_train]))))
    if not found:
        return None
    return Candidates(np.array([who for who, _ in found], np.int64), tuple(each for _, each in found))


def _customers(rng: np.random.Generator, purchased: Ragged, eligible: I64, trained: Bool) -> Candidates | None:
    """As many who took part as who never did."""
    able = rng.permutation(eligible[purchased.lengths[eligible] > 1])
    never, ever = able[~trained[able]][:ASKED], able[trained[able]]
    if len(never) < UNTRAINED or len(ever) < UNTRAINED:
        return None
    both = np.sort(np.concatenate([never, ever[: len(never)]]))
    return Candidates(both, tuple(purchased.row(client) for client in both))
