"""Export: what a service needs of the server, and what a device needs of the query tower."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.folder import replacing
from spfedrec_cli.engine import indexes, vectors
from spfedrec_cli.engine.bundle import write_bundle
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.choice import EVERYTHING
from spfedrec_cli.engine.graphs import item_graph, query_graph, ranking_graph
from spfedrec_cli.engine.load import open_run
from spfedrec_cli.engine.own_lists import has_second_stage, ranker_of, second_stage_of
from spfedrec_cli.engine.store import write_store
from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.extras import needs
from spfedrec_cli.federated.server.ranking import RankingState
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.prior import prior_coordinate
from spfedrec_cli.retrieval.second_stage import known_before
from spfedrec_cli.run import find
from spfedrec_cli.second_stage.features import FEATURES
from spfedrec_cli.serving import bundle, store


@dataclass(frozen=True)
class Export:
    """A format: `write` fills a folder with some of `files`, by which an earlier export is known again."""

    write: Callable[..., None]
    files: tuple[str, ...] = ()


def export(
    folder: Path | str,
    output: Path | str,
    formats: Sequence[str] = ("parquet", "safetensors"),
    checkpoint: str = "best",
    dataset: Path | str | None = None,
    hnsw: Mapping[str, int] | None = None,
    force: bool = False,
) -> list[Path]:
    """Write the model into a new folder `output`; returns the files.

    parquet: items.parquet (item_id, embedding) and clients.parquet (client_id, embedding), the latter being what the
    devices would compute for themselves; their dot product ranks, and a prior is one more coordinate: of an item
    γ · τ · π, of a client 1. safetensors: query_tower.safetensors and item_tower.safetensors, the weights by name, with
    the settings that the towers need in their header; beside the item tower that coordinate, as `prior` (n_items,).
    Of a second stage second_stage.safetensors: its `weights` (P,), `mix` (2,), and what is public of items now, `week`,
    `month` and `ever` (n_items,) and `popular`; in the header its form and the table of its features.
    npy: items.npy and clients.npy, as parquet has them, with ids as UTF-8 beside. store: the same, purchases and
    labels, from which `recommend` serves known customers without torch (serving.store). onnx: both towers as graphs,
    and of a second stage second_stage.onnx, from features (p, F) in the order of that table to scores (p,).
    faiss: an exact index over what ranks, items.faiss, and the ids in its order. hnsw: a graph over the same, `hnsw`
    its links, build and search (indexes.Hnsw), and how near it comes to exact lists, items.hnsw.json. projector: for
    TensorBoard's. device: what a device ranks with by itself (serving.bundle), which stands alone.

    `force` replaces the folder where it is an earlier export. Raises InputError for a folder that holds anything else,
    or is not to be replaced, and where an extra is not installed.
    """
    formats = listed(formats)
    unknown = [name for name in formats if name not in EXPORTS]
    if unknown or not formats:
        raise InputError(
            f"There is no export format {', '.join(unknown) or 'named'}", hint=f"choose from {', '.join(EXPORTS)}"
        )
    if "device" in formats and len(formats) > 1:
        raise InputError("A bundle for a device stands alone", hint="export the other formats into another folder")
    if hnsw and "hnsw" not in formats:
        raise InputError("Only an HNSW index has such settings", hint="add hnsw to the formats")
    folder, output = find(folder), Path(output)
    with files.disk_told(output), replacing(output, "The export") as new:
        _check_free(output, force)
        opened, world = open_run(folder, dataset)
        state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
        if has_second_stage(folder, world.config):
            state = replace(state, ranking=second_stage_of(folder, world.config))
        for name in dict.fromkeys(formats):
            more = {"hnsw": hnsw} if name == "hnsw" else {}
            EXPORTS[name].write(new.path, opened, world, state, **more)
    return sorted(output.iterdir())


def _check_free(output: Path, force: bool) -> None:
    """Only an earlier export may be replaced, and that only on demand."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError("The output is no folder", where=str(output), hint="name another one")
    found = {file.name for file in output.iterdir()} if output.exists() else set()
    if found and not force:
        hint = "name a folder that does not exist yet, or replace it by --force"
        raise InputError("The output already exists", where=str(output), hint=hint)
    other = sorted(found - _written(output))
    if other:
        problem = f"The output folder holds something other than an export: {other[0]}"
        raise InputError(problem, where=str(output), hint="name another folder")


def _written(output: Path) -> set[str]:
    """Names that an export has given to files there."""
    listed: dict[str, object] = {}
    with suppress(OSError, InputError):
        listed = files.read_json(output / bundle.MANIFEST).get("files", {})
    own = {name for row in EXPORTS.values() for name in row.files}
    return {*own, *listed, *([bundle.MANIFEST] if listed else [])}


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
    save_file(tensors, folder / bundle.RANKER, about | {"round": str(ranking.round)})


def _onnx(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    needs("The format onnx", "onnx", "onnx")
    model = world.config.model
    (folder / "query_tower.onnx").write_bytes(query_graph(model, state.query, world.devices.fields.names))
    (folder / "item_tower.onnx").write_bytes(item_graph(model, state.item, world.known.items.names))
    if state.ranking is not None:
        ranker, second = ranker_of(dataset, world.config, state.ranking), world.config.second_stage
        graph = ranking_graph(second.form, ranker.weights, len(ranker.shop.columns), second.hidden)
        (folder / bundle.RANKER_GRAPH).write_bytes(graph)


def _graph(name: str) -> tuple[str, str]:
    """The files of a FAISS index."""
    return name, f"{name}.ids.json"


EXPORTS: dict[str, Export] = {
    "parquet": Export(vectors.write_parquet, ("items.parquet", "clients.parquet")),
    "safetensors": Export(_safetensors, ("query_tower.safetensors", "item_tower.safetensors", bundle.RANKER)),
    "npy": Export(vectors.write_npy, (store.ITEMS, store.ITEM_IDS, store.CLIENTS, store.CLIENT_IDS)),
    "store": Export(write_store, (store.ABOUT, *store.FILES)),
    "onnx": Export(_onnx, ("query_tower.onnx", "item_tower.onnx", bundle.RANKER_GRAPH)),
    "faiss": Export(indexes.write_flat, _graph(indexes.FLAT)),
    "hnsw": Export(indexes.write_hnsw, (*_graph(indexes.HNSW), indexes.ABOUT)),
    "projector": Export(vectors.write_projector, (vectors.TENSORS, vectors.METADATA, vectors.PROJECTOR)),
    "device": Export(write_bundle),  # whose manifest names its files
}
