"""A share of clients that promotes items: they say that they bought them, and follow the protocol otherwise.

After Zhang et al., "PipAttack: poisoning federated recommender systems for manipulating item promotion", WSDM 2022, and
Rong et al., "FedRecAttack", ICDE 2022; here nothing but purchases is made up, which no protocol can see.
"""

from dataclasses import dataclass, replace

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.engine.scoring import scorer
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import Kept, World
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.rng import distinct

ITEMS, LENGTH = 5, 10  # that are promoted, and of the lists that they are to come into
ROUNDS, LISTS = 20, 400  # for which the run goes on, and customers whose lists are looked at


@dataclass(frozen=True)
class Promotion:
    """Of so many seldom bought items, a `share` of customers having said in so many rounds that they bought them: the
    mean share of others in whose first LENGTH items one of them is, `before`, after the same rounds without the lie
    (`honest`), and with it (`promoted`)."""

    share: float
    clients: int
    items: int
    rounds: int
    before: float
    honest: float
    promoted: float


def promote(reached: Reached, share: float, seed: int) -> Promotion | None:
    """Among all clients who train; None where no client is corrupt, or where trainings are of another strategy."""
    world = _fast(reached.world)
    eligible = world.known.eligible
    count = round(share * len(eligible))
    if not count or count == len(eligible) or world.config.federated.strategy != "split":
        return None
    corrupt = eligible[distinct(seed, "audit/corrupt", len(eligible), count)]
    items = _seldom(world, seed)
    others = np.random.default_rng(seed).permutation(np.setdiff1d(eligible, corrupt))[:LISTS]

    def shown(of: World, rounds: int) -> float:
        state, step = reached.state(), STRATEGIES["split"]
        for _ in range(rounds):
            state, _ = step(state, of)
        return exposure(of, state, np.sort(others), items)

    said = _said(world.devices.purchased, corrupt, items)
    lied = replace(world, devices=replace(world.devices, read=lambda: said))
    return Promotion(share, count, len(items), ROUNDS, shown(world, 0), shown(world, ROUNDS), shown(lied, ROUNDS))


def _fast(world: World) -> World:
    train = world.config.train.model_copy(update={"engine": "simulation", "workers": 1})
    federated = world.config.federated.model_copy(update={"aggregation": "sum", "dropout": 0.0})
    config = world.config.model_copy(update={"train": train, "federated": federated})
    return replace(world, known=replace(world.known, config=config), kept=Kept())


def _seldom(world: World, seed: int) -> I64:
    """Some of the less bought half."""
    counts = np.bincount(world.devices.purchased.values, minlength=world.n_items)
    half = np.argsort(counts, kind="stable")[: max(ITEMS, world.n_items // 2)]
    return np.sort(half[distinct(seed, "audit/promoted", len(half), min(ITEMS, len(half)))])


def _said(purchased: Ragged, corrupt: I64, items: I64) -> Ragged:
    """The purchases, to which the corrupt clients add the items as their last ones."""
    lying = np.zeros(len(purchased), np.bool_)
    lying[corrupt] = True
    again = lying[purchased.row_index()] & np.isin(purchased.values, items)
    lengths = np.bincount(purchased.row_index()[~again], minlength=len(purchased))
    said = Ragged.from_lengths(lying * len(items), np.tile(items.astype(np.int32), len(corrupt)))
    return Ragged.from_lengths(lengths, purchased.values[~again]).followed_by(said)


def exposure(world: World, state: State, clients: I64, items: I64) -> float:
    """The mean over items of the share of clients, of those who have not bought it, in whose first LENGTH items it is.
    What a client has bought is in no list."""
    purchased = world.devices.purchased.take(clients)
    scores = np.array(scorer(world, state, lambda some: world.devices.purchased.take(some))(clients.astype(np.int32)))
    scores[purchased.row_index(), purchased.values] = -np.inf
    first = -np.partition(-scores, LENGTH - 1, axis=1)[:, LENGTH - 1] if scores.shape[1] >= LENGTH else scores.min(1)
    may = np.isfinite(scores[:, items])
    return float(((scores[:, items] >= first[:, None]) & may).sum() / max(1, may.sum()))
