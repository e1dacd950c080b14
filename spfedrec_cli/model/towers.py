"""The query tower and the item tower, as functions of named weights.

Weights are a dict of tensors. Every function takes one client or item (vectors) or many (a leading dimension), and
weights that are shared (a matrix) or given once a client (a leading dimension more): the same lines run on a device,
on the server, and for clients with towers of their own, whose lists are ranked together.

Squeeze-and-excitation over fields: Hu, Shen and Sun, CVPR 2018, as SpFedRec applies it to field embeddings.
"""

import itertools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.model.features import ID, Features
from spfedrec_cli.rng import uniform

Weights = dict[str, Tensor]
FLAT = 1e-3  # below this length a vector is not stretched to 1: a gradient through 1/0 would drown all others
ID_SPREAD = 0.05  # start of an id embedding where the id is all that an item has


def init_query_tower(model: ModelConfig, fields: Features, seed: int) -> Weights:
    """θ_u: field tables, squeeze-and-excitation, MLP from fields and pooled history to d."""
    history = model.dim if model.history != "none" else 0
    return _init("query", model, fields, history, seed)


def init_item_tower(model: ModelConfig, fields: Features, seed: int) -> Weights:
    """The server's weights. Id embeddings start at zero, so that an article never seen is its features."""
    weights = _init("item", model, fields, 0, seed)
    if len(fields.names) > 1:
        weights[f"field.{ID}"].zero_()
    return weights


def query_tower(weights: Weights, codes: Tensor, history: Tensor, private: Tensor | None = None) -> Tensor:
    """ũ = M_u(features, history, private state), of length 1: (…, d).

    codes (…, fields) int64; history (…, d), the pooled embeddings of past purchases, zero where there are none;
    private (…, d) is the embedding that never leaves the device.
    """
    inputs = [_excited_fields(weights, codes)]
    base = history if private is None else history + private
    if _takes_history(weights, inputs[0], history):
        inputs.append(history)
    return unit(base + _mlp(weights, torch.cat(inputs, -1)))


def item_tower(weights: Weights, codes: Tensor, keep_id: Tensor | None = None) -> Tensor:
    """ṽ of length 1: (n, d), of codes (n, fields). Where keep_id (n,) is 0 the id embedding is left out."""
    return unit(_mlp(weights, _excited_fields(weights, codes, keep_id)))


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


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b; with weight (K, out, in) row k of inputs (K, in) meets its own matrix."""
    if weight.dim() == 2:
        return F.linear(inputs, weight, bias)
    product = torch.bmm(weight, inputs.unsqueeze(-1)).squeeze(-1)
    return product if bias is None else product + bias


def _init(tower: str, model: ModelConfig, fields: Features, extra: int, seed: int) -> Weights:
    shapes: dict[str, tuple[int, ...]] = {f"field.{name}": (size, model.field_dim) for name, size in _sizes(fields)}
    count = len(fields.names)
    if model.se_ratio and count > 1:
        narrow = max(1, count // model.se_ratio)
        shapes |= {"se.squeeze": (narrow, count), "se.excite": (count, narrow)}
    widths = [count * model.field_dim + extra, *model.hidden, model.dim]
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        shapes |= {f"mlp.{layer}.weight": (fan_out, fan_in), f"mlp.{layer}.bias": (fan_out,)}
    return {name: _draw(seed, f"init/{tower}/{name}", name, shape) for name, shape in shapes.items()}


def _sizes(fields: Features) -> list[tuple[str, int]]:
    return list(zip(fields.names, fields.cardinalities, strict=True))


def _draw(seed: int, stream: str, name: str, shape: tuple[int, ...]) -> Tensor:
    """Uniform in ±sqrt(3/fan_in) for matrices (variance 1/fan_in), ±ID_SPREAD·√3 for tables, zero for biases."""
    if name.endswith("bias"):
        return torch.zeros(shape)
    bound = math.sqrt(3.0) * (ID_SPREAD if name.startswith("field") else 1.0 / math.sqrt(max(1, shape[-1])))
    draws = uniform(seed, stream, 0, 0, range(math.prod(shape))).reshape(shape)
    return torch.from_numpy((2.0 * draws - 1.0) * bound).to(torch.float32)


def _excited_fields(weights: Weights, codes: Tensor, keep_id: Tensor | None = None) -> Tensor:
    """(…, fields · e): the embeddings of the fields, each scaled by s = σ(W2 δ(W1 z)), z the field means."""
    tables = [(name, table) for name, table in weights.items() if name.startswith("field.")]
    if not tables:
        return codes.new_zeros((*codes.shape[:-1], 0), dtype=torch.float32)
    rows = [lookup(table, codes[..., column]) for column, (_, table) in enumerate(tables)]
    if keep_id is not None:
        rows = [
            row * keep_id[:, None] if name == f"field.{ID}" else row
            for (name, _), row in zip(tables, rows, strict=True)
        ]
    fields = torch.stack(rows, -2)
    if "se.squeeze" in weights:
        means = fields.mean(-1)
        scale = torch.sigmoid(linear(torch.relu(linear(means, weights["se.squeeze"])), weights["se.excite"]))
        fields = fields * scale.unsqueeze(-1)
    return fields.flatten(-2)


def _takes_history(weights: Weights, fields: Tensor, history: Tensor) -> bool:
    return weights["mlp.0.weight"].shape[-1] == fields.shape[-1] + history.shape[-1]


def _mlp(weights: Weights, values: Tensor) -> Tensor:
    layers = sum(name.startswith("mlp.") for name in weights) // 2
    for layer in range(layers):
        values = linear(values, weights[f"mlp.{layer}.weight"], weights[f"mlp.{layer}.bias"])
        if layer < layers - 1:
            values = torch.relu(values)
    return values
