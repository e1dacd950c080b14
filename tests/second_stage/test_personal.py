"""A device's own last layer: by arithmetic that is shown, and by the compiled loop as by numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spfedrec_cli.dtypes import F32, F64
from spfedrec_cli.kernels import lists as kernel
from spfedrec_cli.second_stage.examples import Lists
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.losses import LOSSES
from spfedrec_cli.second_stage.personal import Personal, corrected, step_size

HIDDEN = 3


def lists_of(seed: int, lengths: tuple[int, ...] = (3, 5)) -> Lists:
    draw = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(lengths))
    bought = np.zeros(offsets[-1], np.bool_)
    bought[offsets[:-1]] = True
    x = draw.normal(size=(offsets[-1], 4)).astype(np.float32)
    return Lists(x, bought, offsets, np.zeros(len(lengths), np.int64))


def test_one_step_by_hand() -> None:
    """Two candidates with features 1 and 0, the first was bought, equal scores: the softmax gives each a half, so that
    the gradient is (½ − 1) · 1 + ½ · 0 = −½. A step is 1/(μ + 1 + 1²) = ¼ of it for μ = 2."""
    lists = Lists(np.array([[1], [0]], np.float32), np.array([True, False]), np.array([0, 2]), np.zeros(1, np.int64))
    own = corrected(lists, lists.x, np.zeros(2), Personal(1, 2.0, "softmax"))
    assert own.tolist() == pytest.approx([1 / 8, 0])


def test_without_lists_it_is_what_all_have() -> None:
    nothing = Lists(np.empty((0, 4), np.float32), np.empty(0, np.bool_), np.zeros(1, np.int64), np.empty(0, np.int64))
    shared = np.arange(5.0)
    assert corrected(nothing, nothing.x, shared, Personal(9, 0.1, "softmax")).tolist() == shared.tolist()


def test_it_ranks_its_own_lists_better_and_a_strong_pull_keeps_it_where_it_was() -> None:
    lists, shared = lists_of(1), np.zeros(5)

    def loss(weights: F64) -> float:
        parts = [slice(a, b) for a, b in zip(lists.offsets[:-1], lists.offsets[1:], strict=True)]
        return sum(LOSSES["softmax"](lists.x[p] @ weights[:-1] + weights[-1], lists.bought[p])[0] for p in parts)

    free, held = (corrected(lists, lists.x, shared, Personal(50, pull, "softmax")) for pull in (0.0, 1e4))
    assert loss(free) < 0.7 * loss(shared)
    assert np.abs(held).max() < 1e-3 < np.abs(free).max()


@pytest.mark.parametrize("form", FORMS)
def test_the_last_layer_on_what_enters_it_gives_the_scores(form: str) -> None:
    draw = np.random.default_rng(0)
    weights, x = draw.normal(size=FORMS[form].width(4, HIDDEN)), draw.normal(size=(6, 4)).astype(np.float32)
    entering, last = FORMS[form].last(weights, x, HIDDEN)
    expected = FORMS[form].forward(weights, x, HIDDEN)[0]
    np.testing.assert_allclose(entering @ last[:-1] + last[-1], expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    loss=st.sampled_from(list(LOSSES)),
    lengths=st.lists(st.integers(2, 9), min_size=1, max_size=4),
    steps=st.integers(0, 6),
)
def test_the_compiled_loop_does_what_numpy_does(seed: int, loss: str, lengths: list[int], steps: int) -> None:
    lists, how = lists_of(seed, tuple(lengths)), Personal(steps, 0.3, loss)
    shared = np.random.default_rng(seed).normal(size=5)
    np.testing.assert_allclose(compiled(lists, lists.x, shared, how), corrected(lists, lists.x, shared, how), atol=1e-9)


def compiled(lists: Lists, entering: F32, shared: F64, how: Personal) -> F64:
    own, longest = shared.copy(), int(np.diff(lists.offsets).max())
    room, by = (np.empty(longest), np.empty(longest)), (step_size(entering, how), how.proximal)
    bought = lists.bought.astype(np.float64)
    kernel.correct(
        kernel.LOSSES[how.loss], entering, bought, lists.offsets, shared, how.steps, by, room, np.empty(5), own
    )
    return own
