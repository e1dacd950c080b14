"""Gradients by hand are those of autograd."""

from typing import Any

import pytest
import torch
from worlds import build_world

from spfedrec_cli.federated.state import initial_state
from spfedrec_cli.model.factors import backward, field_places, forward, write
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
    factors, of_history = backward(passed, of_raw)
    written = torch.full((clients, width), 7.0)
    write(factors, like, slice(0, 4), written[:4])
    write(factors, like, slice(4, clients), written[4:])
    torch.testing.assert_close(written, expected[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(of_history, expected[1], rtol=1e-4, atol=1e-6)
    if private:
        torch.testing.assert_close(of_raw, expected[2], rtol=1e-4, atol=1e-6)
