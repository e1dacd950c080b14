"""FedAvg of the whole two-tower: one device and many agree, what it uploads is what FedAvg says, and bytes are real."""

import itertools
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import at_round, build_world, entries, merged

from spfedrec_cli.errors import InputError
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.device.client import Device, Public, split_batches
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution, training_prior
from spfedrec_cli.federated.server.steps import full_step
from spfedrec_cli.federated.simulation.beginning import item_fields, popularity_where_needed
from spfedrec_cli.federated.simulation.on_request import without_requests
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult
from spfedrec_cli.federated.simulation.state import State, initial_state, state_tensors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies import padded, whole_client, whole_cohort
from spfedrec_cli.federated.strategies.full import FULL_ENGINES, full_round
from spfedrec_cli.federated.strategies.whole_client import Whole
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import flatten, history_weights, item_tower, query_tower, unflatten

FULL = {"federated": {"strategy": "full"}}
CHOICES: dict[str, list[dict[str, Any]]] = {
    "negatives": [
        {"client": {"negatives": "public"}},
        {"client": {"negatives": "public", "pool_size": 1000}},
        {"client": {"negatives": "request"}, "request": {"rate": 0.25}},
        {"client": {"negatives": "request"}, "request": {"rate": 1.0, "redraw": True, "negatives": "uniform"}},
        {"client": {"negatives": "both"}, "request": {"rate": 0.25}},
        {"client": {"pool": "popularity", "pool_size": 12}},
        {"client": {"negatives": "both", "pool_size": 1000}, "request": {"rate": 1.0, "redraw": True}},
    ],
    "history": [{"model": {"history": kind}} for kind in ("none", "mean", "recency")],
    "private": [{"client": {"private_state": kind}} for kind in ("none", "embedding")],
    "steps": [
        {"client": {"local_epochs": epochs, "batch_size": size}} for epochs, size in ((1, 0), (2, 3), (1, 1), (2, 8))
    ],
    "optimizer": [
        {"client": {"optimizer": "sgd", "lr": 0.02}},
        {"client": {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9}},
        {"client": {"optimizer": "adam", "lr": 0.01, "eps": 1e-3}},
    ],
    "loss": [{"client": {"loss": name}} for name in LOSSES],
    "silent": [{"federated": {"dropout": share}} for share in (0.0, 0.1)],
    "logq": [{"client": {"logq": flag}} for flag in (True, False)],
    "prior": [
        {"model": {"prior": 0.0}},
        {"model": {"prior": 0.7}},
        {"model": {"prior": 0.7, "prior_in": "ranking"}},
    ],
    "excitation": [{"model": {"se_ratio": ratio}} for ratio in (0, 2)],
    "item fields": [{"model": {"item_fields": flag}} for flag in (True, False)],
    "dropout": [{"model": {"id_dropout": share}} for share in (0.0, 0.5)],
    "hidden": [{"model": {"hidden": widths}} for widths in ([], [8])],
    "sampling": [{"federated": {"sampling": kind}} for kind in ("fixed", "poisson")],
}
CONFIGURATIONS = 34


def rows() -> list[Any]:
    """Each row of choices is the one of many random ones that has most pairs of values not seen before."""
    rng, seen, found = random.Random(0), set[Any](), []
    for number in range(CONFIGURATIONS):
        drawn = [{name: rng.randrange(len(CHOICES[name])) for name in CHOICES} for _ in range(100)]
        row = max(drawn, key=lambda row: len(set(itertools.combinations(row.items(), 2)) - seen))
        seen |= set(itertools.combinations(row.items(), 2))
        chosen = merged(*(CHOICES[name][place] for name, place in row.items()))
        found.append(pytest.param(chosen, id=str(number)))
    sizes = [len(choices) for choices in CHOICES.values()]
    assert len(seen) == sum(one * two for one, two in itertools.combinations(sizes, 2))
    return found


def a_round(world: World, before: State) -> tuple[Whole, Cohort]:
    """What clients of the next round start from."""
    round_ = before.round + 1
    before = popularity_where_needed(before, world, world.channel(round_))
    clients = draw_cohort(world.config.federated, world.known.eligible, world.seed, round_)
    q = obfuscating_distribution(before.server, world.known)
    pool = draw_pool(world.config, q, round_)
    whole = Whole(round_, before.query, before.item, pool, q, training_prior(before.server, world.known))
    return whole, without_requests(before, world, clients)


def both(world: World, before: State) -> tuple[CohortResult, CohortResult]:
    """By either engine; what crosses is the same, to the byte."""
    whole, cohort = a_round(world, before)
    channels = [world.channel(whole.round) for _ in range(2)]
    fast = FULL_ENGINES["simulation"](world, whole, cohort, channels[0])
    plain = FULL_ENGINES["reference"](world, whole, cohort, channels[1])
    assert entries(channels[0]) == entries(channels[1])
    assert fast.uploads.tolist() == plain.uploads.tolist()
    return fast, plain


def assert_equal(world: World, before: State) -> CohortResult:
    fast, plain = both(world, before)
    assert fast.sums.clients == plain.sums.clients == plain.uploads.sum()
    torch.testing.assert_close(fast.losses, plain.losses, rtol=1e-4, atol=1e-5)
    if plain.private is not None:
        torch.testing.assert_close(fast.private, plain.private, rtol=1e-3, atol=1e-4)
    for ours, theirs in ((fast.sums.query, plain.sums.query), (fast.sums.items, plain.sums.items)):
        apart = (ours.long() - theirs.long()).abs()
        # One unit a client, where a float fell on either side of a half; and that in few places.
        assert int(apart.max()) <= len(plain.uploads)
        assert float((apart > 0).float().mean()) < 0.2
    return plain


def trained_a_little(world: World, rounds: int = 2) -> State:
    """A state in which no weight is zero by initialisation."""
    after = initial_state(world)
    for _ in range(rounds):
        after, _ = full_round(after, world)
    return after


@pytest.mark.parametrize("setting", rows())
def test_many_at_once_equal_one_at_a_time(setting: dict[str, Any]) -> None:
    world = build_world(merged(FULL, setting))
    plain = assert_equal(world, trained_a_little(world))
    assert int(plain.sums.query.count_nonzero()) > 0
    assert int(plain.sums.items.count_nonzero()) > 0


@given(st.lists(st.integers(0, 40), max_size=8).map(lambda rest: [4, *rest]), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_on_random_ragged_cohorts(lengths: list[int], seed: int) -> None:
    negatives = ("public", "request", "both")[seed % 3]
    kind = {"client": {"negatives": negatives}, "request": {"rate": 0.5}, "train": {"seed": seed}}
    chosen = (CHOICES[name][seed % len(CHOICES[name])] for name in ("steps", "optimizer", "history"))
    # Without hidden layers, whose kinks float noise may cross over tens of steps.
    world = build_world(merged(FULL, kind, *chosen, {"model": {"hidden": [], "se_ratio": 0}}), lengths, seed)
    assert_equal(world, trained_a_little(world, 1))


@pytest.mark.parametrize("cells", [1, 10_000])
def test_batches_do_not_change_what_is_uploaded(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    world = build_world(merged(FULL, {"client": {"batch_size": 3}}))
    monkeypatch.setattr(whole_cohort, "_CELLS", cells)
    assert_equal(world, trained_a_little(world, 1))


def test_one_device_by_autograd_over_both_towers() -> None:
    """Two full-batch steps by PyTorch's own SGD, over the whole item tower, equal what the device uploads."""
    world = build_world(merged(FULL, {"client": {"lr": 0.05, "local_epochs": 2, "momentum": 0.5}}))
    before = trained_a_little(world)
    whole, cohort = a_round(world, before)
    place = int(np.argmax(cohort.own.lengths))
    member, bought = int(cohort.clients[place]), cohort.own.row(place)
    model = messages.WholeModel(
        whole.round, flatten(whole.query).numpy(), flatten(whole.item).numpy(), whole.pool.astype(np.int32)
    )
    device = Device(member, cohort.keys[place], bought, world.devices.fields.codes[member], None)
    public = Public(world.config, *world.known.codecs(), whole.query, whole.obfuscating, whole.prior)
    trained = whole_client.train(device, public, whole.item, item_fields(world, whole.round), model)

    towers = flatten(before.query).clone().requires_grad_(), flatten(before.item).clone().requires_grad_()
    optimizer = torch.optim.SGD(towers, lr=0.05, momentum=0.5)
    negatives = [item for item in whole.pool.tolist() if item not in bought]
    keep = (
        whole_client.uniform(world.seed, "id_dropout", np.arange(world.n_items), whole.round)
        >= world.config.model.id_dropout
    )
    for targets in split_batches(world.config, device.key, whole.round, len(bought)):
        every = item_tower(
            world.config.model,
            unflatten(towers[1], before.item),
            world.known.items.codes,
            torch.from_numpy(keep).float(),
        )
        own = every[torch.from_numpy(bought).long()]
        history = history_weights(world.config.model, ~targets) @ own
        query = query_tower(world.config.model, unflatten(towers[0], before.query), device.codes, history)
        expected = np.log(len(whole.pool) / world.n_items)
        loss = LOSSES["softmax"](own[targets] @ query / 0.1, every[negatives] @ query / 0.1 - expected).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    codec = world.known.codecs()[0]
    for sent, ours, theirs in (
        (trained.update.query, towers[0], flatten(before.query)),
        (trained.update.item, towers[1], flatten(before.item)),
    ):
        decoded = codec.decode(torch.from_numpy(sent))
        torch.testing.assert_close(decoded, (ours - theirs).detach(), rtol=1e-3, atol=codec.limit / codec.qmax)
        assert float(decoded.abs().max()) > 100 * codec.limit / codec.qmax


def test_the_mean_of_a_sum_steps_both_towers() -> None:
    """Two clients whose coordinates sum to 1,000 units, plain FedAvg at η = 3: each weight moves by 1,500 units."""
    world = build_world(merged(FULL, {"server": {"optimizer": "fedavg", "lr": 3.0}}))
    before = initial_state(world)
    whole = Whole(1, before.query, before.item, np.empty(0, np.int64), np.empty(0), np.zeros(world.n_items, np.float32))
    cohort = without_requests(before, world, np.array([0, 1]))
    layout = whole_client.opening(world, whole, cohort, world.channel(1))
    sums = Sums.zero(layout.width, (len(layout.rows), layout.dim), clients=2)
    sums.query += 1000
    sums.items += 1000
    after = full_step(before.server, world.known, sums.query, sums.items, sums.clients)
    unit = world.known.codecs()[0].limit / world.known.codecs()[0].qmax
    for old, new in ((before.query, after.query), (before.item, after.item)):
        assert list(old) == list(new)
        for name in old:
            torch.testing.assert_close(
                new[name] - old[name], torch.full_like(old[name], 1500 * unit), rtol=1e-3, atol=1e-6
            )


def test_the_ledger_counts_real_bytes() -> None:
    """Both towers down with the pool's ids, both Δ up, the fields of the catalogue once; nobody requests."""
    world = build_world(FULL)
    before = initial_state(world)
    after, first = full_round(before, world)
    _, second = full_round(after, world)
    assert [entry.kind for entry in first.ledger.entries] == ["fields", "model", "delta"]
    assert [entry.kind for entry in second.ledger.entries] == ["model", "delta"]
    query, item = flatten(before.query).numpy(), flatten(before.item).numpy()
    pool = draw_pool(world.config, np.ones(world.n_items), 1).astype(np.int32)
    sent = [
        messages.ItemFields(1, world.known.items.codes[:, 1:].numpy().astype(np.int32)),
        messages.WholeModel(1, query, item, pool),
        messages.WholeUpdate(1, query.astype(np.int32), item.astype(np.int32)),
    ]
    for entry, message in zip(first.ledger.entries, sent, strict=True):
        size = len(messages.serialise(message))
        assert (entry.largest, entry.bytes) == (size, size * entry.count)
    assert [entry.count for entry in first.ledger.entries] == [len(world.known.eligible), 7, 7]


def test_ones_own_negatives_need_popularity_and_stay_on_the_device() -> None:
    world = build_world(merged(FULL, {"client": {"negatives": "request"}}))
    _, report = full_round(initial_state(world), world)
    assert [entry.kind for entry in report.ledger.entries] == ["popularity", "counts", "fields", "model", "delta"]


def test_only_rows_of_candidates_move_on_a_device() -> None:
    world = build_world(merged(FULL, {"client": {"negatives": "request"}, "request": {"rate": 0.5}}), [3, 8])
    whole, cohort = a_round(world, initial_state(world))
    sums = whole_cohort.train_cohort(world, whole, cohort, world.channel(1)).sums
    moved = sums.items[: world.n_items].abs().sum(1).nonzero()[:, 0].tolist()
    kept = whole_client.uniform(world.seed, "id_dropout", np.arange(world.n_items), 1) >= world.config.model.id_dropout
    candidates = {*cohort.own.values.tolist(), *cohort.hidden.items.values.tolist()}
    assert moved == sorted(item for item in candidates if kept[item])


def test_saturated_coordinates_are_counted_alike() -> None:
    world = build_world(merged(FULL, {"federated": {"range_query": 0.001}}))
    fast, plain = both(world, initial_state(world))
    assert fast.sums.saturated == pytest.approx(plain.sums.saturated, abs=2)
    assert plain.sums.saturated > 100


def test_whole_rounds_agree() -> None:
    """Server steps included: after three rounds of either engine the towers are the same to rounding."""
    fast = build_world(merged(FULL, {"client": {"private_state": "embedding"}}))
    plain = build_world(merged(FULL, {"client": {"private_state": "embedding"}, "train": {"engine": "reference"}}))
    one, two = trained_a_little(fast, 3), trained_a_little(plain, 3)
    for name, tensor in state_tensors(one).items():
        torch.testing.assert_close(state_tensors(two)[name], tensor, rtol=1e-2, atol=2e-3, msg=name)
    torch.testing.assert_close(one.private, two.private, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("engine", FULL_ENGINES)
def test_an_empty_cohort_under_either_engine(engine: str) -> None:
    settings = {"federated": {"sampling": "poisson", "cohort_size": 1}, "train": {"engine": engine}}
    world = build_world(merged(FULL, settings, {"client": {"private_state": "embedding"}}))
    drawn = [draw_cohort(world.config.federated, world.known.eligible, 0, r + 1) for r in range(200)]
    empty = next(round_ for round_, cohort in enumerate(drawn) if not len(cohort))
    _, report = full_round(at_round(initial_state(world), empty), world)
    assert (report.clients, report.loss) == (0, 0.0)


def test_more_candidates_than_memory_are_refused_with_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "LARGEST_CLIENT", 26_000)
    with pytest.raises(InputError, match=r"would hold 45 candidates .*; set client\.pool_size=\d+\.") as said:
        build_world(FULL)
    fitting = int(str(said.value).rsplit("=", 1)[1].rstrip("."))
    build_world(merged(FULL, {"client": {"pool_size": fitting}}))
    with pytest.raises(InputError, match="would hold"):
        build_world(merged(FULL, {"client": {"pool_size": fitting + 1}}))
    with pytest.raises(InputError, match=r"set request\.rate=0\.\d+"):
        build_world(merged(FULL, {"client": {"negatives": "request"}, "request": {"rate": 1.0}}))


def test_of_both_kinds_as_much_of_the_pool_is_left_as_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """25 purchases, as many obfuscating items at P = 1 and a pool of 20; where the former alone do not fit, a pool."""
    both = {"client": {"negatives": "both"}, "request": {"rate": 1.0}}
    size = 4 * whole_cohort.client_floats(build_world(FULL).config, build_world(FULL).shapes, 25 + 25 + 11)
    monkeypatch.setattr(refusals, "LARGEST_CLIENT", size)
    with pytest.raises(InputError, match=r"would hold 70 candidates .*; set client\.pool_size=11\."):
        build_world(merged(FULL, both))
    build_world(merged(FULL, both, {"client": {"pool_size": 11}}))
    small = 4 * whole_cohort.client_floats(build_world(FULL).config, build_world(FULL).shapes, 25 + 13)
    monkeypatch.setattr(refusals, "LARGEST_CLIENT", small)
    with pytest.raises(InputError, match=r"; set client\.negatives=public and client\.pool_size=13\."):
        build_world(merged(FULL, both))
    build_world(merged(FULL, both, {"client": {"negatives": "public", "pool_size": 13}}))


PERTURBATIONS = {
    "target split of the device": (whole_client, "split_batches", lambda f: lambda c, k, r, n: f(c, k, r + 1, n)),
    "order of purchases of many": (padded, "TARGETS", lambda stream: stream + 1),
    "item tower of the device": (whole_client, "item_tower", lambda f: lambda *a: 1.001 * f(*a)),
    "history of many": (whole_cohort, "history_weights", lambda f: lambda m, mask: 0.99 * f(m, mask)),
    "dropout of many": (whole_cohort, "uniform", lambda f: lambda s, name, c, r: f(s, name, c, r + 1)),
}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbed_side_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    world = build_world(merged(FULL, {"client": {"batch_size": 3, "local_epochs": 2}, "model": {"id_dropout": 0.5}}))
    before = trained_a_little(world)
    assert_equal(world, before)
    module, attribute, change = PERTURBATIONS[name]
    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    with pytest.raises(AssertionError):
        assert_equal(world, before)
