"""Embeddings for other programs: as Parquet, as arrays of numpy, and for TensorBoard's projector."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.choice import EVERYTHING
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings
from spfedrec_cli.model.prior import ranked_items
from spfedrec_cli.serving.store import CLIENT_IDS, CLIENTS, ITEM_IDS, ITEMS

BLOCK = 1 << 14  # clients whose embeddings are computed at once
TENSORS, METADATA, PROJECTOR = "tensors.tsv", "metadata.tsv", "projector_config.pbtxt"


def ranked_rows(world: World, state: State) -> F32:
    """What lists are ranked by: (n_items, d), with a prior (n_items, d + 1)."""
    model = world.config.model
    items = item_embeddings(model, state.item, world.known.items.at(state.round))
    return np.ascontiguousarray(ranked_items(model, items, state.sales, state.prior).numpy(), np.float32)


def query_blocks(dataset: Dataset, world: World, state: State, clients: I32) -> Iterator[F32]:
    """(n, d) of these clients with all that they bought, as their devices would compute it, BLOCK of them at a time;
    with a prior (n, d + 1)."""
    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    for start in range(0, len(clients), BLOCK):
        some = clients[start : start + BLOCK]
        past = dataset.history_of(some, *EVERYTHING)
        yield np.asarray(client_queries(world, state, some, past, items).numpy(), np.float32)


def write_parquet(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """items.parquet and clients.parquet: an id and its embedding a row."""
    rows = ranked_rows(world, state)
    _table(folder / "items.parquet", "item_id", dataset.item_ids, iter([rows]), rows.shape[1])
    blocks = query_blocks(dataset, world, state, _everyone(dataset))
    _table(folder / "clients.parquet", "client_id", dataset.client_ids, blocks, rows.shape[1])


def _table(file: Path, name: str, ids: list[str], blocks: Iterator[F32], width: int) -> None:
    schema = pa.schema([(name, pa.string()), ("embedding", pa.list_(pa.float32(), width))])
    done = 0
    with pq.ParquetWriter(file, schema) as writer:
        for rows in blocks:
            flat = pa.array(rows.reshape(-1), pa.float32())
            columns = [pa.array(ids[done : done + len(rows)]), pa.FixedSizeListArray.from_arrays(flat, width)]
            writer.write_table(pa.table(columns, schema=schema))
            done += len(rows)


def write_npy(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """items.npy and clients.npy (float32), and their ids in the same order, as UTF-8: no file needs pickle."""
    rows = ranked_rows(world, state)
    np.save(folder / ITEMS, rows)
    np.save(folder / ITEM_IDS, _in_bytes(dataset.item_ids))
    np.save(folder / CLIENT_IDS, _in_bytes(dataset.client_ids))
    shape = (dataset.n_clients, rows.shape[1])
    stored = np.lib.format.open_memmap(folder / CLIENTS, mode="w+", dtype=np.float32, shape=shape)
    done = 0
    for queries in query_blocks(dataset, world, state, _everyone(dataset)):
        stored[done : done + len(queries)] = queries
        done += len(queries)
    stored.flush()


def write_projector(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """Item embeddings, what is known of each item, and the configuration that `tensorboard --logdir` looks for."""
    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round)).numpy()
    np.savetxt(folder / TENSORS, items, fmt="%.6g", delimiter="\t")
    columns = _told(dataset)
    lines = ["\t".join(map(_cell, row)) for row in zip(*columns.values(), strict=True)]
    files.write_text(folder / METADATA, "\n".join(["\t".join(map(_cell, columns)), *lines]) + "\n")
    about = f'tensor_name: "items"\n  tensor_path: "{TENSORS}"\n  metadata_path: "{METADATA}"'
    files.write_text(folder / PROJECTOR, f"embeddings {{\n  {about}\n}}\n")


def _told(dataset: Dataset) -> dict[str, list[str | None]]:
    """By heading what is known of each item: its id, how it is shown, and its fields."""
    shown = {name: dataset.labels.column(name).to_pylist() for name in dataset.labels.column_names}
    fields = {
        entry.name: [("", *entry.vocabulary)[code] for code in dataset.item_codes[:, place]]
        for place, entry in enumerate(dataset.manifest.item_fields)
    }
    return {"item_id": list(dataset.item_ids), **fields, **shown}


def _cell(text: str | None) -> str:
    """On one line, in one column; the projector shows nothing for an empty one."""
    return re.sub(r"\s+", " ", text or "").strip() or "-"


def _everyone(dataset: Dataset) -> I32:
    return np.arange(dataset.n_clients, dtype=np.int32)


def _in_bytes(ids: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.bytes_]]":
    return np.array([id.encode() for id in ids], np.bytes_)
