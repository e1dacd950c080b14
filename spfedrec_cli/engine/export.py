"""Export: what a service needs of the server, and what a device needs of the query tower."""

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.folder import replacing
from spfedrec_cli.engine.bundle import write_bundle
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.choice import EVERYTHING
from spfedrec_cli.engine.graphs import item_graph, needs_onnx, query_graph
from spfedrec_cli.engine.load import open_run
from spfedrec_cli.engine.own_lists import has_second_stage, ranker_of, second_stage_of
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.server.ranking import RankingState
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings
from spfedrec_cli.model.prior import prior_coordinate, ranked_items
from spfedrec_cli.retrieval.second_stage import known_before
from spfedrec_cli.run import find
from spfedrec_cli.second_stage.features import FEATURES

Formats = tuple[str, ...]


def export(
    folder: Path | str,
    output: Path | str,
    formats: Sequence[str] = ("parquet", "safetensors"),
    checkpoint: str = "best",
    dataset: Path | str | None = None,
) -> list[Path]:
    """Write the model into a new folder `output`; returns the files.

    parquet: items.parquet (item_id, embedding) and clients.parquet (client_id, embedding), the latter being what the
    devices would compute for themselves; their dot product ranks, and a prior is one more coordinate: of an item
    γ · τ · π, of a client 1. safetensors: query_tower.safetensors and item_tower.safetensors, the weights by name, with
    the settings that the towers need in their header; beside the item tower that coordinate, as `prior` (n_items,).
    Of a second stage second_stage.safetensors: its `weights` (P,), `mix` (2,), and what is public of items now, `week`,
    `month` and `ever` (n_items,) and `popular`; in the header its form and the table of its features.
    onnx: both towers as graphs. faiss: an exact index over what ranks, items.faiss, and the ids in its order. device:
    what a device ranks with by itself (serving.bundle), which stands alone. Raises InputError for a folder that is not
    empty, and where an extra is not installed.
    """
    unknown = [name for name in formats if name not in EXPORTS]
    if unknown or not formats:
        raise InputError(
            f"There is no export format {', '.join(unknown) or 'named'}", hint=f"choose of {', '.join(EXPORTS)}"
        )
    if "device" in formats and len(formats) > 1:
        raise InputError("A bundle for a device stands alone", hint="export the other formats into another folder")
    folder, output = find(folder), Path(output)
    with files.disk_told(output), replacing(output, "The export") as new:
        _check_free(output)
        opened, world = open_run(folder, dataset)
        state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
        if has_second_stage(folder, world.config):
            state = replace(state, ranking=second_stage_of(folder, world.config))
        for name in dict.fromkeys(formats):
            EXPORTS[name](new.path, opened, world, state)
    return sorted(output.iterdir())


def _check_free(output: Path) -> None:
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise InputError("The output already exists", where=str(output), hint="name a folder that does not exist yet")


def _parquet(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    everyone = np.arange(dataset.n_clients)
    queries = client_queries(world, state, everyone, dataset.history(*EVERYTHING), items)
    ranked = ranked_items(world.config.model, items, state.sales, state.prior)
    for name, ids, rows in (("item", dataset.item_ids, ranked), ("client", dataset.client_ids, queries)):
        flat = pa.array(rows.numpy().reshape(-1), pa.float32())
        table = pa.table({f"{name}_id": ids, "embedding": pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])})
        pq.write_table(table, folder / f"{name}s.parquet")


def _safetensors(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    fields = {"items": world.known.items.names, "clients": world.devices.fields.names}
    about = {"model": world.config.model.model_dump_json(), "fields": json.dumps(fields), "round": str(state.round)}
    more = prior_coordinate(world.config.model, state.sales, state.prior)
    of_items = state.item if more is None else state.item | {"prior": more}
    for name, weights in (("query", state.query), ("item", of_items)):
        save_file(
            {key: tensor.contiguous() for key, tensor in weights.items()}, folder / f"{name}_tower.safetensors", about
        )
    if state.ranking is not None:
        _second_stage(folder, dataset, world, state.ranking)


def _second_stage(folder: Path, dataset: Dataset, world: World, ranking: RankingState) -> None:
    ranker = ranker_of(dataset, world.config, ranking)
    public = known_before(ranker, dataset, *EVERYTHING).public
    shown = {name: torch.from_numpy(getattr(public, name)[0].copy()) for name in ("week", "month", "ever", "popular")}
    features = [
        {"name": label, "known_by": FEATURES[name].known_by, "needs": FEATURES[name].needs}
        for name, label in ranker.shop.columns.rows
    ]
    about = {"second_stage": world.config.second_stage.model_dump_json(), "features": json.dumps(features)}
    tensors = {"weights": ranking.average.contiguous(), "mix": ranking.mix, **shown}
    save_file(tensors, folder / "second_stage.safetensors", about | {"round": str(ranking.round)})


def _onnx(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    needs_onnx()
    model = world.config.model
    (folder / "query_tower.onnx").write_bytes(query_graph(model, state.query, world.devices.fields.names))
    (folder / "item_tower.onnx").write_bytes(item_graph(model, state.item, world.known.items.names))


def _faiss(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """An exact index of inner products over what ranks, and ids in its order."""
    if not find_spec("faiss"):
        hint = "install it with `pip install 'spfedrec[ann]'`"
        raise InputError("The format faiss needs faiss, which is not installed", hint=hint)
    import faiss

    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    rows = np.ascontiguousarray(ranked_items(world.config.model, items, state.sales, state.prior).numpy(), np.float32)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    faiss.write_index(index, str(folder / "items.faiss"))
    (folder / "items.faiss.ids.json").write_text(json.dumps(dataset.item_ids) + "\n", encoding="utf-8")


EXPORTS = {
    "parquet": _parquet,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "faiss": _faiss,
    "device": write_bundle,
}
