"""A share of clients that promotes items: they say that they bought them, and follow the protocol otherwise; or they
request them, and upload what they like.

After Zhang et al., "PipAttack: poisoning federated recommender systems for manipulating item promotion", WSDM 2022, and
Rong et al., "FedRecAttack", ICDE 2022. No protocol can see what was made up: a sum hides who uploaded what.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.engine.asked import model_of
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.engine.scoring import scorer
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import Kept, World
from spfedrec_cli.federated.strategies.split import Engine, split_round
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.rng import distinct

ITEMS, LENGTH = 5, 10  # that are promoted, and of the lists that they are to come into
LENGTH_OF_ROW = 0.1  # of the codec's range: longer ones move the tower that all items share, and these help nobody
ROUNDS, LISTS = 20, 400  # for which the run goes on, and customers whose lists are looked at


@dataclass(frozen=True)
class Promotion:
    """Of so many seldom bought items, a `share` of customers having said in so many rounds that they bought them: the
    mean share of others in whose first LENGTH items one of them is, `before`, after the same rounds without the lie
    (`honest`), with it (`promoted`), and where they upload long rows, and nothing else, towards the mean of their
    own queries (`crafted`; None where every client keeps a query tower of its own)."""

    share: float
    clients: int
    items: int
    rounds: int
    before: float
    honest: float
    promoted: float
    crafted: float | None = None


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

    def shown(of: World, rounds: int, engine: Engine | None = None) -> float:
        state = reached.state()
        for _ in range(rounds):
            state, _ = split_round(state, of, engine)
        return exposure(of, state, np.sort(others), items)

    said = _said(world.devices.purchased, corrupt, items)
    lied = replace(world, devices=replace(world.devices, read=lambda: said))
    honest, model = (shown(world, 0), shown(world, ROUNDS)), model_of(world, reached.state())
    crafted = None
    if model is not None:
        queries = model.embed(corrupt, [world.devices.purchased.row(client) for client in corrupt])
        crafted = shown(lied, ROUNDS, _crafting(corrupt, items, queries.mean(0)))
    return Promotion(share, count, len(items), ROUNDS, *honest, shown(lied, ROUNDS), crafted)


def _crafting(corrupt: I64, items: I64, query: F32) -> Engine:
    """Rounds in which these clients upload nothing but rows against a query embedding (d,), by which the server's step
    takes the items towards it."""

    def train(world: World, published: Published, cohort: Cohort, channel: Channel) -> CohortResult:
        lying = np.isin(cohort.clients, corrupt)
        silent = np.where(lying, int(Phase.UPLOAD), cohort.silent)
        result, limit = train_cohort(world, published, replace(cohort, silent=silent), channel), world.known.codecs()[1]
        row = np.rint(query / np.abs(query).max() * LENGTH_OF_ROW * limit.qmax).astype(np.int32) * np.int32(
            np.count_nonzero(lying)
        )
        result.sums.items[torch.from_numpy(np.flatnonzero(np.isin(published.summed, items)))] -= torch.from_numpy(row)
        result.sums.clients += int(np.count_nonzero(lying))
        return result

    return train


def _fast(world: World) -> World:
    train = world.config.train.model_copy(update={"engine": "simulation", "workers": 1})
    federated = world.config.federated.model_copy(update={"aggregation": "sum", "dropout": 0.0})
    server = world.config.server.model_copy(
        update={"schedule": "constant"}
    )  # as long as there is anything to be learned
    config = world.config.model_copy(update={"train": train, "federated": federated, "server": server})
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
