"""The query tower without torch: as a graph by onnxruntime, or by numpy with the same weights."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.serving.bundle import GRAPH, WEIGHTS, Bundle

FLAT = 1e-3  # as model.towers has it: a shorter vector is not stretched to 1
Tower = Callable[[I64, F32], F32]  # codes (1, fields) and the pooled history (1, d) to ũ (1, d)


def tower_of(bundle: Bundle) -> tuple[Tower, str]:
    """The tower, and by what it runs."""
    if GRAPH in bundle.about["files"] and find_spec("onnxruntime"):
        return _by_onnx(bundle.folder / GRAPH), "onnxruntime"
    return _by_numpy(bundle), "numpy"


def _by_onnx(file: Path) -> Tower:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs = [each.name for each in session.get_inputs()]

    def run(codes: I64, history: F32) -> F32:
        given = {"codes": codes, "history": history}
        return np.asarray(session.run(None, {name: given[name] for name in inputs})[0], np.float32)

    return run


def _by_numpy(bundle: Bundle) -> Tower:
    from safetensors.numpy import load_file

    weights, fields = load_file(bundle.folder / WEIGHTS), [entry["name"] for entry in bundle.about["fields"]]
    takes_history = bundle.about["model"]["history"] != "none"

    def run(codes: I64, history: F32) -> F32:
        rows = [weights[f"field.{name}"][codes[:, place]] for place, name in enumerate(fields)]
        embedded = np.stack(rows, 1) if rows else np.zeros((len(codes), 0, 1), np.float32)
        return unit(history + _dense(weights, embedded, history if takes_history else None))

    return run


def _dense(weights: dict[str, F32], fields: F32, history: F32 | None) -> F32:
    """Squeeze and excite where there is, then the layers, as model.architectures has them."""
    if "se.squeeze" in weights:
        squeezed = np.maximum(fields.mean(-1) @ weights["se.squeeze"].T, 0)
        fields = fields / (1 + np.exp(-(squeezed @ weights["se.excite"].T)))[..., None]
    values = fields.reshape(len(fields), -1)
    values = values if history is None else np.concatenate([values, history], 1)
    layers = sum(name.startswith("mlp.") for name in weights) // 2
    for layer in range(layers):
        values = values @ weights[f"mlp.{layer}.weight"].T + weights[f"mlp.{layer}.bias"]
        values = np.maximum(values, 0) if layer < layers - 1 else values
    return np.asarray(values, np.float32)


def unit(vectors: F32) -> F32:
    """At length 1, shorter where the length is below FLAT."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), FLAT), np.float32)
