"""The upper bound: `split` in one local step, but for fixed point; one graph over both towers; nothing crosses."""

from typing import Any

import numpy as np
import pytest
import torch
from worlds import at_round, build_world

from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.device import client
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.server.item_tower import serve
from spfedrec_cli.federated.server.publishing import draw_pool, obfuscating_distribution, training_prior
from spfedrec_cli.federated.simulation.beginning import popularity_where_needed
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.on_request import without_requests
from spfedrec_cli.federated.simulation.round import Cohort, Published, taking_part
from spfedrec_cli.federated.simulation.state import State, initial_state, state_tensors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies import collected, padded
from spfedrec_cli.federated.strategies.central import central_round
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import flatten, history_weights, item_tower, query_tower
from spfedrec_cli.rng import uniform

MODES: dict[str, dict[str, Any]] = {
    "public negatives": {},
    "negatives of one's own": {"client": {"negatives": "request"}, "request": {"rate": 1.0}},
    "a pool by popularity": {"client": {"pool": "popularity", "pool_size": 12}},
    "both kinds of negatives": {"client": {"negatives": "both"}, "request": {"rate": 1.0}},
    "no logQ, recent history, all targets": {
        "client": {"logq": False, "target_share": 1.0},
        "model": {"history": "recency"},
    },
    "a prior in the logits": {"model": {"prior": 0.7}, "client": {"negatives": "both"}},
    "private embedding": {"client": {"private_state": "embedding"}},
}


def a_round(world: World, state: State) -> tuple[Published, Cohort]:
    """What both strategies start from in round 1."""
    state = popularity_where_needed(state, world, world.channel(1))
    clients = draw_cohort(world.config.federated, world.known.eligible, world.seed, 1)
    q = obfuscating_distribution(state.server, world.known)
    pool = draw_pool(world.config, q, 1)
    cohort = without_requests(state, world, clients)
    rows = taking_part(world, cohort.own.values, cohort.hidden.items.values, pool)
    served = serve(
        world.config.model, state.item, world.known.items, rows, world.config.model.id_dropout, world.seed, 1
    )
    places, prior = np.searchsorted(rows, pool), training_prior(state.server, world.known)
    return Published(1, state.query, rows, served.embeddings, places, q, prior), cohort


@pytest.mark.parametrize("name", MODES)
def test_one_local_step_of_split_is_the_gradient(name: str) -> None:
    """mean Δθ_u = −lr · gradient and mean g_v = gradient by ṽ, each to the resolution of the codec."""
    world = build_world(MODES[name])
    published, cohort = a_round(world, initial_state(world))
    found = collected.gradients(world, published, cohort)
    result = train_cohort(world, published, cohort, world.channel(1))
    codec_query, codec_item = world.known.codecs()
    lr, clients = world.config.client.lr, len(cohort)
    unit = codec_query.limit / codec_query.qmax / 2
    of_query = codec_query.decode(result.sums.query) / clients / -lr
    torch.testing.assert_close(of_query, found.query / clients, rtol=1e-4, atol=unit / lr + 1e-5)
    of_items = codec_item.decode(result.sums.items) / clients
    torch.testing.assert_close(of_items, found.items / clients, rtol=1e-4, atol=unit + 1e-5)
    assert float((found.query / clients).abs().max()) > 100 * unit / lr
    assert float((found.items / clients).abs().max()) > 100 * unit
    torch.testing.assert_close(found.losses, result.losses, rtol=1e-5, atol=1e-6)
    if cohort.private is not None:
        torch.testing.assert_close(found.private, result.private, rtol=1e-4, atol=1e-6)


def one_graph(world: World, state: State, published: Published, cohort: Cohort) -> dict[str, torch.Tensor]:
    """The gradient of the mean loss by every weight: both towers whole in a single graph, client after client."""
    model, pool = world.config.model, published.rows[published.pool]
    query = {name: weight.clone().requires_grad_() for name, weight in state.query.items()}
    item = {name: weight.clone().requires_grad_() for name, weight in state.item.items()}
    keep = uniform(world.seed, "id_dropout", np.arange(world.n_items), 1) >= model.id_dropout
    every = item_tower(model, item, world.known.items.codes, torch.from_numpy(keep).float())
    losses = []
    for place, member in enumerate(cohort.clients):
        bought = cohort.own.row(place)
        (targets,) = client.split_batches(collected.one_step(world.config), cohort.keys[place], 1, len(bought))
        own, negatives = every[torch.from_numpy(bought).long()], [i for i in pool if i not in bought]
        embedded = query_tower(
            model, query, world.devices.fields.codes[int(member)], history_weights(model, ~targets) @ own
        )
        noise = every[negatives] @ embedded / model.temperature - np.log(len(pool) / world.n_items)
        losses.append(LOSSES["softmax"](own[targets] @ embedded / model.temperature, noise).mean())
    torch.stack(losses).mean().backward()
    return {
        f"{tower}/{name}": w.grad for tower, leaves in (("query", query), ("item", item)) for name, w in leaves.items()
    }


def test_a_plain_round_steps_down_the_gradient_of_one_graph() -> None:
    plain = {"optimizer": "fedavg", "lr": 2.0, "item_optimizer": "sgd", "item_lr": 3.0}
    world = build_world({"server": plain, "client": {"lr": 0.5, "local_epochs": 3, "batch_size": 2}})
    state = initial_state(world)
    grads = one_graph(world, state, *a_round(world, state))
    before = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
    after = state_tensors(central_round(state, world)[0])
    for name, grad in grads.items():
        rate = 2.0 * 0.5 if name.startswith("query") else 3.0
        torch.testing.assert_close(after[name] - before[name], -rate * grad, rtol=1e-4, atol=1e-6, msg=name)
        assert float(grad.abs().max()) > 0, name


def test_rounds_of_split_and_central_stay_together() -> None:
    """What is left between them, where no request brings negatives of its own, is fixed point. (Adam would blow it up
    where a gradient is zero.)"""
    server = {"optimizer": "fedavg", "lr": 1.0, "item_optimizer": "sgd", "item_lr": 0.1}
    world = build_world({"server": server, "request": {"rate": 0.0}})
    one, two = initial_state(world), initial_state(world)
    for _ in range(4):
        (one, left), (two, right) = split_round(one, world), central_round(two, world)
        assert right.loss == pytest.approx(left.loss, rel=1e-4)
    for name, weight in one.item.items():
        torch.testing.assert_close(two.item[name], weight, rtol=1e-3, atol=1e-4, msg=name)
    torch.testing.assert_close(flatten(two.query), flatten(one.query), rtol=1e-3, atol=1e-4)


def test_nothing_crosses_and_the_report_says_what_that_means() -> None:
    world = build_world({"client": {"negatives": "request"}, "request": {"negatives": "popularity"}})
    state, report = central_round(initial_state(world), world)
    assert report.ledger.entries == []
    assert report.warning is not None
    assert "nothing is private" in report.warning
    assert state.popularity is not None  # the server counts for itself
    assert split_round(initial_state(world), world)[1].warning is None


def test_batches_do_not_change_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    world = build_world({"client": {"private_state": "embedding"}})
    published, cohort = a_round(world, initial_state(world))
    whole = collected.gradients(world, published, cohort)
    monkeypatch.setattr(collected, "_CELLS", 1)
    alone = collected.gradients(world, published, cohort)
    for name in ("query", "items", "private", "losses"):
        torch.testing.assert_close(getattr(alone, name), getattr(whole, name), rtol=1e-4, atol=1e-5)


def test_an_empty_cohort_changes_nothing() -> None:
    world = build_world({"federated": {"sampling": "poisson", "cohort_size": 1}})
    drawn = [draw_cohort(world.config.federated, world.known.eligible, 0, r + 1) for r in range(200)]
    empty = next(round_ for round_, cohort in enumerate(drawn) if not len(cohort))
    state = at_round(initial_state(world), empty)
    before = [tensor.clone() for tensor in state_tensors(state).values()]
    after, report = central_round(state, world)
    assert (report.clients, report.loss) == (0, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(state_tensors(after).values(), before, strict=True))


@pytest.mark.parametrize("name", ["full", "central"])
def test_a_tower_of_ones_own_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=f"private_state = tower has no meaning under .* = {name}.*; keep an embedding"
    ):
        build_world({"federated": {"strategy": name}, "client": {"private_state": "tower"}})


@pytest.mark.parametrize("mode", ["slate", "catalogue"])
@pytest.mark.parametrize("name", ["full", "central"])
def test_what_is_published_instead_of_requests_is_refused(name: str, mode: str) -> None:
    told = f"request.mode = {mode} has no meaning under .* = {name}, where nobody requests .*; set request.mode = paper"
    with pytest.raises(InputError, match=told):
        build_world({"federated": {"strategy": name}, "request": {"mode": mode}})


PERTURBATIONS = {
    "order of purchases": (padded, "TARGETS", lambda stream: stream + 1),
    "number of targets": (padded, "target_counts", lambda f: lambda share, n: np.minimum(f(share, n) + 1, n)),
    "query tower": (collected, "query_tower", lambda f: lambda *a: 1.01 * f(*a)),
    "history": (collected, "history_weights", lambda f: lambda m, mask: 0.97 * f(m, mask)),
}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbed_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module, attribute, change = PERTURBATIONS[name]
    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    with pytest.raises(AssertionError):
        test_one_local_step_of_split_is_the_gradient("public negatives")
