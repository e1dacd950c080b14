"""Losses, by hand and by one shared conformance test."""

import math

import pytest
import torch

from spfedrec_cli.model.loss import LOSSES, softmax


def test_softmax_by_hand() -> None:
    """Target 1, negatives 0 and 2: -log(e / (e + 1 + e^2)) = log(1 + 1/e + e)."""
    loss = softmax(torch.tensor([1.0]), torch.tensor([0.0, 2.0]))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-1) + math.e))


def test_one_equal_negative_is_ln_two() -> None:
    assert float(softmax(torch.tensor([0.3]), torch.tensor([0.3]))) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_conforms(name: str) -> None:
    loss = LOSSES[name]
    targets, negatives = torch.randn(5, 3), torch.randn(5, 4)
    values = loss(targets, negatives)
    assert values.shape == (5, 3)
    assert bool((values >= 0).all())
    assert bool((loss(targets + 1, negatives) < values).all())
    hidden = torch.cat([negatives, torch.full((5, 2), -math.inf)], 1)
    torch.testing.assert_close(loss(targets, hidden), values)
    assert float(loss(targets, torch.full((5, 1), -math.inf)).sum()) == 0.0
    assert loss(targets, torch.empty(5, 0)).sum() == 0.0


def test_without_negatives_the_gradient_is_zero_not_nan() -> None:
    targets = torch.zeros(2, requires_grad=True)
    negatives = torch.full((2, 1), -math.inf, requires_grad=True)
    for grad in torch.autograd.grad(softmax(targets, negatives).sum(), [targets, negatives]):
        assert grad.tolist() == torch.zeros_like(grad).tolist()
