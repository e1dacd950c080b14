"""The server's step: formulas by hand, only rows that took part, and one conformance test for each table."""

import math

import numpy as np
import pytest
import torch
from worlds import features, seeded

from spfedrec_cli.config import ModelConfig, ServerConfig, validate
from spfedrec_cli.federated.server import optimizers
from spfedrec_cli.federated.server.item_tower import serve
from spfedrec_cli.federated.server.optimizers import Moments
from spfedrec_cli.model import towers

ONE = torch.tensor([1.0])


def stepped(name: str, second: float = 0.0) -> list[float]:
    """One step from w = 1 along Δ = 2 with η = .1, β1 = .9, β2 = .5, τ = 1."""
    config = ServerConfig(lr=0.1, beta1=0.9, beta2=0.5)
    rule = optimizers.SERVER_OPTIMIZERS[name]
    return [float(part) for part in rule(config, 1.0, ONE, 2 * ONE, 0 * ONE, second * ONE)]


def test_fedavg_by_hand() -> None:
    assert stepped("fedavg")[0] == pytest.approx(1 + 0.1 * 2)


def test_fedadam_by_hand() -> None:
    """m = .1·2, v = .5·8 + .5·4 = 6."""
    assert stepped("fedadam", 8.0) == pytest.approx([1 + 0.1 * 0.2 / (math.sqrt(6) + 1), 0.2, 6])


def test_fedadagrad_by_hand() -> None:
    """v = 8 + 4."""
    assert stepped("fedadagrad", 8.0) == pytest.approx([1 + 0.1 * 0.2 / (math.sqrt(12) + 1), 0.2, 12])


def test_fedyogi_by_hand() -> None:
    """v = 8 − .5·4·sign(8 − 4) = 6; and 1 − .5·4·sign(1 − 4) = 3."""
    assert stepped("fedyogi", 8.0) == pytest.approx([1 + 0.1 * 0.2 / (math.sqrt(6) + 1), 0.2, 6])
    assert stepped("fedyogi", 1.0)[2] == pytest.approx(3)


def test_rates_fall_evenly_by_hand() -> None:
    """Four rounds: 1, 3/4, 1/2, 1/4 of either rate, and nothing else changes."""
    config = validate({"server": {"schedule": "linear", "lr": 0.4, "item_lr": 8.0}, "train": {"rounds": 4}})
    rates = [optimizers.scheduled(config, round_) for round_ in (1, 2, 3, 4)]
    assert [each.lr for each in rates] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert [each.item_lr for each in rates] == pytest.approx([8, 6, 4, 2])
    assert rates[3].model_copy(update={"lr": 0.4, "item_lr": 8.0}) == config.server


@pytest.mark.parametrize("name", optimizers.SCHEDULES)
def test_every_schedule_begins_at_the_rate_and_never_stands_still(name: str) -> None:
    shares = [optimizers.SCHEDULES[name](round_, 7) for round_ in range(1, 8)]
    assert shares[0] == 1
    assert all(0 < share <= 1 for share in shares)
    assert all(optimizers.SCHEDULES[name](round_, 7) == shares[-1] for round_ in (8, 9, 30))  # an audit goes on


@pytest.mark.parametrize("name", optimizers.SERVER_OPTIMIZERS)
def test_every_server_optimizer_adds_along_the_update(name: str) -> None:
    rule, config = optimizers.SERVER_OPTIMIZERS[name], ServerConfig()
    weight, first, second = torch.zeros(4), torch.zeros(4), torch.full((4,), 1e-6)
    delta = torch.tensor([1.0, -1.0, 0.0, 0.01])
    for _ in range(5):
        weight, first, second = rule(config, 1e-3, weight, delta, first, second)
    assert weight.sign().tolist() == [1, -1, 0, 1]
    assert torch.isfinite(weight).all()


@pytest.mark.parametrize("name", optimizers.ITEM_OPTIMIZERS)
def test_every_item_optimizer_goes_downhill(name: str) -> None:
    rule, config = optimizers.ITEM_OPTIMIZERS[name], ServerConfig(item_lr=0.05)
    x, first, second = torch.tensor([[1.0], [-2.0]]), torch.zeros(2, 1), torch.zeros(2, 1)
    for step in range(1, 40):
        change, first, second = rule(config, x, first, second, torch.full((2, 1), step))
        x = x - change
    assert bool((x.abs() < torch.tensor([[1.0], [2.0]])).all())
    assert (x**2).sum() < 4.0


def test_item_adam_equals_torch() -> None:
    """On rows that always take part, the lazy Adam is Adam."""
    config = ServerConfig(item_lr=0.1, beta1=0.9, beta2=0.99)
    draw = seeded()
    ours = torch.randn(3, 2, generator=draw)
    theirs = torch.nn.Parameter(ours.clone())
    optimiser = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99), eps=optimizers.EPSILON)
    first, second = torch.zeros(3, 2), torch.zeros(3, 2)
    for step in range(1, 6):
        grad = torch.randn(3, 2, generator=draw)
        change, first, second = optimizers.adam(config, grad, first, second, torch.full((3, 1), step))
        ours = ours - change
        theirs.grad = grad.clone()
        optimiser.step()
    torch.testing.assert_close(ours, theirs.detach())


MODEL = ModelConfig(dim=4, field_dim=3, hidden=(5,))


def item_world() -> tuple[towers.Weights, towers.Features, Moments]:
    catalogue = features(np.random.default_rng(0), 8, {"id": 8, "type": 5})
    weights = towers.init_item_tower(MODEL, catalogue, 0)
    zeros = {name: torch.zeros_like(w) for name, w in weights.items()}
    steps = {n: torch.zeros(len(w) if towers.is_table(n) else 1, dtype=torch.int32) for n, w in weights.items()}
    return weights, catalogue, Moments(zeros, {name: w.clone() for name, w in zeros.items()}, steps)


def test_only_rows_that_took_part_are_touched() -> None:
    weights, catalogue, moments = item_world()
    before = {name: w.clone() for name, w in weights.items()}
    rows = np.array([2, 5])
    served = serve(MODEL, weights, catalogue, rows, 0.0, 0, 1)
    direction = torch.randn(2, 4, generator=seeded())
    weights, moments = optimizers.item_step(ServerConfig(), weights, moments, served, direction)
    moved = (weights["field.id"] != before["field.id"]).any(1).nonzero()[:, 0].tolist()
    assert moved == [2, 5]
    assert moments.steps["field.id"].nonzero()[:, 0].tolist() == [2, 5]
    types = set(catalogue.codes[[2, 5], 1].tolist())
    assert set((weights["field.type"] != before["field.type"]).any(1).nonzero()[:, 0].tolist()) == types
    assert not torch.equal(weights["mlp.0.weight"], before["mlp.0.weight"])


def test_the_split_gradient_is_the_whole_gradient() -> None:
    """Back-propagating g_v through the served rows equals differentiating the whole model end to end (SGD, η = 1)."""
    weights, catalogue, moments = item_world()
    direction = torch.randn(2, 4, generator=seeded())
    whole = {name: w.clone().requires_grad_() for name, w in weights.items()}
    loss = (towers.item_tower(MODEL, whole, catalogue.codes[[2, 5]]) * direction).sum()
    grads = dict(zip(whole, torch.autograd.grad(loss, list(whole.values())), strict=True))
    before = {name: w.clone() for name, w in weights.items()}
    served = serve(MODEL, weights, catalogue, np.array([2, 5]), 0.0, 0, 1)
    config = ServerConfig(item_optimizer="sgd", item_lr=1.0)
    weights, _ = optimizers.item_step(config, weights, moments, served, direction)
    for name, grad in grads.items():
        torch.testing.assert_close(weights[name], before[name] - grad)


@pytest.mark.parametrize("name", optimizers.ITEM_OPTIMIZERS)
@pytest.mark.parametrize("whole", [True, False], ids=["a weight", "rows of a table"])
def test_compiled_rules_are_the_rules(name: str, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "TOGETHER", 3)
    config, rows = ServerConfig(item_optimizer=name, item_lr=0.05), torch.tensor([4, 0, 5, 2, 1])
    draw = seeded()
    start = [draws(6, 3, generator=draw) for draws in (torch.randn, torch.randn, torch.rand)]
    steps = torch.zeros(1 if whole else 6, dtype=torch.int32)
    grads = [torch.randn(6 if whole else 5, 3, generator=draw) for _ in range(3)]
    found = {}
    for step in (optimizers._step_rows, optimizers._step_rows_compiled):
        tables, count = [table.clone() for table in start], steps.clone()
        for grad in grads:
            optimizers._step(step, config, tables, count, None if whole else rows, grad, 2)
        found[step.__name__] = tables, count
    (plain, plain_count), (compiled, compiled_count) = found.values()
    assert not torch.equal(plain[0], start[0])
    assert torch.equal(plain_count, compiled_count)
    for one, other in zip(plain, compiled, strict=True):
        torch.testing.assert_close(other, one)


def test_drowned_is_noticed() -> None:
    moments = Moments({"w": torch.ones(4)}, {"w": torch.full((4,), 1e-8)}, {})  # √v = 1e-4
    assert optimizers.is_drowned(moments, 1e-3)
    assert not optimizers.is_drowned(moments, 1e-5)
    assert not optimizers.is_drowned(Moments({"w": torch.zeros(4)}, moments.second, {}), 1e-3)
