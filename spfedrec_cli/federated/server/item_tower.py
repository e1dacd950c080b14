"""The item tower on the server, trained by split learning: step 3, forward on the rows that take part, and in step 7
back from the mean g_v to the gradients of its weights.

Items come in parts, cut the same way whoever computes them, so that any number of threads and processes comes to the
same bits. On the CPU a part goes forward and back by hand, where the architecture has a row in `BY_HAND`. Else, and on
another device, it goes by `model.towers` and autograd, to which a property test holds those rows equal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.kernels import items as kernel
from spfedrec_cli.kernels.draws import uniform_each
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import FLAT, Weights, dense, flatten, item_tower, tables, unflatten
from spfedrec_cli.placement import CPU, fetched, placed
from spfedrec_cli.rng import stream_key
from spfedrec_cli.threads import shared

PART = 1 << 11  # items at once: what passes through the tower stays in the cache


class Passed(Protocol):
    """A part that went forward."""

    embeddings: Tensor  # ṽ (n, d)

    def back(self, of_embeddings: Tensor) -> Tensor:
        """The gradients (T · e + D,) of the rows (T, e) of tables and of all other weights, from those by ṽ (n, d)."""
        ...


# Of a tower, the rows that a part touches of each table, where in these its fields are (n, F), and kept ids (n,).
Form = Callable[[ModelConfig, Weights, list[Tensor], I32, F32], Passed]


@dataclass(frozen=True)
class Parts:
    """Which rows of which tables the parts touch, and where in these the fields of each item are (R, F).

    Part p touches of table f the rows touched[bounds[p, f] : bounds[p, f + 1]]. Table f begins at starts[f] where the
    rows of all tables, `held` in number, are counted through.
    """

    touched: I64
    places: I32
    bounds: I64
    starts: I64
    held: int

    @classmethod
    def of(cls, codes: I64, item: Weights) -> "Parts":
        """Of items with such codes (R, F)."""
        lengths = [len(table) for table in tables(item).values()]
        held, starts = sum(lengths), np.cumsum([0, *lengths[:-1]])
        parts = max(1, -(-len(codes) // PART))
        touched, places = np.empty(codes.size, np.int64), np.empty(codes.shape, np.int32)
        bounds = np.empty((parts, len(lengths) + 1), np.int64)
        kernel.number(codes, starts, PART, np.full(held, -1, np.int32), touched, places, bounds)
        return cls(touched[: bounds[-1, -1]], places, bounds, starts, held)

    def __len__(self) -> int:
        return len(self.bounds)

    def cut(self, part: int) -> slice:
        """Its items."""
        return slice(part * PART, min((part + 1) * PART, len(self.places)))

    def rows(self, part: int) -> list[Tensor]:
        """What it touches of each table."""
        ends = zip(self.bounds[part, :-1], self.bounds[part, 1:], strict=True)
        return [torch.from_numpy(self.touched[begin:end]) for begin, end in ends]

    def joined(self, grads: F32) -> list[tuple[Tensor, Tensor]]:
        """Of each table the rows that any part touches and their gradients, from those (n, e) of all parts."""
        rows, joined, ends = np.empty_like(self.touched), np.empty_like(grads), np.empty(len(self.starts), np.int64)
        kernel.join(self.touched, self.bounds, self.starts, grads, np.full(self.held, -1, np.int32), rows, joined, ends)
        cuts = [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
        return [(torch.from_numpy(rows[cut]), torch.from_numpy(joined[cut])) for cut in cuts]


@dataclass(frozen=True)
class Served:
    """The rows that take part: ṽ (R, d) of all of them, and those parts that went through the tower in this process."""

    embeddings: Tensor
    parts: Parts
    passed: dict[int, Passed]
    threads: int


def serve(
    model: ModelConfig,
    item: Weights,
    features: Features,
    rows: I64,
    id_dropout: float,
    seed: int,
    round_: int,
    team: Team = ALONE,
    threads: int = 1,
) -> Served:
    """Step 3: run the item tower on the items `rows` (ascending), as they are in this round, and on nothing else."""
    codes = features.at(round_).codes
    device, keep = codes.device, _kept_ids(rows, id_dropout, seed, round_)
    parts = Parts.of(fetched(codes.index_select(0, placed(rows, device))).numpy(), item)
    form = BY_HAND.get(model.item_tower, ByAutograd) if device == CPU else ByAutograd
    embeddings = torch.zeros(len(rows), model.dim, device=device)

    def forward(part: int) -> tuple[int, Passed]:
        cut = parts.cut(part)
        passed = form(model, item, parts.rows(part), parts.places[cut], keep[cut])
        embeddings[cut] = passed.embeddings
        return part, passed

    found = dict(shared(forward, team.mine(len(parts)), threads))
    return Served(team.merge(embeddings), parts, found, threads)


def _kept_ids(rows: I64, id_dropout: float, seed: int, round_: int) -> F32:
    """1 for each item whose id counts in this round, else 0."""
    if id_dropout == 0:
        return np.ones(len(rows), np.float32)
    draws, key = np.empty(len(rows)), np.array(stream_key(seed, "id_dropout"), np.uint64)
    uniform_each(key, rows, np.uint64(round_), draws)
    return (draws >= id_dropout).astype(np.float32)


def pulled(
    item: Weights, served: Served, of_embeddings: Tensor, team: Team = ALONE
) -> dict[str, tuple[Tensor | None, Tensor]]:
    """The gradient of each weight from those by ṽ (R, d); of a table, of the rows that take part, and which they are
    (None: it is none). On the CPU."""
    parts, of_fields, others = served.parts, tables(item), dense(item)
    width, size = next(iter(of_fields.values())).shape[1], sum(weight.numel() for weight in others.values())
    first, last = parts.bounds[:, 0] * width, parts.bounds[:, -1] * width
    flat = torch.zeros(int(last[-1]) + len(parts) * size)
    of_rows, of_others = flat[: last[-1]], flat[last[-1] :].view(len(parts), size)

    def back(part: int) -> None:
        grads = fetched(served.passed[part].back(of_embeddings[parts.cut(part)]))
        mine = of_rows[first[part] : last[part]]
        mine.copy_(grads[: len(mine)])
        of_others[part].copy_(grads[len(mine) :])

    shared(back, served.passed, served.threads)
    team.merge(flat)
    of_tables = dict(zip(of_fields, parts.joined(of_rows.view(-1, width).numpy()), strict=True))
    return of_tables | {name: (None, grad) for name, grad in unflatten(of_others.sum(0), others).items()}


class ByAutograd:
    """A part through the item tower as it is written in `model.towers`."""

    def __init__(self, model: ModelConfig, item: Weights, rows: list[Tensor], places: I32, keep: F32) -> None:
        device, of_fields = next(iter(item.values())).device, tables(item)
        picked = [
            table.index_select(0, placed(some, device)) for table, some in zip(of_fields.values(), rows, strict=True)
        ]
        self._leaves = {
            name: weight.detach().requires_grad_()
            for name, weight in (dict(zip(of_fields, picked, strict=True)) | dense(item)).items()
        }
        before = np.cumsum([0, *(len(some) for some in rows[:-1])])
        local = placed(places.astype(np.int64) - before, device)
        self._out = item_tower(model, self._leaves, local, placed(keep, device))
        self.embeddings = self._out.detach()

    def back(self, of_embeddings: Tensor) -> Tensor:
        leaves = list(self._leaves.values())
        grads = torch.autograd.grad(self._out, leaves, of_embeddings, materialize_grads=True)
        return flatten(dict(zip(self._leaves, grads, strict=True)))


class ByHand:
    """The same in few passes over memory; what autograd would keep is kept as named tensors."""

    def __init__(self, _: ModelConfig, item: Weights, rows: list[Tensor], places: I32, keep: F32) -> None:
        self._item, self._places, self._keep = item, places, keep
        picked = [table.index_select(0, some) for table, some in zip(tables(item).values(), rows, strict=True)]
        self._touched = torch.cat(picked)
        count, fields = places.shape
        self._fields = torch.empty(count, fields * self._touched.shape[1])
        self._means = torch.empty(count, fields)
        kernel.enter(self._touched.numpy(), places, keep, self._fields.numpy(), self._means.numpy())
        values = self._excited() if self._gated else self._fields
        self._inputs = [values]  # of each layer
        for layer in range(self._layers):
            hidden, bias = layer < self._layers - 1, item[f"mlp.{layer}.bias"]
            values = torch.mm(values, item[f"mlp.{layer}.weight"].T)
            kernel.activate(values.numpy(), bias.numpy(), hidden)
            if hidden:
                self._inputs.append(values)
        self.embeddings, self._lengths = torch.empty_like(values), np.empty(count, np.float32)
        kernel.stretch(values.numpy(), np.float32(FLAT), self.embeddings.numpy(), self._lengths)

    @property
    def _layers(self) -> int:
        return sum(name.startswith("mlp.") for name in self._item) // 2

    @property
    def _gated(self) -> bool:
        return "se.squeeze" in self._item

    def _excited(self) -> Tensor:
        """The fields, each scaled by its gate s = σ(W2 δ(W1 z))."""
        self._squeezed = torch.mm(self._means, self._item["se.squeeze"].T).clamp_min_(0)
        self._gates = torch.mm(self._squeezed, self._item["se.excite"].T).sigmoid_()
        scaled = torch.empty_like(self._fields)
        kernel.scale(self._fields.numpy(), self._gates.numpy(), scaled.numpy())
        return scaled

    def back(self, of_embeddings: Tensor) -> Tensor:
        item, grads = self._item, dict[str, Tensor]()
        grad = torch.empty_like(self.embeddings)
        of_embeddings, stretched = of_embeddings.contiguous(), self.embeddings.numpy()
        kernel.stretch_back(of_embeddings.numpy(), stretched, np.float32(FLAT), self._lengths, grad.numpy())
        for layer in reversed(range(self._layers)):
            values, name = self._inputs[layer], f"mlp.{layer}"
            grads |= {f"{name}.weight": torch.mm(grad.T, values), f"{name}.bias": grad.sum(0)}
            grad = torch.mm(grad, item[f"{name}.weight"])
            if layer > 0:
                kernel.where_positive(values.numpy(), grad.numpy())
        of_means = self._excited_back(grad, grads) if self._gated else grad.new_empty(len(grad), 0)
        of_touched = torch.zeros_like(self._touched)
        kernel.leave(grad.numpy(), of_means.numpy(), self._places, self._keep, of_touched.numpy())
        return torch.cat([of_touched.reshape(-1), flatten({name: grads[name] for name in dense(item)})])

    def _excited_back(self, of_scaled: Tensor, grads: dict[str, Tensor]) -> Tensor:
        """That by scaled fields becomes, in place, that by fields but for the means of these, which is returned."""
        of_gates = torch.empty_like(self._gates)
        kernel.scale_back(of_scaled.numpy(), self._fields.numpy(), self._gates.numpy(), of_gates.numpy())
        of_squeezed = torch.mm(of_gates, self._item["se.excite"])
        kernel.where_positive(self._squeezed.numpy(), of_squeezed.numpy())
        grads["se.excite"], grads["se.squeeze"] = (
            torch.mm(of_gates.T, self._squeezed),
            torch.mm(of_squeezed.T, self._means),
        )
        return torch.mm(of_squeezed, self._item["se.squeeze"])


# Architectures with a form by hand; any other goes by autograd.
BY_HAND: dict[str, Form] = {"se_mlp": ByHand, "linear": ByHand}
