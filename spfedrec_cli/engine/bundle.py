"""A bundle for devices, written; serving.bundle reads it."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import save_file

import spfedrec_cli
from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.engine.choice import EVERYTHING
from spfedrec_cli.engine.graphs import check_known, query_graph, ranking_graph
from spfedrec_cli.engine.own_lists import ranker_of
from spfedrec_cli.federated.server.ranking import RankingState
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings
from spfedrec_cli.model.prior import prior_coordinate
from spfedrec_cli.retrieval.second_stage import Ranker, day_after
from spfedrec_cli.second_stage.mixing import TOWERS
from spfedrec_cli.second_stage.public import MONTH, weekly_buyers
from spfedrec_cli.second_stage.stored import rows_of
from spfedrec_cli.serving import bundle

QMAX = 127
SETTINGS = ("dim", "history", "half_life", "temperature", "query_tower")
OF_SECOND_STAGE = (
    *("form", "hidden", "loss", "popular", "retrieved", "explore", "explore_after"),
    *("personal", "proximal", "label_weeks", "spacing"),
)


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
    second = _second_stage(folder, dataset, world, state.ranking)
    about = {
        "layout": bundle.LAYOUT,
        "version": spfedrec_cli.__version__,
        "dataset": dataset.name,
        "round": state.round,
        "repeats": dataset.repeats,
        "id_width": FORMS[dataset.manifest.item_form].width,
        "model": {name: getattr(model, name) for name in SETTINGS},
        "fields": [{"name": entry.name, "values": list(entry.vocabulary)} for entry in dataset.manifest.client_fields],
        **second,
        "files": {file.name: files.named(file) for file in sorted(folder.iterdir())},
    }
    files.write_json(folder / bundle.MANIFEST, files.sealed(about))


def _second_stage(folder: Path, dataset: Dataset, world: World, ranking: RankingState | None) -> dict[str, Any]:
    """What the manifest says of it; nothing where there is none, or where validation left it out."""
    if ranking is None or tuple(ranking.mix.tolist()) == TOWERS:
        return {}
    ranker, second = ranker_of(dataset, world.config, ranking), world.config.second_stage
    columns, day = ranker.shop.columns, day_after(dataset, EVERYTHING)
    np.save(folder / bundle.WEEKS, _smallest(_weeks(dataset, ranker, day, keep=bool(second.personal))))
    np.save(folder / bundle.CODES, _smallest(columns.codes))
    if ranker.shop.kin is not None:
        np.save(folder / bundle.KIN, ranker.shop.kin)
    save_file({"weights": ranking.average.contiguous()}, folder / bundle.RANKER)
    if find_spec("onnx"):
        (folder / bundle.RANKER_GRAPH).write_bytes(
            ranking_graph(second.form, ranker.weights, len(columns), second.hidden)
        )
    said = {name: getattr(second, name) for name in OF_SECOND_STAGE}
    dated = dataset.manifest.time_unit in UNITS_A_DAY
    about = {**said, "features": columns.names, "fields": columns.fields, "mix": ranker.mix, "day": day, "dated": dated}
    return {"second_stage": about}


def _weeks(dataset: Dataset, ranker: Ranker, day: int | None, keep: bool) -> I64:
    """How many bought each item before the last weeks, and in each of them. Where label weeks are not looked at on the
    device, all before the last month are one: what follows of them stays the same."""
    if day is None:
        return weekly_buyers(rows_of(dataset, "train"), dataset.n_items, np.iinfo(np.int32).max, 0)
    buyers = weekly_buyers(rows_of(dataset, *EVERYTHING), dataset.n_items, day, ranker.weeks)
    return buyers if keep else np.vstack([buyers[:-MONTH].sum(0, keepdims=True), buyers[-MONTH:]])


def _smallest(values: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """The same in as few bytes as hold them; none of them is below 0."""
    return np.asarray(values.astype(np.min_scalar_type(int(values.max(initial=0)))))


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
