"""Every kernel against its plain form: numpy, PyTorch's autograd, the device's own optimisers and codec."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import build_world

from spfedrec_cli.config import ClientConfig, ModelConfig
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS, NO_MOMENTS
from spfedrec_cli.federated.simulation.compilable import tower_of
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.kernels import arithmetic, descent, draws, encoding, history, losses, tower
from spfedrec_cli.model import towers
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import flatten, history_weights, query_tower, unflatten
from spfedrec_cli.rng import permuted, stream_key, uniform, uniform_own

F32 = np.float32


@cache
def entered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that only others call, called from here: one entry for all tests, compiled once."""

    @numba.njit
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call  # type: ignore[no-any-return]


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


def test_exp_is_off_by_two_units_of_the_last_place_at_most() -> None:
    exp = entered(arithmetic.exp)
    values = np.concatenate([np.linspace(-87, 88, 20_011), floats(1000)]).astype(F32)
    found = np.array([exp(value) for value in values])
    exact = np.exp(values.astype(np.float64))
    assert np.abs(found - exact).max() > 0
    assert (np.abs(found - exact) <= 2 * np.spacing(exact.astype(F32))).all()
    assert exp(F32(-1e30)) < 1e-37
    assert math.isfinite(exp(F32(1e30)))


@pytest.mark.parametrize("values", [[], [0.0], [-3.0, 2.0], [1e-40, -1e30], [-5.0, -7.0, -6.0]])
def test_extremes(values: list[float]) -> None:
    given = np.array(values, F32)
    assert entered(arithmetic.largest)(given) == np.abs(given).max(initial=0)
    assert entered(arithmetic.largest_difference)(given, np.zeros_like(given)) == np.abs(given).max(initial=0)
    assert entered(arithmetic.highest)(given, losses.FLOOR) == given.max(initial=losses.FLOOR)


@pytest.mark.parametrize("rows, columns", [(1, 1), (3, 5), (64, 48), (16, 80)])
def test_products_of_matrices(rows: int, columns: int) -> None:
    matrix, right, left = floats(rows, columns), floats(columns, seed=1), floats(rows, seed=2)
    out, back = np.empty(rows, F32), np.empty(columns, F32)
    entered(arithmetic.times)(matrix.ravel(), right, out)
    entered(arithmetic.transposed_times)(matrix.ravel(), left, back)
    np.testing.assert_allclose(out, matrix @ right, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(back, left @ matrix, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stream, count", [(0, 1), (7, 4), (2, 30)])
def test_draws_are_those_of_the_device(stream: int, count: int) -> None:
    """The words that `rng.uniform_own` centres; and the order of the places by them."""
    words, places = np.empty(count, np.uint64), np.arange(0, count, 2)
    key = np.array([5, 2**32 - 1], np.uint64)
    entered(draws.words)(key, np.uint64(stream), np.uint64(9), words)
    (expected,) = uniform_own(key[None], stream, 9, count)
    np.testing.assert_array_equal((words + 0.5) * 2.0**-32, expected)
    entered(draws.order)(words, places)
    assert places.tolist() == sorted(range(0, count, 2), key=lambda place: expected[place])


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
@settings(deadline=None, max_examples=50)
def test_sort(values: list[int]) -> None:
    found = np.array(values, np.uint64)
    entered(draws.sort)(found)
    assert found.tolist() == sorted(values)


@pytest.mark.parametrize("kind", history.NUMBERS)
@pytest.mark.parametrize("targets", [[], [1], [0, 4], [0, 1, 2, 3, 4]])
def test_history(kind: str, targets: list[int]) -> None:
    weights, mask = np.full(5, 7, F32), torch.ones(5)
    mask[targets] = 0
    entered(history.weigh_history)(history.NUMBERS[kind], F32(2.0), np.array(targets, np.int64), weights)
    expected = history_weights(ModelConfig(history=kind, half_life=2.0), mask)  # type: ignore[arg-type]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize("name", losses.NUMBERS)
@pytest.mark.parametrize("negatives, left_out, spread", [(0, 0, 1), (6, 0, 1), (6, 2, 1), (6, 6, 1), (1500, 3, 30)])
def test_losses_are_those_of_autograd(name: str, negatives: int, left_out: int, spread: float) -> None:
    own, others, targets = spread * floats(9), spread * floats(negatives, seed=1), np.array([1, 5, 8])
    others[:left_out] = losses.FLOOR
    leaves = [torch.from_numpy(values.copy()).requires_grad_() for values in (own, others)]
    hidden = torch.where(leaves[1] <= float(losses.FLOOR), -torch.inf, leaves[1])
    loss = LOSSES[name](leaves[0][targets], hidden).mean()
    of_own, of_others = torch.autograd.grad(loss, leaves, materialize_grads=True)
    by_own, room = np.zeros(9, F32), np.empty((2, negatives), F32)
    call = entered(losses.loss_and_gradients)
    found = call(losses.NUMBERS[name], own, targets, others, negatives - left_out, by_own, (room[0], room[1]))
    assert found == pytest.approx(float(loss.detach()), rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(by_own, of_own, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(others, of_others, rtol=1e-4, atol=1e-6)


def test_every_choice_has_a_number() -> None:
    assert list(losses.NUMBERS) == list(LOSSES)
    assert list(descent.NUMBERS) == list(LOCAL_OPTIMIZERS)


@pytest.mark.parametrize("se_ratio", [0, 1, 2])
@pytest.mark.parametrize("kind", ["none", "mean"])
@pytest.mark.parametrize("hidden", [[], [8], [8, 5]])
def test_the_tower_is_that_of_autograd(se_ratio: int, kind: str, hidden: list[int]) -> None:
    world = build_world({"model": {"se_ratio": se_ratio, "history": kind, "hidden": hidden}})
    like = {name: weight + 0.1 for name, weight in initial_state(world).query.items()}
    shape, codes, width = tower_of(like), world.devices.fields.codes[3], 2 * 4
    fields = np.concatenate([like["field.age"][codes[0]], like["field.status"][codes[1]]])
    dense = flatten(towers.dense(like)).numpy()
    pooled, grad, passed = floats(8), floats(8, seed=1), tower.room_for(shape)
    base, query, of_history, by_weights = (
        pooled.copy(),
        np.empty(8, F32),
        np.empty(8, F32),
        np.empty(width + len(dense), F32),
    )
    entered(tower.forward)(shape, fields, dense, base, pooled, passed)
    raw = passed.rights[len(shape.matrices), :8]
    length = entered(tower.stretched)(shape, raw, query)
    of_raw = grad.copy()
    entered(tower.of_stretched)(shape, query, length, F32(0.5), of_raw)
    entered(tower.backward)(shape, fields, dense, of_raw, passed, of_history)
    entered(tower.multiply_out)(shape, passed, by_weights)

    flat, history = flatten(like).requires_grad_(), torch.from_numpy(pooled).requires_grad_()
    expected = query_tower(world.config.model, unflatten(flat, like), codes, history)
    by_flat, by_history = torch.autograd.grad(expected, [flat, history], torch.from_numpy(grad) / 0.5)
    np.testing.assert_allclose(query, expected.detach(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_history, by_history, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(by_weights[width:], by_flat[len(flat) - len(dense) :], rtol=1e-3, atol=1e-5)
    tables = unflatten(by_flat, like)
    rows = torch.cat([tables["field.age"][codes[0]], tables["field.status"][codes[1]]])
    np.testing.assert_allclose(by_weights[:width], rows, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("client", [{}, {"momentum": 0.9}, {"optimizer": "adam", "lr": 0.01}])
def test_steps_are_those_of_a_device(client: dict[str, Any]) -> None:
    rules = ClientConfig(**client)
    numbers = (F32(value) for value in (rules.lr, rules.momentum, rules.beta1, rules.beta2, rules.eps))
    rule = descent.Rule(descent.NUMBERS[rules.optimizer], *numbers)
    weights, first, second = np.zeros(50, F32), np.full(50, 7, F32), np.full(50, 7, F32)
    plain, moments, step = torch.zeros(50), NO_MOMENTS, entered(descent.step)
    for number, grad in enumerate(floats(4, 50), 1):
        moved, moments = LOCAL_OPTIMIZERS[rules.optimizer](rules, number, torch.from_numpy(grad), moments)
        plain = plain + moved
        step(rule, number, weights, grad, first, second)
    np.testing.assert_allclose(weights, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("limit", [1e-3, 1.0, 10.0])
def test_fixed_point_is_that_of_the_codec(limit: float) -> None:
    """To the bit, where floats are multiplied once: halves go to the even integer, what is too large is cut."""
    codec, values = Codec(limit, 2**20 - 1), floats(300)
    values[:3] = np.array([0.5, 1.5, -2.5]) / codec.scale
    expected, cut = codec.encode(torch.from_numpy(values.copy()))
    total = np.ones(300, np.int32)
    numbers = F32(codec.scale), F32(codec.qmax)
    assert entered(encoding.add_rounded)(total, values, *numbers) == cut
    np.testing.assert_array_equal(total - 1, expected)
    assert entered(encoding.add_rounded_difference)(total, np.zeros_like(values), values, *numbers) == cut
    np.testing.assert_array_equal(total, 1)


@pytest.mark.parametrize("limit", [1e-3, 20.0])
def test_a_product_in_fixed_point(limit: float) -> None:
    left, right, codec = floats(7), floats(9, seed=1), Codec(limit, 2**20 - 1)
    expected, cut = codec.encode(torch.from_numpy(np.outer(left, right)))
    total, numbers = np.zeros(63, np.int32), (F32(codec.scale), F32(codec.qmax))
    assert entered(encoding.add_rounded_product)(total, left, right, *numbers) == cut
    assert np.abs(total - expected.numpy().ravel()).max() <= 1
    one, two = np.zeros(9, np.int32), floats(9, seed=2)
    entered(encoding.add_rounded_sum)(one, right, F32(2.0), two, F32(-3.0), F32(4.0))
    np.testing.assert_array_equal(one, np.rint(2 * right - 3 * two).clip(-4, 4))


@given(st.integers(1, 3000), st.integers(0, 2**31), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_permuted_places_are_those_of_the_plain_form(population: int, seed: int, round_: int) -> None:
    places = np.arange(0, population, 3)
    found = draws.permuted(seed, "cohort", population, places, round_)
    assert found.tolist() == permuted(seed, "cohort", population, places, round_).tolist()


def test_one_draw_each_is_that_of_the_plain_form() -> None:
    clients, found = np.array([0, 7, 2**40 + 3]), np.empty(3)
    draws.uniform_each(np.array(stream_key(5, "x"), np.uint64), clients, np.uint64(9), found)
    assert found.tolist() == uniform(5, "x", clients, 9).tolist()
