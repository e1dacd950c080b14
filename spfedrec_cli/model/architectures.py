"""What a tower makes of embedded fields. One row in the table, one architecture: `model.query_tower` and
`model.item_tower` name rows.

Every tower has a table of embeddings for each field (`model.towers` keeps them, because servers and devices step only
the rows that take part) and dense weights, which are its own. A row says which these are and what it computes by them.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.errors import InputError, nearest

Weights = dict[str, Tensor]
Shape = tuple[int, ...]


def by_fan_in(name: str, shape: Shape) -> float:
    """Uniform in ±sqrt(3/fan_in): variance 1/fan_in. Biases start at zero."""
    return 0.0 if name.endswith("bias") else math.sqrt(3.0) * (1.0 / math.sqrt(max(1, shape[-1])))


@dataclass(frozen=True)
class Tower:
    """One architecture. F fields of e = `model.field_dim` enter, and beside them h numbers of the pooled history (the
    query tower with a history: h = d; else h = 0).

    `shapes(model, F, h)`: the dense weights by name, in their order; no name begins with `field.`.
    `apply(dense, fields, history)`: (…, d), before it has length 1, from fields (…, F, e) and history (…, h) or None.
    It is differentiable, and takes one client or item as well as many, and weights that are shared as well as given
    once a client (a leading dimension; `linear` does both).
    `held(model, F)`: floats that it holds for each item: what enters, and what each of its steps gives.
    `forward(model, F, h)`: multiply-adds of one pass, where it is not so that each matrix meets one vector.
    `spread(name, shape)`: a dense weight starts uniform in ± this.
    """

    shapes: Callable[[ModelConfig, int, int], dict[str, Shape]]
    apply: Callable[[Weights, Tensor, Tensor | None], Tensor]
    held: Callable[[ModelConfig, int], int]
    forward: Callable[[ModelConfig, int, int], int] | None = None
    spread: Callable[[str, Shape], float] = by_fan_in

    def products(self, model: ModelConfig, fields: int, history: int) -> int:
        """Multiply-adds of one pass forward."""
        if self.forward is not None:
            return self.forward(model, fields, history)
        return sum(math.prod(shape) for shape in self.shapes(model, fields, history).values() if len(shape) == 2)


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


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b; with weight (K, out, in) row k of inputs (K, in) meets its own matrix."""
    if weight.dim() == 2:
        return F.linear(inputs, weight, bias)
    product = torch.bmm(weight, inputs.unsqueeze(-1)).squeeze(-1)
    return product if bias is None else product + bias


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
