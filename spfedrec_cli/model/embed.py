"""Embeddings for ranking: all items, and clients with the history that they have at the time."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import Weights, history_weights, item_tower, query_tower
from spfedrec_cli.placement import placed

_BLOCK = 4096


@torch.no_grad()
def item_embeddings(model: ModelConfig, weights: Weights, items: Features) -> Tensor:
    """ṽ of the whole catalogue: (n_items, d)."""
    return torch.cat([item_tower(model, weights, codes) for codes in torch.split(items.codes, _BLOCK)])


@torch.no_grad()
def query_embeddings(
    model: ModelConfig, weights: Weights, codes: Tensor, history: Ragged, items: Tensor, private: Tensor | None = None
) -> Tensor:
    """ũ of clients (n, d) from their field codes (n, fields), past purchases (rows of `history`, oldest first), the
    item embeddings (n_items, d) and their private embeddings (n, d) or None; where the item embeddings lie."""
    found = []
    for rows in _split(len(history)):
        part = placed(rows, items.device)
        mine = None if private is None else private.index_select(0, part)
        pooled = _pool(model, history, items, rows)
        found.append(query_tower(model, weights, codes.index_select(0, part), pooled, mine))
    return torch.cat(found)


def _split(length: int) -> list[npt.NDArray[np.int64]]:
    return [np.arange(start, min(start + _BLOCK, length)) for start in range(0, length, _BLOCK)] or [np.arange(0)]


def _pool(model: ModelConfig, history: Ragged, items: Tensor, rows: npt.NDArray[np.int64]) -> Tensor:
    """Pooled histories (n, d); clients sorted by length first, so that little is padding."""
    part = history.take(rows)
    pooled = items.new_zeros(len(rows), items.shape[1])
    order = np.argsort(part.lengths, kind="stable")
    for block in np.array_split(order, max(1, len(order) // 128)):
        places = placed(part.take(block).padded(-1).astype(np.int64), items.device)
        if places.shape[1]:
            found = torch.nn.functional.embedding(places.clamp_min(0), items)
            means = torch.bmm(history_weights(model, places >= 0)[:, None], found)[:, 0]
            pooled.index_copy_(0, placed(block, items.device), means)
    return pooled
