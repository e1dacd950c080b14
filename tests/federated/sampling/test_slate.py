"""Slates: everything comes round, popular items more often, and with known chances."""

import numpy as np
import pytest
import torch

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.sampling.slate import Rotation, Slate, periods, whole_catalogue
from spfedrec_cli.model.loss import LOSSES

RANKED = (10_000 / np.arange(1, 301)).astype(np.int64)
RANKED[200:] = 0


def slates(counts: np.ndarray, size: int, rounds: int, seed: int = 0) -> list[Slate]:
    rotation = Rotation()
    return [rotation.slate(counts, size, seed, round_) for round_ in range(1, rounds + 1)]


@pytest.mark.parametrize("counts", [RANKED, np.zeros(300, int), np.ones(300, int), np.append(np.zeros(299, int), 9)])
@pytest.mark.parametrize("size", [2, 7, 40, 150, 299])
def test_a_slate_has_about_as_many_items_as_were_asked_for(counts: np.ndarray, size: int) -> None:
    """The expected number fills the slots but for one promotion that no longer fits, at most half a slot."""
    each = periods(counts, size)
    assert size - 0.5 <= (1 / each).sum() <= size
    longest, strata = int(each.max()), len(np.unique(each))
    # Nobody waits longer than the even share of the slots says, up to the next power of two.
    assert longest < 2 * len(counts) / (0.5 * size)
    for slate in slates(counts, size, 30):
        assert abs(len(slate.items) - (1 / each).sum()) <= strata
        assert (np.diff(slate.items) > 0).all()


def test_popular_items_come_more_often() -> None:
    each = periods(RANKED, 40)
    assert (np.diff(each) >= 0).all()
    assert each[0] == 1
    assert each[-1] > each[50] > 1


def test_in_every_period_each_item_comes_exactly_once() -> None:
    each = periods(RANKED, 40)
    shown = np.zeros((128, len(RANKED)), int)
    for round_, slate in enumerate(slates(RANKED, 40, 128)):
        shown[round_, slate.items] = 1
    for period in np.unique(each):
        turns = shown[:, each == period].reshape(128 // period, period, -1).sum(1)
        assert (turns == 1).all()


def test_the_chance_of_an_item_is_one_in_its_period() -> None:
    """Over 400 seeds an item of period T is in a given round's slate 400 / T times, within five standard deviations;
    strata whose items do not divide evenly by the period included."""
    counts, each = RANKED[:77], periods(RANKED[:77], 10)
    for round_ in (1, 6):
        times = np.zeros(77)
        for seed in range(400):
            slate = Rotation().slate(counts, 10, seed, round_)
            times[slate.items] += 1
        chance = 1 / each
        assert (abs(times - 400 * chance) <= 5 * np.sqrt(400 * chance * (1 - chance)) + 1e-9).all()


def test_two_items_of_a_stratum_meet_in_some_passes_only() -> None:
    """A pass has an order of its own: the company of an item changes."""
    company = {tuple(slate.items) for slate in slates(np.ones(40, int), 10, 40) if 3 in slate.items}
    assert len(company) == 10


def test_seed_and_round_change_the_slate_and_nothing_else_does() -> None:
    one, again = (slates(RANKED, 40, 3) for _ in range(2))
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first.items, second.items)
    assert set(one[0].items) != set(one[1].items)
    assert set(one[0].items) != set(slates(RANKED, 40, 1, seed=1)[0].items)
    np.testing.assert_array_equal(Rotation().slate(RANKED, 40, 0, 3).items, one[2].items)


def test_a_slate_as_large_as_the_catalogue_is_the_catalogue() -> None:
    for slate in (*slates(np.arange(5), 9, 2), whole_catalogue(5)):
        assert slate.items.tolist() == [0, 1, 2, 3, 4]


def test_purchases_in_the_slate_by_hand() -> None:
    slate = Slate(np.array([1, 4]))
    assert slate.holds(Ragged.from_rows([[4, 0, 1], [], [3], [1]]), 5).tolist() == [2, 0, 0, 1]


def test_the_softmax_over_slates_has_its_optimum_at_the_true_popularity() -> None:
    """Expected gradient of the loss at scores log p, over targets t ~ p that count where the slate has them: nothing
    without correction, and not nothing with logQ, whose optimum lies elsewhere."""
    p, each = torch.from_numpy(RANKED[:60] / RANKED[:60].sum()), periods(RANKED[:60], 12)
    for corrected in (False, True):
        scores = p.log().requires_grad_()
        negatives = scores + (torch.from_numpy(each).log() if corrected else 0)
        losses = []
        for slate in slates(RANKED[:60], 12, 64):
            for target in slate.items:
                others = slate.items[slate.items != target]
                losses.append(p[target] * LOSSES["softmax"](scores[[target]], negatives[others]).sum())
        (gradient,) = torch.autograd.grad(torch.stack(losses).sum() / 64, [scores])
        assert (float(gradient.abs().max()) < 1e-12) == (not corrected)
