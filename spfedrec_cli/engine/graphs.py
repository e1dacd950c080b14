"""Towers and the second stage as ONNX graphs, node by node: what model.towers and second_stage.forms compute, for
programs without torch. onnx is an extra."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.dtypes import F32, F64
from spfedrec_cli.errors import InputError
from spfedrec_cli.model.towers import FLAT, dense, tables

OPSET, IR = 17, 8  # of 2022: what runtimes on phones read
KNOWN = ("se_mlp", "linear")
Weights = dict[str, Tensor]


def check_known(architecture: str) -> None:
    """Raises InputError where a tower is known to torch alone."""
    if architecture not in KNOWN:
        hint = f"it can be had of {', '.join(KNOWN)}"
        raise InputError(f"The tower {architecture!r} has no form without torch", hint=hint)


def query_graph(model: ModelConfig, weights: Weights, fields: Sequence[str]) -> bytes:
    """ũ (n, d) of `codes` (n, fields) int64 and `history` (n, d), the pooled purchases; of somebody without a private
    embedding."""
    return _Graph(model.query_tower).tower(model, weights, len(fields), history=True)


def item_graph(model: ModelConfig, weights: Weights, fields: Sequence[str]) -> bytes:
    """ṽ (n, d) of `codes` (n, fields) int64."""
    return _Graph(model.item_tower).tower(model, weights, len(fields), history=False)


def ranking_graph(form: str, weights: F64, features: int, hidden: int) -> bytes:
    """Scores (p,) of `features` (p, F), by the second stage."""
    return _Graph("linear").ranker(form, weights.astype(np.float32), features, hidden)


class _Graph:
    """Nodes and constants, each added under the name of what it gives."""

    def __init__(self, architecture: str) -> None:
        check_known(architecture)
        from onnx import TensorProto, helper, numpy_helper

        self._onnx, self._numpy, self._types = helper, numpy_helper, TensorProto
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def tower(self, model: ModelConfig, weights: Weights, fields: int, history: bool) -> bytes:
        for name, tensor in weights.items():
            self._constant(name, tensor.contiguous().numpy())
        self._constant("flat", np.array([FLAT], np.float32))
        self._constant("row", np.array([-1, fields * model.field_dim]))
        entering = history and model.history != "none"
        values = self._fields(weights, fields)
        if "se.squeeze" in dense(weights):
            values = self._excited(values)
        values = self._add("Reshape", [values, "row"]) if fields else ""
        values = self._add("Concat", [each for each in (values, "history" if entering else "") if each], axis=1)
        values = self._layers(dense(weights), values)
        values = self._add("Add", [values, "history"]) if history else values
        length = self._add("Max", [self._add("ReduceL2", [values], axes=[1], keepdims=1), "flat"])
        self._nodes.append(self._onnx.make_node("Div", [values, length], ["embedding"]))
        return self._written(model, fields, history)

    def ranker(self, form: str, weights: F32, features: int, hidden: int) -> bytes:
        values, outer = "features", weights
        if form == "network":
            matrix, bias = weights[: features * hidden].reshape(features, hidden), weights[features * hidden :][:hidden]
            self._constant("matrix", matrix)
            self._constant("bias", bias)
            values, outer = self._add("Relu", [self._add("Gemm", [values, "matrix", "bias"])]), weights[-hidden - 1 :]
        self._constant("outer", outer[:-1, None])
        self._constant("last", outer[-1:])
        self._constant("flat", np.array([-1]))
        scores = self._add("Gemm", [values, "outer", "last"])
        self._nodes.append(self._onnx.make_node("Reshape", [scores, "flat"], ["scores"]))
        value, float_ = self._onnx.make_tensor_value_info, self._types.FLOAT
        return self._model(
            "second_stage", [value("features", float_, ["p", features])], [value("scores", float_, ["p"])]
        )

    def _fields(self, weights: Weights, fields: int) -> str:
        """(n, fields, e)."""
        rows = []
        self._constant("one", np.array([1]))
        for place, name in enumerate(tables(weights)):
            self._constant(f"place.{place}", np.array(place))
            codes = self._add("Gather", ["codes", f"place.{place}"], axis=1)
            rows.append(self._add("Unsqueeze", [self._add("Gather", [name, codes], axis=0), "one"]))
        return self._add("Concat", rows, axis=1) if rows else ""

    def _constant(self, name: str, value: npt.NDArray[Any]) -> None:
        self._constants.append(self._numpy.from_array(value, name))

    def _excited(self, fields: str) -> str:
        means = self._add("ReduceMean", [fields], axes=[2], keepdims=0)
        squeezed = self._add("Relu", [self._add("Gemm", [means, "se.squeeze"], transB=1)])
        gates = self._add("Sigmoid", [self._add("Gemm", [squeezed, "se.excite"], transB=1)])
        self._constant("two", np.array([2]))
        return self._add("Mul", [fields, self._add("Unsqueeze", [gates, "two"])])

    def _layers(self, weights: Weights, values: str) -> str:
        layers = sum(name.startswith("mlp.") for name in weights) // 2
        for layer in range(layers):
            values = self._add("Gemm", [values, f"mlp.{layer}.weight", f"mlp.{layer}.bias"], transB=1)
            values = self._add("Relu", [values]) if layer < layers - 1 else values
        return values

    def _add(self, kind: str, inputs: list[str], **how: Any) -> str:
        name = f"{kind.lower()}.{len(self._nodes)}"
        self._nodes.append(self._onnx.make_node(kind, inputs, [name], **how))
        return name

    def _written(self, model: ModelConfig, fields: int, history: bool) -> bytes:
        value, float_, int_ = self._onnx.make_tensor_value_info, self._types.FLOAT, self._types.INT64
        inputs = [value("codes", int_, ["n", fields])] if fields else []
        inputs += [value("history", float_, ["n", model.dim])] if history else []
        outputs = [value("embedding", float_, ["n", model.dim])]
        return self._model("tower", inputs, outputs)

    def _model(self, name: str, inputs: list[Any], outputs: list[Any]) -> bytes:
        read = {each for node in self._nodes for each in node.input}  # ONNX Runtime warns of what no node reads
        constants = [each for each in self._constants if each.name in read]
        graph = self._onnx.make_graph(self._nodes, name, inputs, outputs, constants)
        made = self._onnx.make_model(graph, opset_imports=[self._onnx.make_opsetid("", OPSET)], ir_version=IR)
        return bytes(made.SerializeToString())
