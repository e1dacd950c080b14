"""Training negatives of either kind and of both: by hand, on average over their draws, and where a kind is empty."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world, merged

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.device import client
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation
from spfedrec_cli.federated.server.publishing import draw_pool
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.state import initial_state, state_tensors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.federated.wire.messages import Broadcast, Embeddings
from spfedrec_cli.model.towers import flatten

# Towers of zeros: the query embedding is the history, whichever of the two purchases that is.
HAND = {
    "model": {"dim": 2, "temperature": 1.0, "history": "mean"},
    "client": {"negatives": "both", "target_share": 0.5, "pool_size": 2},
    "federated": {"range_item": 50.0},
}
CHANCE = 0.5  # with which the item of V− was drawn
E = math.e
KEY = np.array([1, 2], np.uint64)
NO_PRIOR = np.zeros(40, np.float32)


class Hand:
    """Two clients with two purchases each, all of them (1, 0). The first has one item of V−, (0, 1). The pool is a
    purchase of the first client and a foreign item, (−1, 0); of 40 items, each is in it with probability 1/20."""

    def __init__(self, **settings: Any) -> None:
        self.world = world = build_world(merged(HAND, {"client": settings}), [2, 2], seed=1)
        self.query = {name: torch.zeros_like(weight) for name, weight in initial_state(world).query.items()}
        self.bought = [world.devices.purchased.row(place) for place in range(2)]
        owned = np.concatenate(self.bought)
        assert len(set(owned)) == 4
        self.hidden, self.foreign = np.setdiff1d(np.arange(40), owned)[:2].astype(np.int32)
        self.table = torch.zeros(40, 2)
        self.table[torch.from_numpy(owned).long()] = torch.tensor([1.0, 0.0])
        self.table[int(self.hidden), 1], self.table[int(self.foreign), 0] = 1.0, -1.0
        self.pool = np.array([self.bought[0][0], self.foreign])

    def plain(self, place: int) -> client.Trained:
        """By the plain client, from messages written here."""
        world, bought, probabilities = self.world, self.bought[place], {} if place else {int(self.hidden): CHANCE}
        items = np.sort(np.concatenate([bought, np.array(list(probabilities), np.int32)]))
        request, device = client.Request(1, items), self.device(place)
        public = client.Public(world.config, *world.known.codecs(), self.query, np.ones(40) / 40, NO_PRIOR)
        broadcast = Broadcast(1, flatten(self.query).numpy(), self.pool.astype(np.int32), self.table[self.pool].numpy())
        answer = Embeddings(1, self.table[torch.from_numpy(items).long()].numpy())
        return client.train(device, public, broadcast, request, answer, probabilities)

    def device(self, place: int) -> client.Device:
        codes = self.world.devices.fields.codes[place]
        return client.Device(place, KEY, self.bought[place], codes, None)

    def fast(self) -> tuple[CohortResult, list[int]]:
        """Both clients by the simulation, and the items of the rows of the sum."""
        rows = np.unique(np.concatenate([*self.bought, [self.hidden], self.pool])).astype(np.int64)
        places, q = np.searchsorted(rows, self.pool), np.ones(40) / 40
        published = Published(1, self.query, rows, self.table[rows], places, q, NO_PRIOR)
        hidden = Obfuscation(Ragged.from_lengths(np.array([1, 0]), np.array([self.hidden])), np.array([CHANCE]))
        own, never = Ragged.from_rows(self.bought), np.full(2, Phase.NEVER)
        cohort = Cohort(np.arange(2), self.world.devices.keys(np.arange(2)), own, hidden, None, never)
        return train_cohort(self.world, published, cohort, self.world.channel(1)), rows.tolist()


# Of the first client: V− scores 0, the foreign item of the pool −1, its own item there is left out; target 1.
# Of the second: no V−, so that the pool is the only kind; the first client's purchase scores 1, the foreign item −1.
BY_HAND: dict[str, tuple[dict[str, Any], float, float]] = {
    "softmax, corrected": (
        {},
        math.log(E + (1 / 0.5 + math.exp(-1) / 0.05) / 2) - 1,
        math.log(E + (E + math.exp(-1)) / 0.05) - 1,
    ),
    "softmax, as it is": (
        {"logq": False},
        math.log(E + 1 + math.exp(-1)) - 1,
        math.log(E + E + math.exp(-1)) - 1,
    ),
    "bce": (
        {"loss": "bce"},
        math.log(1 + math.exp(-1)) + (math.log(2) + math.log(1 + math.exp(-1))) / 2,
        math.log(1 + math.exp(-1)) + (math.log(1 + E) + math.log(1 + math.exp(-1))) / 2,
    ),
    "bpr": (
        {"loss": "bpr"},
        (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 2,
        (math.log(2) + math.log(1 + math.exp(-2))) / 2,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_losses_of_two_clients_by_hand(name: str) -> None:
    settings, *wanted = BY_HAND[name]
    hand = Hand(**settings)
    assert [hand.plain(place).loss for place in range(2)] == pytest.approx(wanted, rel=1e-5)
    assert hand.fast()[0].losses.tolist() == pytest.approx(wanted, rel=1e-5)


def test_the_gradients_of_both_kinds_by_hand() -> None:
    """Each negative has its share of the denominator times the query (1, 0). The own item in the pool has none, and its
    row there is that of the purchase; of the aggregate each row has what either client gives it."""
    hand = Hand()
    first, second = E + 1 + 10 * math.exp(-1), E + 20 * E + 20 * math.exp(-1)
    codec, (result, rows) = hand.world.known.codecs()[1], hand.fast()
    unit = codec.limit / codec.qmax
    update = codec.decode(torch.from_numpy(hand.plain(0).update.items).long())
    asked = sorted([*hand.bought[0].tolist(), int(hand.hidden)])
    of_hidden, of_pool = update[asked.index(hand.hidden)], update[3:]
    torch.testing.assert_close(of_hidden, torch.tensor([1 / first, 0.0]), rtol=0, atol=unit)
    own = asked.index(int(hand.pool[0]))
    assert not update[own].any()
    of_target = torch.tensor([1 - E / first, 0.0])
    torch.testing.assert_close(of_pool[0].abs(), of_target, rtol=0, atol=unit)
    torch.testing.assert_close(of_pool[1], torch.tensor([10 / E / first, 0.0]), rtol=0, atol=unit)
    total = codec.decode(result.sums.items)
    of_foreign = torch.tensor([10 / E / first + 20 / E / second, 0.0])
    torch.testing.assert_close(total[rows.index(hand.hidden)], of_hidden, rtol=0, atol=unit)
    torch.testing.assert_close(total[rows.index(hand.foreign)], of_foreign, rtol=0, atol=2 * unit)
    assert float(of_pool[1, 0]) > 1000 * unit


ROUNDS = 3000


def estimates(world: World, member: int, scores: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ exp(score) ÷ expected number over a client's negatives, in every one of so many rounds."""
    bought = world.devices.purchased.row(member)
    device = client.Device(member, KEY, bought, world.devices.fields.codes[member], None)
    public = client.Public(world.config, *world.known.codecs(), {}, q, np.zeros(world.n_items, np.float32))
    found = []
    for round_ in range(1, ROUNDS + 1):
        probabilities = client.make_request(device, public, round_)[1]
        pool = draw_pool(world.config, q, round_).astype(np.int32)
        hidden, seats, expected = client.training_negatives(public, bought, probabilities, pool)
        found.append(np.exp(scores[[*hidden, *pool[seats]]] - expected.numpy()).sum())
    return np.array(found)


@pytest.mark.parametrize(
    "negatives, law, pool, bought",
    [
        ("request", "uniform", 8, 8),
        ("public", "uniform", 8, 8),
        ("public", "popularity", 8, 8),
        ("both", "uniform", 8, 8),
        ("both", "popularity", 8, 8),
        ("both", "uniform", 1000, 8),
        ("both", "uniform", 1, 25),
    ],
    ids=[
        "request",
        "public",
        "public by popularity",
        "both",
        "both, the pool by popularity",
        "both, the whole catalogue as pool",
        "both, a pool that is often all one's own",
    ],
)
def test_the_denominator_is_that_of_the_whole_catalogue_on_average(
    negatives: str, law: str, pool: int, bought: int
) -> None:
    """Σ exp(s) over all items but the client's own, to within five standard errors of the mean over many draws.

    V− are drawn unevenly, as a race (more than an eighth of what there is), whose inclusion probabilities are exact.
    """
    client_settings = {"negatives": negatives, "pool_size": pool, "pool": law}
    settings = {"client": client_settings, "request": {"rate": 1.0, "redraw": True}}
    world = build_world(settings, [bought])
    rng = np.random.default_rng(3)
    scores, q = rng.normal(size=world.n_items), rng.uniform(1, 3, world.n_items)
    found = estimates(world, 0, scores, q / q.sum())
    truth = np.exp(scores).sum() - np.exp(scores[world.devices.purchased.row(0)]).sum()
    error = found.std(ddof=1) / math.sqrt(ROUNDS)
    assert 5 * error < 0.15 * truth  # else nothing would be seen
    assert abs(found.mean() - truth) < 5 * error


def trained(settings: dict[str, Any]) -> dict[str, torch.Tensor]:
    world = build_world(settings)
    state = initial_state(world)
    for _ in range(2):
        state, _ = STRATEGIES[world.config.federated.strategy](state, world)
    return state_tensors(state)


WAYS = [
    ("split", "simulation"), ("split", "reference"), ("full", "simulation"), ("full", "reference"),
    ("central", "simulation"),
]  # fmt: skip


@pytest.mark.parametrize("strategy, engine", WAYS)
def test_without_obfuscating_items_both_kinds_are_the_pool_alone(strategy: str, engine: str) -> None:
    """P = 0: no log 2, and the same towers."""
    alike = {"request": {"rate": 0.0}, "train": {"engine": engine}, "federated": {"strategy": strategy}}
    one, two = (trained(merged(alike, {"client": {"negatives": kind}})) for kind in ("both", "public"))
    for name, tensor in two.items():
        torch.testing.assert_close(one[name], tensor, rtol=1e-5, atol=1e-6, msg=name)


def test_a_client_counts_its_kinds() -> None:
    counts = np.array([0, 1, 7])
    settings = {
        name: build_world({"client": {"negatives": name}}).config.client for name in ("public", "request", "both")
    }
    found = {name: client.kinds(each, counts).tolist() for name, each in settings.items()}
    assert found == {"public": [1, 1, 1], "request": [1, 1, 1], "both": [1, 2, 2]}
