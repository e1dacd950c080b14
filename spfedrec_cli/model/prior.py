"""The prior: what is public of an item's sales, which then need not be learned.

Bayes' rule: log P(item | client) is log P(item | client) / P(item), the lift, plus log P(item). A cosine over τ tells
the lift well and the ten nats of popularity badly. So scores are cos(ũ, ṽ)/τ + γ · π, in which γ is `model.prior`, in
ranking `model.prior_choice` may have it chosen on validation, and
π_j = log((1 + sales of j) / the mean of 1 + sales over the catalogue). The mean changes no list; with it the loss
`bce`, which knows no denominator, has no offset to learn. An item that nobody bought has a finite π, the smallest.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.dtypes import F32, F64
from spfedrec_cli.placement import placed


def log_sales(sales: npt.NDArray[np.number]) -> F64:
    """π (n_items,) of public sales (n_items,)."""
    more = 1.0 + sales
    return np.asarray(np.log(more / more.mean()), np.float64)


def in_logits(model: ModelConfig, sales: npt.NDArray[np.number]) -> F32:
    """γ · π (n_items,), which targets and negatives alike have in their scores while they are trained with it."""
    return np.asarray(model.prior * log_sales(sales), np.float32)


def prior_coordinate(model: ModelConfig, sales: Tensor | None, chosen: Tensor | None = None) -> Tensor | None:
    """γ · τ · π (n_items,), float32, of public sales (n_items,), which are there where there is a prior; else None.
    `chosen`: γ () as validation chose it, where it did."""
    if not model.prior:
        return None
    assert sales is not None  # published before the first round
    model = model if chosen is None else model.model_copy(update={"prior": float(chosen)})
    return torch.from_numpy(in_logits(model, sales.numpy()) * np.float32(model.temperature))


def ranked_items(model: ModelConfig, items: Tensor, sales: Tensor | None, chosen: Tensor | None = None) -> Tensor:
    """ṽ (n_items, d) with the prior as one more coordinate, so that a dot product with `ranked_queries` is τ times the
    score; without a prior ṽ itself."""
    more = prior_coordinate(model, sales, chosen)
    return items if more is None else torch.cat([items, placed(more, items.device)[:, None]], 1)


def ranked_queries(model: ModelConfig, queries: Tensor) -> Tensor:
    """ũ (n, d) with a 1 as one more coordinate, where there is a prior."""
    return torch.cat([queries, queries.new_ones(len(queries), 1)], 1) if model.prior else queries
