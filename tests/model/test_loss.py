"""Losses, by hand and by one shared conformance test."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from worlds import seeded

from spfedrec_cli.model.loss import LOSSES, bce, bpr, softmax


def drawn_scores() -> tuple[Tensor, Tensor]:
    """Of 5 clients: 3 targets and 4 negatives each."""
    draw = seeded()
    return torch.randn(5, 3, generator=draw), torch.randn(5, 4, generator=draw)


def test_softmax_by_hand() -> None:
    """Target 1, negatives 0 and 2: -log(e / (e + 1 + e^2)) = log(1 + 1/e + e)."""
    loss = softmax(torch.tensor([1.0]), torch.tensor([0.0, 2.0]))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-1) + math.e))


def test_one_equal_negative_is_ln_two() -> None:
    assert float(softmax(torch.tensor([0.3]), torch.tensor([0.3]))) == pytest.approx(math.log(2))


def test_bce_by_hand() -> None:
    """Target 0, negatives 0 and log 3: log 2 + (log 2 + log 4)/2 = 2.5 log 2."""
    assert float(bce(torch.tensor([0.0]), torch.tensor([0.0, math.log(3)]))) == pytest.approx(2.5 * math.log(2))


def test_bpr_by_hand() -> None:
    """Target log 3, negatives 0 and log 3: (log 4/3 + log 2)/2 = log(8/3)/2."""
    loss = bpr(torch.tensor([math.log(3)]), torch.tensor([0.0, math.log(3)]))
    assert float(loss) == pytest.approx(math.log(8 / 3) / 2)


def test_bce_is_that_of_torch() -> None:
    """Of scores as logits against labels of 1 and 0; the negatives' mean beside the target."""
    targets, negatives = drawn_scores()
    of = F.binary_cross_entropy_with_logits
    wanted = of(targets, torch.ones(5, 3), reduction="none") + of(negatives, torch.zeros(5, 4), reduction="none").mean(
        1, keepdim=True
    )
    torch.testing.assert_close(bce(targets, negatives), wanted)


def test_bpr_is_that_of_torch() -> None:
    targets, negatives = drawn_scores()
    wanted = torch.stack([-F.logsigmoid(targets - negatives[:, [j]]) for j in range(4)]).mean(0)
    torch.testing.assert_close(bpr(targets, negatives), wanted)


def test_softmax_is_the_cross_entropy_of_torch() -> None:
    targets, negatives = drawn_scores()
    for place in range(3):
        logits = torch.cat([targets[:, [place]], negatives], 1)
        wanted = F.cross_entropy(logits, torch.zeros(5, dtype=torch.int64), reduction="none")
        torch.testing.assert_close(softmax(targets, negatives)[:, place], wanted)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_conforms(name: str) -> None:
    loss = LOSSES[name]
    targets, negatives = drawn_scores()
    values = loss(targets, negatives)
    assert values.shape == (5, 3)
    assert bool((values >= 0).all())
    assert bool((loss(targets + 1, negatives) < values).all())
    hidden = torch.cat([negatives, torch.full((5, 2), -math.inf)], 1)
    torch.testing.assert_close(loss(targets, hidden), values)
    alone = F.softplus(-targets) if name == "bce" else torch.zeros(5, 3)
    torch.testing.assert_close(loss(targets, torch.full((5, 1), -math.inf)), alone)
    torch.testing.assert_close(loss(targets, torch.empty(5, 0)), alone)


@pytest.mark.parametrize("name", LOSSES)
def test_without_negatives_the_gradient_is_that_of_the_target_alone_not_nan(name: str) -> None:
    targets = torch.zeros((2, 1), requires_grad=True)
    negatives = torch.full((2, 1), -math.inf, requires_grad=True)
    by_target, by_negative = torch.autograd.grad(LOSSES[name](targets, negatives).sum(), [targets, negatives])
    assert by_target.tolist() == ([[-0.5], [-0.5]] if name == "bce" else [[0], [0]])
    assert by_negative.tolist() == [[0], [0]]
