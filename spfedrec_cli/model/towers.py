"""The query tower and the item tower, as functions of named weights.

Weights are a dict of tensors: first the tables, one for each field, then what the architecture has besides
(`model.architectures`). Every function takes one client or item (vectors) or many (a leading dimension), and weights
that are shared (a matrix) or given once a client (a leading dimension more): the same lines run on a device, on the
server, and for clients with towers of their own, whose lists are ranked together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.model.architecture import Shape, Tower
from spfedrec_cli.model.architecture import Weights as Weights
from spfedrec_cli.model.architectures import architecture
from spfedrec_cli.model.features import ID, Features
from spfedrec_cli.rng import uniform

FLAT = 1e-3  # below this length a vector is not stretched to 1: a gradient through 1/0 would drown all others
ID_SPREAD = 0.05  # start of an id embedding where the id is all that an item has
_TABLE = "field."


@dataclass(frozen=True)
class Sizes:
    """Of a tower: weights in tables, dense weights, multiply-adds of one pass forward, floats held for each item."""

    tables: int
    dense: int
    forward: int
    held: int

    @property
    def weights(self) -> int:
        return self.tables + self.dense


def query_sizes(model: ModelConfig, cardinalities: Sequence[int]) -> Sizes:
    """Of the query tower, of clients whose fields have so many values each."""
    return _sizes(_of_query(model), model, cardinalities, _history_width(model))


def item_sizes(model: ModelConfig, cardinalities: Sequence[int]) -> Sizes:
    """Of the item tower, of items whose fields have so many values each."""
    return _sizes(_of_item(model), model, cardinalities, 0)


def _sizes(tower: Tower, model: ModelConfig, cardinalities: Sequence[int], history: int) -> Sizes:
    fields = len(cardinalities)
    return Sizes(
        sum(cardinalities) * model.field_dim,
        sum(math.prod(shape) for shape in tower.shapes(model, fields, history).values()),
        tower.products(model, fields, history),
        tower.held(model, fields),
    )


def init_query_tower(model: ModelConfig, fields: Features, seed: int) -> Weights:
    """θ_u."""
    return _init("query", _of_query(model), model, fields, _history_width(model), seed)


def init_item_tower(model: ModelConfig, fields: Features, seed: int) -> Weights:
    """The server's weights. Id embeddings start at zero, so that an article never seen is its features."""
    weights = _init("item", _of_item(model), model, fields, 0, seed)
    if len(fields.names) > 1:
        weights[table_of(ID)].zero_()
    return weights


def query_tower(
    model: ModelConfig, weights: Weights, codes: Tensor, history: Tensor, private: Tensor | None = None
) -> Tensor:
    """ũ = M_u(features, history, private state), of length 1: (…, d).

    codes (…, fields) int64; history (…, d), the pooled embeddings of past purchases, zero where there are none;
    private (…, d) is the embedding that never leaves the device.
    """
    base = history if private is None else history + private
    entering = history if _history_width(model) else None
    fields = _embedded(model, weights, codes)
    return unit(base + _of_query(model).apply(dense(weights), fields, entering))


def item_tower(model: ModelConfig, weights: Weights, codes: Tensor, keep_id: Tensor | None = None) -> Tensor:
    """ṽ of length 1: (n, d), of codes (n, fields). Where keep_id (n,) is 0 the id embedding is left out."""
    fields = _embedded(model, weights, codes, keep_id)
    return unit(_of_item(model).apply(dense(weights), fields, None))


def table_of(field: str) -> str:
    """The name of a field's table."""
    return f"{_TABLE}{field}"


def is_table(name: str) -> bool:
    """Whether the weight of that name has a row for every value of a field."""
    return name.startswith(_TABLE)


def tables(weights: Weights) -> Weights:
    """The tables of the fields, in their order."""
    return {name: weight for name, weight in weights.items() if is_table(name)}


def dense(weights: Weights) -> Weights:
    """All other weights, in the order of the architecture."""
    return {name: weight for name, weight in weights.items() if not is_table(name)}


def unit(vector: Tensor) -> Tensor:
    """The vector at length 1 (shorter where its length is below `FLAT`)."""
    return F.normalize(vector, dim=-1, eps=FLAT)


def history_weights(model: ModelConfig, mask: Tensor) -> Tensor:
    """Weights (…, n) of a client's purchases, oldest first, that pool those in `mask` (…, n) of 0 and 1.

    `mean`: equal; `recency`: halved every `half_life` purchases back from the latest one in the mask. They sum to 1,
    or to 0 where the mask is empty.
    """
    mask = mask.to(torch.float32)
    if model.history == "none":
        return torch.zeros_like(mask)
    if model.history == "recency":
        # Counted in integers: CUDA adds floats up in an order that differs from time to time.
        newer = mask.to(torch.int32).flip(-1).cumsum(-1, dtype=torch.int32).flip(-1) - mask
        mask = mask * torch.exp2(-newer / model.half_life)
    return mask / mask.sum(-1, keepdim=True).clamp_min(1e-12)


def flatten(weights: Weights) -> Tensor:
    """All weights as one vector (P,), in the order of the dict."""
    return torch.cat([tensor.reshape(-1) for tensor in weights.values()])


def unflatten(vector: Tensor, like: Weights) -> Weights:
    """The inverse of `flatten`, with the names and shapes of `like`; of (K, P) the weights of K towers."""
    parts = torch.split(vector, [tensor.numel() for tensor in like.values()], -1)
    return {name: part.reshape(*part.shape[:-1], *like[name].shape) for name, part in zip(like, parts, strict=True)}


def lookup(table: Tensor, codes: Tensor) -> Tensor:
    """Rows of a table (cardinality, e) at codes (…), or of one table a client (K, cardinality, e) at codes (K,)."""
    if table.dim() == 2:
        # The backward pass of `F.embedding` is not repeatable on a GPU, and slower on the CPU.
        return table.index_select(0, codes.reshape(-1)).view(*codes.shape, table.shape[1])
    return table.gather(1, codes[:, None, None].expand(-1, 1, table.shape[-1])).squeeze(1)


def _of_query(model: ModelConfig) -> Tower:
    return architecture("model.query_tower", model.query_tower)


def _of_item(model: ModelConfig) -> Tower:
    return architecture("model.item_tower", model.item_tower)


def _history_width(model: ModelConfig) -> int:
    """How many numbers of the pooled history enter the query tower."""
    return model.dim if model.history != "none" else 0


def _init(whose: str, tower: Tower, model: ModelConfig, fields: Features, history: int, seed: int) -> Weights:
    sizes = zip(fields.names, fields.cardinalities, strict=True)
    rows: dict[str, Shape] = {table_of(name): (size, model.field_dim) for name, size in sizes}
    others = tower.shapes(model, len(fields.names), history)
    if tables_among := [name for name in others if is_table(name)]:
        raise ValueError(f"A dense weight may not have the name of a table: {', '.join(tables_among)}")
    spreads = dict.fromkeys(rows, math.sqrt(3.0) * ID_SPREAD) | {k: tower.spread(k, v) for k, v in others.items()}
    return {k: _draw(seed, f"init/{whose}/{k}", shape, spreads[k]) for k, shape in (rows | others).items()}


def _draw(seed: int, stream: str, shape: Shape, spread: float) -> Tensor:
    """Uniform in ±spread."""
    if spread == 0:
        return torch.zeros(shape)
    draws = uniform(seed, stream, 0, 0, range(math.prod(shape))).reshape(shape)
    return torch.from_numpy((2.0 * draws - 1.0) * spread).to(torch.float32)


def _embedded(model: ModelConfig, weights: Weights, codes: Tensor, keep_id: Tensor | None = None) -> Tensor:
    """(…, fields, e): the embeddings of the fields."""
    rows = [
        _kept(name, lookup(table, codes[..., column]), keep_id)
        for column, (name, table) in enumerate(tables(weights).items())
    ]
    if not rows:
        return codes.new_zeros((*codes.shape[:-1], 0, model.field_dim), dtype=torch.float32)
    return torch.stack(rows, -2)


def _kept(name: str, rows: Tensor, keep_id: Tensor | None) -> Tensor:
    return rows if keep_id is None or name != table_of(ID) else rows * keep_id[:, None]
