"""The prior: log sales over those of the mean item, in logits and as one more coordinate."""

import numpy as np
import torch

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.model.prior import in_logits, log_sales, prior_coordinate, ranked_items, ranked_queries

COUNTS = np.array([0, 1, 7])  # 1 + counts: 1, 2, 8; their mean 11/3


def test_the_log_of_sales_over_those_of_the_mean_item() -> None:
    np.testing.assert_allclose(log_sales(COUNTS), np.log([3 / 11, 6 / 11, 24 / 11]))


def test_gamma_weighs_it() -> None:
    found = in_logits(ModelConfig(prior=0.5), COUNTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 0.5 * np.log([3 / 11, 6 / 11, 24 / 11]), rtol=1e-6)


def test_a_dot_product_is_the_temperature_times_the_score() -> None:
    """cos = .6 and 0; τ = .1; γ = .5: scores 6 + .5 π and 0 + .5 π."""
    model = ModelConfig(prior=0.5, temperature=0.1)
    items, queries = torch.tensor([[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    ranked = ranked_items(model, items, torch.from_numpy(COUNTS))
    assert ranked.shape == (3, 3)
    found = (ranked_queries(model, queries) @ ranked.T / model.temperature)[0]
    np.testing.assert_allclose(found, np.array([6.0, 0.0, 10.0]) + 0.5 * log_sales(COUNTS), rtol=1e-5)


def test_without_a_prior_nothing_is_added() -> None:
    model, items = ModelConfig(), torch.ones(3, 2)
    assert ranked_items(model, items, None) is items
    assert ranked_queries(model, items) is items
    assert prior_coordinate(model, None) is None


def test_a_prior_of_ranking_alone_is_no_business_of_clients() -> None:
    assert ModelConfig(prior=0.5).trains_with_prior
    assert not ModelConfig(prior=0.5, prior_in="ranking").trains_with_prior
    assert not ModelConfig().trains_with_prior
