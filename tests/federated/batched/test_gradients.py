"""Gradients of losses by hand are those of autograd."""

import math

import pytest
import torch

from spfedrec_cli.federated.batched import gradients
from spfedrec_cli.federated.batched.gradients import GRADIENTS, by_autograd, loss_and_gradients
from spfedrec_cli.model.loss import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_every_gradient_is_that_of_autograd(name: str) -> None:
    """Clients with one target and with all, with a padded negative, with none at all."""
    generator = torch.Generator().manual_seed(3)
    targets, negatives = 5 * torch.randn(4, 6, generator=generator), 5 * torch.randn(4, 5, generator=generator)
    negatives[1, 3:], negatives[2] = -math.inf, -math.inf
    weights = torch.rand(4, 6, generator=generator) * torch.tensor([[1.0], [1.0], [1.0], [0.0]])
    weights[0, 1:] = 0
    given = targets.clone(), negatives.clone(), weights.clone()
    for ours, theirs in zip(
        loss_and_gradients(name, targets, negatives, weights), by_autograd(name, *given), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert bool(torch.isfinite(ours).all())
    assert all(torch.equal(now, before) for now, before in zip((targets, negatives, weights), given, strict=True))


@pytest.mark.parametrize("name", LOSSES)
def test_so_many_pairs_that_they_go_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "_PAIRS", 15)
    targets, negatives, weights = torch.randn(4, 6), torch.randn(4, 5), torch.rand(4, 6)
    for ours, theirs in zip(
        loss_and_gradients(name, targets, negatives, weights),
        by_autograd(name, targets, negatives, weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_rows_of_gradients_are_losses() -> None:
    assert set(GRADIENTS) <= set(LOSSES)
