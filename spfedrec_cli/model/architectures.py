"""What a tower makes of embedded fields. One row in the table, one architecture: `model.query_tower` and
`model.item_tower` name rows.

Every tower has a table of embeddings for each field (`model.towers` keeps them, because servers and devices step only
the rows that take part) and dense weights, which are its own. A row says which these are and what it computes by them.
"""

import itertools

import torch
from torch import Tensor

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.model.architecture import Shape, Tower, Weights, linear


def _se_mlp_shapes(model: ModelConfig, fields: int, history: int) -> dict[str, Shape]:
    return _gates(model, fields) | _layers([fields * model.field_dim + history, *model.hidden, model.dim])


def _gates(model: ModelConfig, fields: int) -> dict[str, Shape]:
    """None for a single field: there is nothing to weigh it against."""
    if not model.se_ratio or fields < 2:
        return {}
    narrow = max(1, fields // model.se_ratio)
    return {"se.squeeze": (narrow, fields), "se.excite": (fields, narrow)}


def _layers(widths: list[int]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        shapes |= {f"mlp.{layer}.weight": (fan_out, fan_in), f"mlp.{layer}.bias": (fan_out,)}
    return shapes


def _se_mlp(dense: Weights, fields: Tensor, history: Tensor | None) -> Tensor:
    """Each field scaled by its gate s = σ(W2 δ(W1 z)), z the field means; then the layers."""
    if "se.squeeze" in dense:
        squeezed = torch.relu(linear(fields.mean(-1), dense["se.squeeze"]))
        fields = fields * torch.sigmoid(linear(squeezed, dense["se.excite"])).unsqueeze(-1)
    return _mlp(dense, _beside(fields, history))


def _linear_shapes(model: ModelConfig, fields: int, history: int) -> dict[str, Shape]:
    return _layers([fields * model.field_dim + history, model.dim])


def _linear(dense: Weights, fields: Tensor, history: Tensor | None) -> Tensor:
    return _mlp(dense, _beside(fields, history))


def _beside(fields: Tensor, history: Tensor | None) -> Tensor:
    flat = fields.flatten(-2)
    return flat if history is None else torch.cat([flat, history], -1)


def _mlp(dense: Weights, values: Tensor) -> Tensor:
    layers = sum(name.startswith("mlp.") for name in dense) // 2
    for layer in range(layers):
        values = linear(values, dense[f"mlp.{layer}.weight"], dense[f"mlp.{layer}.bias"])
        if layer < layers - 1:
            values = torch.relu(values)
    return values


def _se_mlp_held(model: ModelConfig, fields: int) -> int:
    return fields * model.field_dim + sum(model.hidden) + model.dim


def _linear_held(model: ModelConfig, fields: int) -> int:
    return fields * model.field_dim + model.dim


TOWERS: dict[str, Tower] = {
    # Squeeze-and-excitation over fields (Hu, Shen and Sun, CVPR 2018), as SpFedRec applies it; then an MLP.
    "se_mlp": Tower(_se_mlp_shapes, _se_mlp, _se_mlp_held),
    # One linear map, without gates and hidden layers.
    "linear": Tower(_linear_shapes, _linear, _linear_held),
}


def architecture(setting: str, name: str) -> Tower:
    """The row that a setting names. Raises InputError where there is none."""
    if name not in TOWERS:
        near = nearest(name, list(TOWERS))
        hint = f"did you mean {near!r}?" if near else f"it is one of {', '.join(TOWERS)}"
        raise InputError(f"There is no tower {name!r}", where=setting, hint=hint)
    return TOWERS[name]
