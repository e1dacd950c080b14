"""A bundle for devices, written; serving.bundle reads it."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

import spfedrec_cli
from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.dtypes import F32
from spfedrec_cli.engine.graphs import check_known, query_graph
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings
from spfedrec_cli.model.prior import prior_coordinate
from spfedrec_cli.serving import bundle

QMAX = 127
SETTINGS = ("dim", "history", "half_life", "temperature", "query_tower")


def write_bundle(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """All files, and last the manifest that names them. The graph is there where onnx is installed."""
    model = world.config.model
    check_known(model.query_tower)
    items = item_embeddings(model, state.item, world.known.items.at(state.round)).numpy()
    quantised, scales = in_eight_bits(items)
    np.save(folder / bundle.ITEMS, quantised)
    np.save(folder / bundle.SCALES, scales)
    np.save(folder / bundle.FINE, in_four_more(np.asarray(items / scales[:, None] - quantised, np.float32)))
    prior = prior_coordinate(model, state.sales, state.prior)
    if prior is not None:
        np.save(folder / bundle.PRIOR, prior.numpy())
    _write_items(folder, dataset)
    weights = {name: tensor.contiguous() for name, tensor in state.query.items()}
    save_file(weights, folder / bundle.WEIGHTS)
    if find_spec("onnx"):
        (folder / bundle.GRAPH).write_bytes(query_graph(model, state.query, world.devices.fields.names))
    about = {
        "layout": bundle.LAYOUT,
        "version": spfedrec_cli.__version__,
        "dataset": dataset.name,
        "round": state.round,
        "repeats": dataset.repeats,
        "id_width": FORMS[dataset.manifest.item_form].width,
        "model": {name: getattr(model, name) for name in SETTINGS},
        "fields": [{"name": entry.name, "values": list(entry.vocabulary)} for entry in dataset.manifest.client_fields],
        "files": {file.name: files.named(file) for file in sorted(folder.iterdir())},
    }
    files.write_json(folder / bundle.MANIFEST, files.sealed(about))


def in_eight_bits(rows: F32) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int8]], F32]:
    """q (n, d) and a scale for each row (n,): row i is about scale_i · q_i, a coordinate off by at most scale_i / 2."""
    scales = np.maximum(np.abs(rows).max(axis=1, initial=0), np.finfo(np.float32).tiny) / QMAX
    return np.rint(rows / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def in_four_more(rest: F32) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """What eight bits leave, (n, d) within ±½, in sixteenths; two coordinates a byte: (n, ⌈d / 2⌉)."""
    codes = np.clip(np.floor((rest + 0.5) * 16), 0, 15).astype(np.uint8)
    even = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
    return np.asarray(even[:, ::2] << 4 | even[:, 1::2], np.uint8)


def _write_items(folder: Path, dataset: Dataset) -> None:
    """Ids and what is shown of items, a line of JSON each; and the hashes of the ids."""
    labels = {name: dataset.labels.column(name).to_pylist() for name in dataset.labels.column_names}
    columns = [labels.get(name, [None] * dataset.n_items) for name in ("name", "type", "colour")]
    lines = (json.dumps(row) + "\n" for row in zip(dataset.item_ids, *columns, strict=True))
    (folder / bundle.LINES).write_text("".join(lines), encoding="utf-8")
    np.save(folder / bundle.IDS, np.array([bundle.hash_of(id) for id in dataset.item_ids], np.uint64))
