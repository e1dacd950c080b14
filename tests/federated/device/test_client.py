"""Local steps: against PyTorch's own optimisers on one device, and what a client that keeps its own tower sends."""

from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world, entries

from spfedrec_cli.config import ClientConfig
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.device import client
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS, NO_MOMENTS
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.simulation.beginning import send_first_towers
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.split import ENGINES, split_round
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import Broadcast, Embeddings, Request
from spfedrec_cli.model.towers import flatten, query_tower, unflatten

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "momentum": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    "adam": {"optimizer": "adam", "lr": 0.01},
}
TORCH = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.01),
}

KEY = np.array([1, 2], np.uint64)


def a_device(settings: dict[str, Any]) -> tuple[World, client.Device, client.Public, Broadcast, torch.Tensor]:
    """Three purchases, all of them targets one after the other; the pool is four items that it did not buy."""
    steps = {"batch_size": 1, "target_share": 1.0, "logq": False, **settings}
    world = build_world({"client": steps}, [3])
    theta = initial_state(world).query
    embeddings = torch.nn.functional.normalize(torch.randn(7, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    bought = world.devices.purchased.row(0)
    others = np.setdiff1d(np.arange(world.n_items), bought)[:4].astype(np.int32)
    codecs = Codec(50.0, 2**20 - 1), Codec(50.0, 2**20 - 1)
    laws = np.ones(world.n_items) / world.n_items, np.zeros(world.n_items, np.float32)
    public = client.Public(world.config, *codecs, theta, *laws)
    device = client.Device(0, KEY, bought, world.devices.fields.codes[0], None)
    return world, device, public, Broadcast(1, flatten(theta).numpy(), others, embeddings[3:].numpy()), embeddings


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_three_steps_are_those_of_torch(name: str) -> None:
    """Written out: each purchase in turn is the target, the other two are the history. Δθ is the way of PyTorch's
    optimiser; g_v is the mean of the three gradients; the loss is the mean of the three losses."""
    world, device, public, broadcast, embeddings = a_device(OPTIMIZERS[name])
    batches = client.split_batches(world.config, KEY, 1, 3)
    assert sorted(int(mask.nonzero()) for mask in batches) == [0, 1, 2]
    theta = {key: weight.clone().requires_grad_() for key, weight in public.like.items()}
    optimizer = TORCH[name](list(theta.values()))
    losses, gradients = [], torch.zeros(7, 8)
    for mask in batches:
        items = embeddings.clone().requires_grad_()
        target, history = items[:3][mask][0], items[:3][~mask].mean(0)
        query = query_tower(world.config.model, theta, device.codes, history)
        scores = torch.stack([target @ query, *(item @ query for item in items[3:])]) / world.config.model.temperature
        loss = -torch.log_softmax(scores, 0)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert items.grad is not None
        gradients += items.grad / 3
    request, rows = Request(1, device.purchased), Embeddings(1, embeddings[:3].numpy())
    trained = client.train(device, public, broadcast, request, rows, {})
    assert trained.loss == pytest.approx(np.mean(losses), rel=1e-5)
    way = torch.cat([(theta[key] - weight).detach().reshape(-1) for key, weight in public.like.items()])
    sent = public.codec_query.decode(torch.from_numpy(trained.update.query).long())
    assert float((sent - way).abs().max()) < 1e-4
    sent = public.codec_item.decode(torch.from_numpy(trained.update.items).long())
    assert float((sent - gradients).abs().max()) < 1e-4
    assert float(way.abs().max()) > 5e-3


def test_two_steps_go_twice_where_the_gradient_stays() -> None:
    """By hand: g = 3 everywhere, lr = .1, μ = .5. Plain: −.3 a step. Momentum: −.3, then −.3 · 1.5."""
    gradient = torch.full((2,), 3.0)
    plain = ClientConfig(lr=0.1)
    one, moments = LOCAL_OPTIMIZERS["sgd"](plain, 1, gradient, NO_MOMENTS)
    two, _ = LOCAL_OPTIMIZERS["sgd"](plain, 2, gradient, moments)
    torch.testing.assert_close(one + two, torch.full((2,), -0.6))
    heavy = ClientConfig(lr=0.1, momentum=0.5)
    one, moments = LOCAL_OPTIMIZERS["sgd"](heavy, 1, gradient, NO_MOMENTS)
    two, _ = LOCAL_OPTIMIZERS["sgd"](heavy, 2, gradient, moments)
    torch.testing.assert_close(one + two, torch.full((2,), -0.3 - 0.45))


def test_batches_are_an_order_of_the_purchases_that_every_epoch_draws_anew() -> None:
    """Ten purchases, seven targets: batches of 3, 3, 1; the second epoch has other ones."""
    settings = {"batch_size": 3, "local_epochs": 2, "target_share": 0.7}
    masks = client.split_batches(build_world({"client": settings}).config, KEY, 1, 10)
    assert [int(mask.sum()) for mask in masks] == [3, 3, 1, 3, 3, 1]
    assert all(int(torch.stack(epoch).sum(0).max()) == 1 for epoch in (masks[:3], masks[3:]))
    assert not torch.equal(masks[0], masks[3])
    whole = client.split_batches(build_world({"client": {"target_share": 0.7}}).config, KEY, 1, 10)
    assert torch.equal(whole[0], torch.stack(masks[:3]).any(0))


def test_the_device_s_key_changes_the_order_of_every_epoch() -> None:
    config = build_world({"client": {"batch_size": 5, "local_epochs": 2}}).config
    both = [client.split_batches(config, np.array(key, np.uint64), 1, 40) for key in ([1, 2], [1, 3])]
    assert not torch.equal(both[0][0], both[1][0])
    assert not torch.equal(both[0][-1], both[1][-1])


TOWER = {"client": {"private_state": "tower", "batch_size": 3, "optimizer": "adam", "lr": 0.01}}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tower_of_ones_own_moves_and_is_never_sent(engine: str) -> None:
    world = build_world({**TOWER, "federated": {"cohort_size": 3}, "train": {"engine": engine}})
    before = initial_state(world)
    start, items = flatten(before.query).clone(), before.item["mlp.0.weight"].clone()
    after, report = split_round(before, world)
    assert torch.equal(flatten(after.query), start)
    assert not torch.equal(after.item["mlp.0.weight"], items)
    assert after.private is not None
    moved = (after.private != start).any(1).nonzero()[:, 0].tolist()
    assert moved == sorted(draw_cohort(world.config.federated, world.known.eligible, 0, 1).tolist())
    update = next(entry for entry in report.ledger.entries if entry.kind == "update")
    assert update.largest < 4 * world.known.width + 4 * (len(start) + 60) * 8
    assert not report.drowned


def test_the_tower_is_shipped_once_to_everybody_who_trains() -> None:
    world = build_world(TOWER)
    current, first = split_round(initial_state(world), world)
    _, second = split_round(current, world)
    shipped = [entry for entry in first.ledger.entries if entry.kind == "tower"]
    real = len(messages.serialise(messages.FirstTower(1, flatten(current.query).numpy())))
    everybody = len(world.known.eligible)
    assert [(entry.count, entry.bytes) for entry in shipped] == [(everybody, everybody * real)]
    assert "tower" not in [entry.kind for entry in second.ledger.entries]
    broadcast = next(entry for entry in second.ledger.entries if entry.kind == "broadcast")
    pool = world.config.client.pool_size
    empty = messages.Broadcast(2, np.empty(0, np.float32), np.zeros(pool, np.int32), np.zeros((pool, 8), np.float32))
    assert broadcast.largest == len(messages.serialise(empty))
    shared = build_world()
    channel = shared.channel(1)
    send_first_towers(initial_state(shared), shared, channel)
    assert entries(channel) == []


def test_towers_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    width = build_world(TOWER).known.width
    monkeypatch.setattr(refusals, "LARGEST_PRIVATE", 4 * 10 * width)
    build_world(TOWER)
    monkeypatch.setattr(refusals, "LARGEST_PRIVATE", 4 * 10 * width - 1)
    with pytest.raises(InputError, match=rf"10 query towers of {width} weights"):
        build_world(TOWER)


def test_own_towers_come_back_as_weights_a_client() -> None:
    world = build_world(TOWER)
    current = initial_state(world)
    assert current.private is not None
    towers = unflatten(current.private, current.query)
    assert all(torch.equal(towers[name][2], weight) for name, weight in current.query.items())
