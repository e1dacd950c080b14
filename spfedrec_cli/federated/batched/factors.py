"""The query tower of many clients with its gradients by hand: what `towers.query_tower` and autograd would give.

The gradient of a matrix is the product of two vectors, and that of a table is a few of its rows. They are kept as such
(`Factors`) and multiplied out for some clients at a time, where the product is used while it is in the cache.
Weights are flat: (P,) where all clients have the same ones, (K, P) where each has its own.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spfedrec_cli.model.towers import FLAT, Weights, unflatten
from spfedrec_cli.placement import placed


@dataclass(frozen=True)
class Passed:
    """What a forward pass leaves to the backward one; `raw` (K, d) is the query embedding before it has length 1."""

    weights: Weights
    places: Tensor  # (K, F · e) where in the flat weights the rows of the clients' fields lie
    fields: Tensor  # (K, F, e)
    gate: tuple[Tensor, Tensor, Tensor] | None  # of squeeze-and-excitation: means, squeezed, scale
    inputs: list[Tensor]  # of each layer
    history: bool  # whether it enters the first layer
    raw: Tensor


Factors = dict[str, tuple[Tensor, Tensor | None]]


def field_places(like: Weights, codes: Tensor) -> Tensor:
    """(K, F · e): the rows of the tables, which come first among the flat weights, at codes (K, F)."""
    tables = [weight for name, weight in like.items() if name.startswith("field.")]
    if not tables:
        return codes.new_empty(len(codes), 0)
    width, sizes = tables[0].shape[1], [table.numel() for table in tables]
    first = placed(np.array([0, *itertools.accumulate(sizes[:-1])]), codes.device)
    return ((codes * width + first).unsqueeze(2) + torch.arange(width, device=codes.device)).flatten(1)


def forward(like: Weights, flat: Tensor, places: Tensor, history: Tensor, private: Tensor | None) -> Passed:
    """Clients with the fields at `places`, pooled histories (K, d), private embeddings (K, d) or None."""
    weights = unflatten(flat, like)
    tables = sum(name.startswith("field.") for name in like)
    picked = flat.gather(1, places) if flat.dim() == 2 else flat.index_select(0, places.view(-1)).view(places.shape)
    fields = picked.view(len(places), tables, -1) if tables else picked.view(len(places), 0, 1)
    gate, values = None, fields
    if "se.squeeze" in weights:
        means = _means(fields)
        squeezed = torch.relu(_times(weights["se.squeeze"], means))
        gate = means, squeezed, torch.sigmoid(_times(weights["se.excite"], squeezed))
        values = fields * gate[2].unsqueeze(-1)
    values = values.flatten(1)
    takes_history = weights["mlp.0.weight"].shape[-1] > values.shape[-1]
    values = torch.cat([values, history], -1) if takes_history else values
    inputs = []
    for layer in range(_layers(like)):
        inputs.append(torch.relu(values) if layer else values)
        values = _affine(weights[f"mlp.{layer}.weight"], weights[f"mlp.{layer}.bias"], inputs[-1])
    base = history if private is None else history + private
    return Passed(weights, places, fields, gate, inputs, takes_history, base + values)


def backward(passed: Passed, grad: Tensor) -> tuple[Factors, Tensor]:
    """From the gradient (K, d) by `raw`, which is also that by the private embedding: those by the weights, and by the
    pooled history (K, d)."""
    weights, factors, back = passed.weights, dict[str, tuple[Tensor, Tensor | None]](), grad
    for layer in reversed(range(len(passed.inputs))):
        entered = passed.inputs[layer]
        factors[f"mlp.{layer}.weight"], factors[f"mlp.{layer}.bias"] = (back, entered), (back, None)
        back = _times_transposed(weights[f"mlp.{layer}.weight"], back)
        back = _where_positive(back, entered) if layer else back
    width = passed.places.shape[1]
    history = grad + back[:, width:] if passed.history else grad
    of_fields = back[:, :width].reshape(passed.fields.shape)
    if passed.gate is not None:
        means, squeezed, scale = passed.gate
        of_scale = _means(of_fields * passed.fields) * passed.fields.shape[-1]
        of_excited = torch.ops.aten.sigmoid_backward(of_scale, scale)
        of_squeezed = _where_positive(_times_transposed(weights["se.excite"], of_excited), squeezed)
        factors["se.excite"], factors["se.squeeze"] = _small(of_excited, squeezed), _small(of_squeezed, means)
        of_means = _times_transposed(weights["se.squeeze"], of_squeezed) / passed.fields.shape[-1]
        of_fields = of_fields * scale.unsqueeze(-1) + of_means.unsqueeze(-1)
    factors["field."] = (of_fields.flatten(1), passed.places)
    return factors, history


def write(factors: Factors, like: Weights, clients: slice, out: Tensor) -> None:
    """The gradients of some clients, multiplied out into `out` (clients, P)."""
    parts = torch.split(out, [weight.numel() for weight in like.values()], 1)
    tables = sum(weight.numel() for name, weight in like.items() if name.startswith("field."))
    out[:, :tables].zero_()
    rows, places = factors["field."]
    assert places is not None
    out.scatter_(1, places[clients], rows[clients])
    for (name, weight), part in zip(like.items(), parts, strict=True):
        if name.startswith("field."):
            continue
        left, right = factors[name]
        if right is None:
            part.copy_(left[clients])
        else:
            torch.mul(left[clients].unsqueeze(-1), right[clients].unsqueeze(1), out=part.view(-1, *weight.shape))


def of_unit(raw: Tensor, query: Tensor, grad: Tensor) -> Tensor:
    """The gradient (K, d) by `raw` of query = unit(raw), from that by `query`: what lies along it falls away, but for
    vectors too short to be stretched to 1."""
    lengths = torch.linalg.vector_norm(raw, dim=-1, keepdim=True)
    along = (query * grad).sum(-1, keepdim=True).masked_fill_(lengths < FLAT, 0)
    return torch.addcmul(grad, query, along, value=-1).div_(lengths.clamp_min_(FLAT))


def times(factors: Factors, number: float) -> Factors:
    """The same gradients, so many times as large."""
    return {name: (left * number, right) for name, (left, right) in factors.items()}


def largest(factors: Factors) -> Tensor:
    """(K,): the largest absolute value among each client's gradients. That of a product of two vectors is the product
    of theirs, so that the coordinates themselves need not be looked at."""
    found = []
    for name, (left, right) in factors.items():
        most = left.abs().amax(1) if left.shape[1] else left.new_zeros(len(left))
        found.append(most if right is None or name == "field." else most * right.abs().amax(1))
    return torch.stack(found).amax(0)


@dataclass(frozen=True)
class Products:
    """A matrix (n, d) a client, as the sum over S steps of left (S, K, n) times right (S, K, d)."""

    left: Tensor
    right: Tensor

    @property
    def dim(self) -> int:
        """d"""
        return self.right.shape[2]

    def times(self, numbers: Tensor) -> "Products":
        """Each client's matrix, so many times (K,) as large."""
        return Products(self.left, self.right * numbers[:, None])

    def largest(self) -> Tensor:
        """(K,): no coordinate is larger than Σ_s max|left_s| · max|right_s|, which one step attains."""
        return (self.left.abs().amax(2) * self.right.abs().amax(2)).sum(0)

    def write(self, clients: slice, out: Tensor) -> None:
        """The matrices of some clients, multiplied out into `out` (clients, n, d)."""
        left, right = self.left[:, clients], self.right[:, clients]
        if len(left) == 1:
            torch.mul(left[0].unsqueeze(2), right[0].unsqueeze(1), out=out)
        else:
            torch.bmm(left.permute(1, 2, 0), right.transpose(0, 1), out=out)


def _layers(like: Weights) -> int:
    return sum(name.startswith("mlp.") for name in like) // 2


def _means(fields: Tensor) -> Tensor:
    """(K, F) of (K, F, e). A product with a vector takes a quarter of the time of `mean` over so few numbers."""
    width = fields.shape[-1]
    return fields @ fields.new_full((width,), 1 / width)


def _where_positive(grad: Tensor, passed: Tensor) -> Tensor:
    """The gradient back through a ReLU that let `passed` through. (A mask of bools would be converted to floats.)"""
    return torch.ops.aten.threshold_backward(grad, passed, 0)  # type: ignore[no-any-return]


def _small(left: Tensor, right: Tensor) -> tuple[Tensor, None]:
    """The products themselves, where a tensor operation for every few clients would cost more than they hold."""
    return (left.unsqueeze(-1) * right.unsqueeze(1)).flatten(1), None


def _affine(weight: Tensor, bias: Tensor, values: Tensor) -> Tensor:
    """W x + b."""
    if weight.dim() == 2:
        return F.linear(values, weight, bias)
    return torch.baddbmm(bias.unsqueeze(1), values.unsqueeze(1), weight.transpose(1, 2))[:, 0]


def _times(weight: Tensor, values: Tensor) -> Tensor:
    """W x. Where every client has its own matrix, xᵀ Wᵀ is four times as fast as W x."""
    return values @ weight.T if weight.dim() == 2 else _times_transposed(weight.transpose(1, 2), values)


def _times_transposed(weight: Tensor, values: Tensor) -> Tensor:
    """Wᵀ x."""
    return values @ weight if weight.dim() == 2 else torch.bmm(values.unsqueeze(1), weight)[:, 0]
