"""The round as a whole."""

from typing import Any

import numpy as np
import pytest
import torch
from worlds import at_round, build_world, told_otherwise

from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.sampling.obfuscation import popularity_weights
from spfedrec_cli.federated.server.item_tower import serve
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution
from spfedrec_cli.federated.server.state import effective_tau
from spfedrec_cli.federated.server.steps import server_step
from spfedrec_cli.federated.simulation.round import taking_part
from spfedrec_cli.federated.simulation.state import State, initial_state, state_from_tensors, state_tensors
from spfedrec_cli.federated.strategies.split import ENGINES, split_round
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel


def test_the_loss_falls_on_a_checkerboard_of_tastes() -> None:
    """Clients buy either the even or the odd items: an answer that every round should come closer to."""
    from worlds import features

    from spfedrec_cli.config import validate
    from spfedrec_cli.data.ragged import Ragged
    from spfedrec_cli.federated.simulation.making import make_world
    from spfedrec_cli.model.embed import item_embeddings, query_embeddings

    rng = np.random.default_rng(0)
    rows = [sorted(rng.choice(np.arange(side, 40, 2), 8, replace=False).tolist()) for side in [0, 1] * 20]
    settings = {"client": {"pool_size": 40}, "federated": {"cohort_size": 40}, "model": {"id_dropout": 0.0}}
    plain = features(rng, 40, {})
    world = make_world(validate(settings), features(rng, 40, {"id": 40}), plain, Ragged.from_rows(rows))
    state = initial_state(world)
    losses = []
    for _ in range(60):
        state, report = split_round(state, world)
        losses.append(report.loss)
    assert losses[-1] < 0.75 * losses[0]
    items = item_embeddings(world.config.model, state.item, world.known.items)
    queries = query_embeddings(world.config.model, state.query, plain.codes, world.devices.purchased, items)
    best = (queries @ items.T).argsort(1, descending=True)[:, :10]
    assert float((best % 2 == torch.tensor([0, 1] * 20)[:, None]).float().mean()) > 0.95


def test_the_item_sum_is_over_the_rows_that_take_part() -> None:
    world = build_world()
    np.testing.assert_array_equal(taking_part(world, np.array([4, 2]), np.array([2, 7]), np.array([], int)), [2, 4, 7])


def test_pools_are_public_uniform_and_redrawn() -> None:
    world = build_world({"client": {"pool_size": 10}})
    pools = [draw_pool(world.config, np.ones(world.n_items), round_).tolist() for round_ in (1, 2)]
    assert pools[0] != pools[1]
    assert all(len(set(pool)) == 10 for pool in pools)
    assert draw_pool(build_world({"client": {"negatives": "request"}}).config, np.ones(50), 1).size == 0


def test_popularity_is_one_secure_sum_counted_once() -> None:
    world = build_world({"request": {"negatives": "popularity"}})
    state, first = split_round(initial_state(world), world)
    state, second = split_round(state, world)
    kinds = [[entry.kind for entry in report.ledger.entries] for report in (first, second)]
    assert kinds[0] == ["popularity", "counts", "broadcast", "request", "embeddings", "update"]
    assert kinds[1] == ["broadcast", "request", "embeddings", "update"]
    assert state.popularity is not None
    assert state.popularity.tolist() == np.bincount(world.devices.purchased.values, minlength=world.n_items).tolist()
    assert first.ledger.entries[0].count == len(world.known.eligible)


def test_clients_are_told_by_what_to_draw_and_can_draw_by_it() -> None:
    """The ledger counts the bytes of the real message, one to everybody who trains; what a device makes of it is the
    distribution that the simulation draws from."""
    world = build_world()
    state, report = split_round(initial_state(world), world)
    assert state.popularity is not None
    data = messages.serialise(messages.PublishedCounts(1, state.popularity.numpy().astype(np.int32)))
    (entry,) = (entry for entry in report.ledger.entries if entry.kind == "counts")
    everybody = len(world.known.eligible)
    assert entry.direction == "down"
    assert (entry.count, entry.largest, entry.bytes) == (everybody, len(data), everybody * len(data))
    received = messages.parse(data)
    assert isinstance(received, messages.PublishedCounts)
    drawn_by = popularity_weights(world.config.request, received.counts)
    np.testing.assert_array_equal(drawn_by, obfuscating_distribution(state.server, world.known))


def crossed_once(settings: dict[str, Any], given: bool = False) -> list[str]:
    """Kinds of the first round's ledger about popularity; that of the second one has none of them."""
    world = build_world(settings)
    counts = np.arange(world.n_items)
    world = told_otherwise(world, given_popularity=(lambda: counts) if given else None)
    step = STRATEGIES[world.config.federated.strategy]
    state, first = step(initial_state(world), world)
    _, second = step(state, world)
    ours = {"popularity", "counts"}
    assert not ours & {entry.kind for entry in second.ledger.entries}
    return [entry.kind for entry in first.ledger.entries if entry.kind in ours]


OWN = {"client": {"negatives": "request"}}
CROSSING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "hidden among popular items": ({}, ["popularity", "counts"]),
    "drawn anew every round": ({"request": {"redraw": True}}, ["popularity", "counts"]),
    "hidden among any items": ({"request": {"negatives": "uniform"}}, []),
    "hidden among none": ({"request": {"rate": 0}}, ["popularity"]),
    "a slate that the server draws": ({"request": {"mode": "slate", "slate_size": 10}}, ["popularity"]),
    "the whole catalogue": ({"request": {"mode": "catalogue"}}, []),
    "full, public negatives": ({"federated": {"strategy": "full"}}, []),
    "full, negatives of its own": ({"federated": {"strategy": "full"}, **OWN}, ["popularity", "counts"]),
    "central": ({"federated": {"strategy": "central"}, **OWN}, []),
}


@pytest.mark.parametrize("name", CROSSING)
def test_popularity_crosses_once_and_only_where_somebody_draws_by_it(name: str) -> None:
    settings, kinds = CROSSING[name]
    assert crossed_once(settings) == kinds
    assert crossed_once(settings, given=True) == [kind for kind in kinds if kind == "counts"]


def test_uniform_obfuscation_needs_no_popularity() -> None:
    world = build_world({"request": {"negatives": "uniform"}})
    state, _ = split_round(initial_state(world), world)
    assert state.popularity is None


def test_a_round_without_clients_changes_nothing_but_its_number() -> None:
    world = build_world({"federated": {"sampling": "poisson", "cohort_size": 1}})
    state = initial_state(world)
    empty = [r for r in range(200) if not len(draw_cohort(world.config.federated, world.known.eligible, 0, r + 1))]
    before = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
    after, report = split_round(at_round(state, empty[0]), world)
    assert report.clients == 0
    assert after.round == empty[0] + 1
    tensors = state_tensors(after)
    assert all(torch.equal(before[name], tensors[name]) for name in before)


def test_state_comes_back_from_its_tensors() -> None:
    world = build_world({"client": {"private_state": "embedding"}})
    state, _ = split_round(initial_state(world), world)
    again = state_from_tensors(state.round, state_tensors(state), state.private)
    assert list(again.query) == list(state.query)
    one, two = split_round(state_copy(state), world)[0], split_round(state_copy(again), world)[0]
    assert all(torch.equal(a, b) for a, b in zip(state_tensors(one).values(), state_tensors(two).values(), strict=True))


def state_copy(state: State) -> State:
    tensors = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
    return state_from_tensors(state.round, tensors, None if state.private is None else state.private.clone())


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_gives_the_same_bits_for_the_same_seed(name: str) -> None:
    def tensors(seed: int) -> list[torch.Tensor]:
        world = build_world({"federated": {"strategy": name}, "train": {"seed": seed}})
        state = initial_state(world)
        for _ in range(3):
            state, _ = STRATEGIES[name](state, world)
        return list(state_tensors(state).values())

    one, again, other = tensors(0), tensors(0), tensors(1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_steps_by_the_schedule(name: str) -> None:
    """Plain descent in the third of four rounds: half a step of both towers, along the same sums."""
    steps = []
    for schedule in ("constant", "linear"):
        plain = {"optimizer": "fedavg", "lr": 1.0, "item_optimizer": "sgd", "item_lr": 1.0, "schedule": schedule}
        world = build_world({"federated": {"strategy": name}, "server": plain, "train": {"rounds": 4}})
        state = at_round(initial_state(world), 2)
        before = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
        after = state_tensors(STRATEGIES[name](state, world)[0])
        steps.append({name: after[name] - before[name] for name in before if not name.startswith("moments")})
    for weight in ("query/mlp.0.weight", "item/mlp.0.weight"):
        whole, half = (step[weight] for step in steps)
        assert float(whole.abs().max()) > 0
        torch.testing.assert_close(half, whole / 2, rtol=1e-3, atol=1e-7, msg=weight)


def test_private_state_moves_for_the_cohort_alone() -> None:
    world = build_world({"client": {"private_state": "embedding"}, "federated": {"cohort_size": 3}})
    state, _ = split_round(initial_state(world), world)
    assert state.private is not None
    moved = state.private.abs().sum(1).nonzero()[:, 0].tolist()
    cohort = draw_cohort(world.config.federated, world.known.eligible, 0, 1).tolist()
    assert set(moved) <= set(cohort)
    assert moved


def test_ledger_totals() -> None:
    channel = Channel(4)
    channel.account(messages.Request, [10, 0, 30])
    channel.account(messages.Embeddings, [7])
    channel.account(messages.ClientUpdate, [])
    ledger = channel.ledger()
    assert ledger.total("up") == 40
    assert ledger.total("down") == 7
    assert ledger.entries[0].as_dict() == {
        "round": 4, "kind": "request", "direction": "up", "count": 2, "bytes": 40, "largest": 30,
    }  # fmt: skip


def test_request_negatives_need_a_request_rate() -> None:
    with pytest.raises(InputError, match=r"request\.rate"):
        build_world({"client": {"negatives": "request"}, "request": {"rate": 0}})


def test_nobody_to_train_is_said() -> None:
    with pytest.raises(InputError, match="No client"):
        build_world(lengths=[0, 0, 1][:2])


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    world = build_world()
    state = initial_state(world)
    state.query["mlp.1.bias"].fill_(float("nan"))
    with pytest.raises(SpfedrecError, match="round 1"):
        split_round(state, world)


def test_both_sums_are_divided_by_the_survivors() -> None:
    """Twice the clients with the same updates: twice the sum, the same mean, the same step."""
    world = build_world({"server": {"optimizer": "fedavg", "lr": 1.0, "item_optimizer": "sgd", "item_lr": 1.0}})
    rows = np.array([0, 1])
    steps = []
    for clients in (1, 2):
        state = initial_state(world)
        served = serve(world.config.model, state.item, world.known.items, rows, 0.0, 0, 1)
        width = sum(weight.numel() for weight in state.query.values())
        one = [torch.full(shape, step * clients).int() for shape, step in (((width,), 1000), ((2, 8), 500))]
        before = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
        after = server_step(state.server, world.known, served, *one, clients).tensors()
        steps.append({name: after[name].double() - before[name] for name in before})
    for name, step in steps[0].items():
        torch.testing.assert_close(steps[1][name], step, msg=name)
    unit = world.known.codecs()[0].limit / world.known.codecs()[0].qmax
    torch.testing.assert_close(
        steps[0]["query/mlp.1.bias"], torch.full((8,), 1000 * unit).double(), atol=1e-6, rtol=1e-4
    )
    assert steps[0]["item/mlp.1.bias"].abs().max() > 0


def test_tau_is_relative_to_the_clients_learning_rate_and_starts_v() -> None:
    world = build_world({"server": {"tau": 0.01}, "client": {"lr": 0.5}})
    assert effective_tau(world.config) == pytest.approx(0.005)
    second = initial_state(world).server.query_moments.second["mlp.0.weight"]
    torch.testing.assert_close(second, torch.full_like(second, 0.005**2))


def test_the_seed_changes_the_pool() -> None:
    for law in ("uniform", "popularity"):
        client, q = {"pool_size": 9, "pool": law}, np.arange(1.0, 51)
        pools = [draw_pool(build_world({"train": {"seed": s}, "client": client}).config, q, 1) for s in (0, 1)]
        assert pools[0].tolist() != pools[1].tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_empty_cohort_under_either_engine(engine: str) -> None:
    federated = {"sampling": "poisson", "cohort_size": 1}
    world = build_world({"federated": federated, "client": {"private_state": "embedding"}, "train": {"engine": engine}})
    drawn = [draw_cohort(world.config.federated, world.known.eligible, 0, r + 1) for r in range(200)]
    empty = next(round_ for round_, cohort in enumerate(drawn) if not len(cohort))
    _, report = split_round(at_round(initial_state(world), empty), world)
    assert (report.clients, report.loss) == (0, 0.0)
