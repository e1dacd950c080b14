"""What an architecture of towers is: a row of `model.architectures`."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.config import ModelConfig

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


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b; with weight (K, out, in) row k of inputs (K, in) meets its own matrix."""
    if weight.dim() == 2:
        return F.linear(inputs, weight, bias)
    product = torch.bmm(weight, inputs.unsqueeze(-1)).squeeze(-1)
    return product if bias is None else product + bias
