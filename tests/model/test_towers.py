"""The towers: one set of lines for one client, for many, and for weights that differ by client."""

import numpy as np
import torch
from worlds import features, seeded

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.model import towers

MODEL = ModelConfig(dim=4, field_dim=3, hidden=(5,))


def fields(rows: int = 6) -> towers.Features:
    return features(np.random.default_rng(0), rows, {"age": 4, "status": 3})


def items(rows: int = 6) -> towers.Features:
    return features(np.random.default_rng(0), rows, {"id": rows, "type": 3})


def test_embeddings_have_length_one() -> None:
    weights = towers.init_query_tower(MODEL, fields(), 0)
    query = towers.query_tower(MODEL, weights, fields().codes, torch.randn(6, 4, generator=seeded()))
    torch.testing.assert_close(query.norm(dim=1), torch.ones(6))


def test_many_clients_are_each_as_one() -> None:
    weights, history = towers.init_query_tower(MODEL, fields(), 0), torch.randn(6, 4, generator=seeded())
    many = towers.query_tower(MODEL, weights, fields().codes, history)
    for row in range(6):
        torch.testing.assert_close(towers.query_tower(MODEL, weights, fields().codes[row], history[row]), many[row])


def test_weights_given_once_a_client_are_each_client_s_own() -> None:
    """Against a loop over the clients, with the gradients."""
    draw = seeded()
    shared, history = towers.init_query_tower(MODEL, fields(), 0), torch.randn(6, 4, generator=draw)
    moved = {name: w + 0.1 * torch.randn(6, *w.shape, generator=draw) for name, w in shared.items()}
    each = {name: w.requires_grad_() for name, w in moved.items()}
    target = torch.randn(6, 4, generator=draw)
    loss = (towers.query_tower(MODEL, each, fields().codes, history) * target).sum()
    together = torch.autograd.grad(loss, list(each.values()))
    for row in range(6):
        alone = {name: w[row].detach().clone().requires_grad_() for name, w in each.items()}
        loss = (towers.query_tower(MODEL, alone, fields().codes[row], history[row]) * target[row]).sum()
        for ours, theirs in zip(together, torch.autograd.grad(loss, list(alone.values())), strict=True):
            torch.testing.assert_close(ours[row], theirs)


def test_squeeze_and_excitation_by_hand() -> None:
    """Two fields of one number each: z = (2, -3), W1 = (1, 1) so δ = relu(-1) = 0, s = σ(0) = 1/2 halves them."""
    weights = {
        "field.a": torch.tensor([[0.0], [2.0]]),
        "field.b": torch.tensor([[0.0], [-3.0]]),
        "se.squeeze": torch.tensor([[1.0, 1.0]]),
        "se.excite": torch.tensor([[7.0], [9.0]]),
        "mlp.0.weight": torch.eye(2),
        "mlp.0.bias": torch.zeros(2),
    }
    # (1, -1.5) at length one
    expected = torch.tensor([1.0, -1.5]) / 3.25**0.5
    plain = ModelConfig(dim=2, field_dim=1, history="none")
    torch.testing.assert_close(towers.query_tower(plain, weights, torch.tensor([1, 1]), torch.zeros(2)), expected)


def test_an_article_never_seen_is_its_features() -> None:
    weights = towers.init_item_tower(MODEL, items(), 0)
    codes = items().codes.clone()
    codes[1] = torch.tensor([1, int(codes[0, 1])])
    embedded = towers.item_tower(MODEL, weights, codes)
    torch.testing.assert_close(embedded[0], embedded[1])
    weights["field.id"][0] += 1.0
    assert not torch.allclose(towers.item_tower(MODEL, weights, codes)[0], embedded[1])
    left_out = towers.item_tower(MODEL, weights, codes, torch.zeros(6))
    torch.testing.assert_close(left_out[0], embedded[1])


def test_ids_alone_start_apart() -> None:
    only = features(np.random.default_rng(0), 6, {"id": 6})
    embedded = towers.item_tower(MODEL, towers.init_item_tower(MODEL, only, 0), only.codes)
    assert (embedded @ embedded.T - torch.eye(6)).max() < 0.999


def test_the_seed_changes_the_start() -> None:
    one, two = (towers.init_query_tower(MODEL, fields(), seed) for seed in (0, 1))
    assert not torch.equal(one["mlp.0.weight"], two["mlp.0.weight"])


def test_history_weights() -> None:
    """Purchases oldest first, the third left out. Half-life 1: the newest weighs 4, 2, 1 parts of 7."""
    mask = torch.tensor([True, True, False, True])
    mean = towers.history_weights(ModelConfig(history="mean"), mask)
    recent = towers.history_weights(ModelConfig(history="recency", half_life=1), mask)
    torch.testing.assert_close(mean, torch.tensor([1, 1, 0, 1]) / 3)
    torch.testing.assert_close(recent, torch.tensor([1, 2, 0, 4]) / 7)
    assert towers.history_weights(ModelConfig(history="none"), mask).sum() == 0
    assert towers.history_weights(ModelConfig(), torch.zeros(2, 3)).sum() == 0


def test_private_embedding_moves_the_query() -> None:
    weights = towers.init_query_tower(MODEL, fields(), 0)
    base = towers.query_tower(MODEL, weights, fields().codes, torch.zeros(6, 4), torch.zeros(6, 4))
    moved = towers.query_tower(MODEL, weights, fields().codes, torch.zeros(6, 4), torch.full((6, 4), 9.0))
    assert (moved @ torch.full((4,), 0.5) > base @ torch.full((4,), 0.5)).all()


def test_a_zero_vector_has_a_bounded_gradient() -> None:
    zero = torch.zeros(3, requires_grad=True)
    (grad,) = torch.autograd.grad(towers.unit(zero).sum(), zero)
    assert grad.abs().max() <= 1 / towers.FLAT


def test_flatten_comes_back() -> None:
    weights = towers.init_query_tower(MODEL, fields(), 0)
    again = towers.unflatten(towers.flatten(weights), weights)
    assert list(again) == list(weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_the_query_starts_from_the_pooled_history() -> None:
    """With an MLP that adds nothing, the query is the history at length one."""
    weights = {name: torch.zeros_like(w) for name, w in towers.init_query_tower(MODEL, fields(), 0).items()}
    query = towers.query_tower(MODEL, weights, fields().codes[0], torch.tensor([3.0, 0.0, 4.0, 0.0]))
    torch.testing.assert_close(query, torch.tensor([0.6, 0.0, 0.8, 0.0]))
