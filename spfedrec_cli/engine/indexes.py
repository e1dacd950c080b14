"""FAISS over what ranks: an exact index, and a graph that is faster and nearly as good. faiss is an extra."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.vectors import query_blocks, ranked_rows
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.extras import needs
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World

FLAT, HNSW, ABOUT = "items.faiss", "items.hnsw.faiss", "items.hnsw.json"
LENGTH = 12
QUERIES = 2048  # customers, spread evenly, whose lists are compared


@dataclass(frozen=True)
class Hnsw:
    """The graph: `links` of an item to others, and how many items are kept in view while it is built (`build`) and
    searched (`search`). Malkov and Yashunin, TPAMI 42 (2020)."""

    links: int = 32
    build: int = 200
    search: int = 48


@dataclass(frozen=True)
class Compared:
    """The graph's lists beside exact ones. `recall`: of the first `k` exact items, the share that the graph finds, over
    `queries`; and queries a second of either index, all at once by all cores."""

    k: int
    queries: int
    recall: float
    queries_per_second: float
    exact_queries_per_second: float


def hnsw_of(said: Mapping[str, int]) -> Hnsw:
    """Raises InputError for what a graph does not have, and for a value that it cannot have."""
    known = [each.name for each in fields(Hnsw)]
    for name, value in said.items():
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"choose from {', '.join(known)}"
            raise InputError(f"An HNSW index has no {name!r}", hint=hint)
        least = 2 if name == "links" else 1
        if not least <= value <= 4096:
            raise InputError(f"An HNSW index cannot have {name}={value}", hint=f"choose {least} to 4,096")
    return Hnsw(**said)


def write_flat(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """An exact index of inner products, and ids in its order."""
    needs("The format faiss", "ann", "faiss")
    _write(folder, FLAT, flat_index(ranked_rows(world, state)), dataset)


def write_hnsw(
    folder: Path, dataset: Dataset, world: World, state: State, hnsw: Mapping[str, int] | None = None
) -> None:
    """A graph of inner products, ids in its order, and how near its lists come to exact ones."""
    chosen = hnsw_of(hnsw or {})
    needs("The format hnsw", "ann", "faiss")
    rows = ranked_rows(world, state)
    drawn = np.unique(np.linspace(0, dataset.n_clients - 1, min(QUERIES, dataset.n_clients)).astype(np.int32))
    queries = np.concatenate([*query_blocks(dataset, world, state, drawn)])
    index = hnsw_index(rows, queries, chosen)
    _write(folder, HNSW, index, dataset)
    found = compared(flat_index(rows), index, queries, min(LENGTH, len(rows)))
    files.write_json(folder / ABOUT, asdict(chosen) | asdict(found))


def flat_index(rows: F32) -> Any:
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index


def hnsw_index(rows: F32, queries: F32, hnsw: Hnsw) -> Any:
    """Finds inner products with rows (n, d), as such queries (m, d) ask for them.

    Neighbours are near one another as queries see them: coordinates times the root mean square of the queries along
    them, and one more that makes all rows equally long, so that the nearest row has the largest product (Bachrach et
    al., RecSys 2014). The graph that was so drawn then answers over the rows as they are.
    """
    import faiss

    scaled = rows * np.sqrt(np.square(queries, dtype=np.float64).mean(axis=0))
    squares = np.square(scaled).sum(axis=1, keepdims=True)
    drawn = faiss.IndexHNSWFlat(rows.shape[1] + 1, hnsw.links)
    drawn.hnsw.efConstruction = hnsw.build
    drawn.add(np.hstack([scaled, np.sqrt(squares.max() - squares)]).astype(np.float32))
    index = faiss.IndexHNSWFlat(rows.shape[1], hnsw.links, faiss.METRIC_INNER_PRODUCT)
    index.storage.add(rows)
    index.hnsw, index.ntotal = drawn.hnsw, len(rows)
    graph: Any = index.hnsw
    graph.efSearch, graph.is_similarity = hnsw.search, True
    return index


def compared(exact: Any, graph: Any, queries: F32, k: int) -> Compared:
    """Over queries (n, d); each index answers them once before it is timed."""
    lists, seconds = list[I32](), list[float]()
    for index in (exact, graph):
        index.search(queries[:64], k)
        began = time.perf_counter()
        lists.append(index.search(queries, k)[1])
        seconds.append(max(time.perf_counter() - began, 1e-9))
    recall = float(np.mean([len(np.intersect1d(one, other)) / k for one, other in zip(*lists, strict=True)]))
    return Compared(k, len(queries), recall, len(queries) / seconds[1], len(queries) / seconds[0])


def _write(folder: Path, name: str, index: Any, dataset: Dataset) -> None:
    import faiss

    faiss.write_index(index, str(folder / name))
    (folder / f"{name}.ids.json").write_text(json.dumps(dataset.item_ids) + "\n", encoding="utf-8")
