"""Gradients written by hand against differences of the loss, for every form and loss; and their compiled forms."""

from itertools import pairwise

import numpy as np
import pytest

from spfedrec_cli.dtypes import F64, Bool
from spfedrec_cli.kernels import lists as kernel
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.losses import LOSSES

FEATURES, HIDDEN, STEP = 4, 3, 1e-6


def a_list(seed: int, length: int = 7) -> tuple[F64, Bool]:
    draw = np.random.default_rng(seed)
    bought = np.zeros(length, np.bool_)
    bought[draw.choice(length, 2, replace=False)] = True
    return draw.normal(size=(length, FEATURES)), bought


def weights_of(form: str, seed: int = 1) -> F64:
    return np.random.default_rng(seed).normal(size=FORMS[form].width(FEATURES, HIDDEN))


def loss_and_gradient(form: str, loss: str, weights: F64, x: F64, bought: Bool) -> tuple[float, F64]:
    scores, kept = FORMS[form].forward(weights, x, HIDDEN)  # type: ignore[arg-type]
    value, by_scores = LOSSES[loss](scores, bought)
    return value, FORMS[form].backward(weights, x, HIDDEN, kept, by_scores)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_that_of_the_loss(form: str, loss: str) -> None:
    (x, bought), weights = a_list(0), weights_of(form)
    _, gradient = loss_and_gradient(form, loss, weights, x, bought)
    for place in range(len(weights)):
        step = np.zeros(len(weights))
        step[place] = STEP
        above, below = (loss_and_gradient(form, loss, weights + sign * step, x, bought)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / (2 * STEP), abs=1e-6)


def test_the_linear_gradient_under_softmax_is_the_difference_of_means() -> None:
    """Σ (p − y) x: what is expected less what was bought."""
    (x, bought), weights = a_list(2), weights_of("linear")
    scores = x @ weights[:-1]
    chance = np.exp(scores) / np.exp(scores).sum()
    _, gradient = loss_and_gradient("linear", "softmax", weights, x, bought)
    np.testing.assert_allclose(gradient[:-1], chance @ x - x[bought].mean(0), atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", FORMS)
def test_the_compiled_loop_does_the_same(form: str, loss: str) -> None:
    """Three lists of two clients; of the same lists in another cohort, the same bits."""
    lists, weights = [a_list(seed, length) for seed, length in ((3, 5), (4, 9), (5, 2))], weights_of(form)
    x = np.concatenate([one for one, _ in lists]).astype(np.float32)
    bought = np.concatenate([one for _, one in lists]).astype(np.float64)
    offsets, owner = np.array([0, 5, 14, 16]), np.array([0, 1, 1])
    kinds, room = (kernel.FORMS[form], kernel.LOSSES[loss], HIDDEN), kernel.room_for(9, HIDDEN)
    grads, losses = np.zeros((2, len(weights))), np.zeros(2)
    kernel.add_gradients(kinds, x, bought, offsets, owner, weights, room, grads, losses)
    of_each = [
        loss_and_gradient(form, loss, weights, x[a:b].astype(np.float64), bought[a:b] > 0)
        for a, b in pairwise(offsets.tolist())
    ]
    np.testing.assert_allclose(losses, [of_each[0][0], of_each[1][0] + of_each[2][0]], rtol=1e-6)
    np.testing.assert_allclose(grads, [of_each[0][1], of_each[1][1] + of_each[2][1]], atol=1e-6)

    alone, none = np.zeros((1, len(weights))), np.zeros(1)
    kernel.add_gradients(kinds, x[5:], bought[5:], offsets[1:] - 5, owner[1:] - 1, weights, room, alone, none)
    np.testing.assert_array_equal(alone[0], grads[1])
    assert none[0] == losses[1]


def test_a_network_starts_by_the_seed() -> None:
    one, other = (FORMS["network"].start(FEATURES, HIDDEN, seed) for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert np.abs(one).max() <= np.sqrt(6 / (HIDDEN + 1))
    assert len(one) == FORMS["network"].width(FEATURES, HIDDEN)
    assert not FORMS["linear"].start(FEATURES, HIDDEN, 0).any()


def test_every_row_has_a_compiled_form() -> None:
    assert set(kernel.FORMS) == set(FORMS)
    assert set(kernel.LOSSES) == set(LOSSES)
