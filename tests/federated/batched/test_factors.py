"""Gradients by hand are those of autograd."""

from typing import Any

import pytest
import torch
from worlds import build_world

from spfedrec_cli.federated.batched.factors import (
    Products,
    backward,
    field_places,
    forward,
    largest,
    of_unit,
    times,
    write,
)
from spfedrec_cli.federated.state import initial_state
from spfedrec_cli.model.towers import flatten, query_tower, unflatten, unit


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("model", [{}, {"hidden": []}, {"hidden": [8, 6]}, {"se_ratio": 0}, {"history": "none"}])
def test_forward_and_backward(model: dict[str, Any], private: bool, own: bool) -> None:
    world = build_world({"model": model})
    like, generator, clients = initial_state(world).query, torch.Generator().manual_seed(2), len(world.clients)
    width = flatten(like).numel()
    flat = 0.3 * torch.randn(*((clients, width) if own else (width,)), generator=generator)
    history, grad, embedding = torch.randn(3, clients, 8, generator=generator)
    leaves = flat.expand(clients, -1).clone().requires_grad_(), history.requires_grad_(), embedding.requires_grad_()
    towers = unflatten(leaves[0], like)
    places = field_places(like, world.clients.codes)
    passed = forward(like, flat, places, history.detach(), embedding.detach() if private else None)
    query = query_tower(towers, world.clients.codes, history, embedding if private else None)
    torch.testing.assert_close(unit(passed.raw), query)
    raw = passed.raw.detach().requires_grad_()
    (of_raw,) = torch.autograd.grad(unit(raw), [raw], grad)
    expected = torch.autograd.grad(query, leaves, grad, materialize_grads=True)
    torch.testing.assert_close(of_unit(passed.raw, unit(passed.raw), grad), of_raw, rtol=1e-4, atol=1e-6)
    factors, of_history = backward(passed, of_raw)
    written = torch.full((clients, width), 7.0)
    write(factors, like, slice(0, 4), written[:4])
    write(factors, like, slice(4, clients), written[4:])
    torch.testing.assert_close(written, expected[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(of_history, expected[1], rtol=1e-4, atol=1e-6)
    if private:
        torch.testing.assert_close(of_raw, expected[2], rtol=1e-4, atol=1e-6)
    write(times(factors, -3.0), like, slice(0, clients), written)
    torch.testing.assert_close(written, -3 * expected[0], rtol=1e-4, atol=1e-6)
    assert torch.equal(largest(times(factors, -3.0)), written.abs().amax(1))


def test_a_vector_too_short_to_be_stretched() -> None:
    """Below `FLAT` the query is the vector over FLAT, so that nothing of its gradient falls away."""
    raw = torch.tensor([[3e-4, 4e-4], [3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    grad = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    (expected,) = torch.autograd.grad(unit(raw), [raw], grad)
    torch.testing.assert_close(of_unit(raw.detach(), unit(raw.detach()), grad), expected)


@pytest.mark.parametrize("steps", [1, 3])
def test_products_over_steps(steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    left, right = torch.randn(steps, 5, 7, generator=generator), torch.randn(steps, 5, 4, generator=generator)
    products, out = Products(left, right), torch.full((3, 7, 4), 9.0)
    products.times(torch.arange(5.0)).write(slice(1, 4), out)
    expected = torch.einsum("skn,skd->knd", left, right) * torch.arange(5.0)[:, None, None]
    torch.testing.assert_close(out, expected[1:4])
    assert bool((expected.abs().amax((1, 2)) <= products.times(torch.arange(5.0)).largest() * 1.0001).all())
    if steps == 1:
        torch.testing.assert_close(products.largest(), torch.einsum("skn,skd->knd", left, right).abs().amax((1, 2)))
