"""Draws of items by the compiled loop are those of a plain one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spfedrec_cli.kernels.tries import Law, Wanted, draw
from spfedrec_cli.rng import uniform_own


def plainly(weights: np.ndarray, key: np.ndarray, own: set[int], need: int, tries: int) -> tuple[list[int], int]:
    """What came, and how many draws of items of others it took."""
    cumulative, found, foreign = np.cumsum(weights), list[int](), 0
    for share in uniform_own(key[None], 5, 7, tries)[0]:
        item = min(int(np.searchsorted(cumulative, share * cumulative[-1], side="right")), len(weights) - 1)
        if item not in own:
            foreign += 1
            if item not in found:
                found.append(item)
        if len(found) == need:
            return found, foreign
    return found, 0


@pytest.mark.parametrize("tail", [0, 5])
@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
def test_as_a_plain_loop_draws(power: float, tail: int) -> None:
    """Evenly, by popularity, and where one item takes nearly all; with items that nobody bought behind them."""
    weights = np.append(np.arange(1, 61) ** -power, np.zeros(tail))
    keys = np.random.default_rng(3).integers(0, 2**32, (5, 2), np.uint64)
    needs, tries = np.array([4, 1, 9, 0, 40]), np.array([40, 3, 300, 5, 41])
    own = [np.array(items, np.int32) for items in ([0, 1], [], [5, 6, 7], [0], [2])]
    starts, own_starts = (np.concatenate([[0], np.cumsum(sizes)]) for sizes in (needs, [len(items) for items in own]))
    slots, made = np.full(needs.sum(), -1, np.int32), np.full(5, -1)
    wanted = Wanted(keys, own_starts, np.concatenate(own), starts, slots, tries)
    draw(Law.of(weights), np.uint64(5), np.uint64(7), wanted, np.zeros(len(weights), np.int32), made)
    for k, need in enumerate(needs.tolist()):
        found, foreign = plainly(weights, keys[k], set(own[k].tolist()), need, int(tries[k]) if need else 0)
        assert slots[starts[k] : starts[k + 1]][: len(found)].tolist() == found
        assert made[k] == foreign
    assert (made > 0).any()


@given(st.lists(st.sampled_from([0.0, 0.0, 1e-9, 0.3, 1.0, 50.0]), min_size=1, max_size=80), st.integers(0, 9))
@settings(deadline=None)
def test_the_guide_is_where_a_search_would_begin(weights: list[float], seed: int) -> None:
    jittered = np.array(weights) * np.random.default_rng(seed).uniform(0.5, 1, len(weights))
    law = Law.of(jittered)
    beginnings = np.arange(len(weights)) / len(weights) * law.cumulative[-1]
    assert law.guide.tolist() == np.searchsorted(law.cumulative, beginnings, side="right").tolist()
