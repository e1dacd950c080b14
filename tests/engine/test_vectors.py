"""Embeddings as arrays, for the projector and in FAISS: read back by their own libraries, with the run's lists."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.export import EXPORTS, Export
from spfedrec_cli.engine.indexes import Hnsw, compared, flat_index, hnsw_index, hnsw_of
from spfedrec_cli.engine.vectors import _cell
from spfedrec_cli.errors import InputError

K = 7


@pytest.fixture(scope="module", params=[(), ("model.prior=0.5",)], ids=["no prior", "a prior"])
def run(
    request: pytest.FixtureRequest,
    shop: Dataset,
    config: Callable[..., Config],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    done = engine.train(shop, config(*request.param, "train.rounds=2"), tmp_path_factory.mktemp("vectors") / "run")
    return done.run


def awaited(run: Path, shop: Dataset, clients: list[int]) -> list[list[str]]:
    made = engine.recommend(run, [shop.client_ids[client] for client in clients], k=K)
    return [[item.article_id for item in one.items] for one in made]


def test_arrays_of_numpy_give_the_lists_of_the_run(run: Path, shop: Dataset, tmp_path: Path) -> None:
    files = engine.export(run, tmp_path / "out", ("npy", "parquet"))
    assert {file.name for file in files} >= {"items.npy", "items.ids.npy", "clients.npy", "clients.ids.npy"}
    items, clients = (np.load(tmp_path / "out" / f"{name}.npy", mmap_mode="r") for name in ("items", "clients"))
    ids, who = (np.load(tmp_path / "out" / f"{name}.ids.npy", allow_pickle=False) for name in ("items", "clients"))
    assert [id.decode() for id in ids.tolist()] == shop.item_ids
    assert [id.decode() for id in who.tolist()] == shop.client_ids
    scores = clients[:3] @ items.T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    assert [[shop.item_ids[item] for item in row] for row in best] == awaited(run, shop, [0, 1, 2])
    table = pq.read_table(tmp_path / "out" / "clients.parquet")
    assert table["client_id"].to_pylist() == shop.client_ids
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), clients)


def test_blocks_of_clients_make_one_table(
    run: Path, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.export(run, tmp_path / "whole", ("npy", "parquet"))
    monkeypatch.setattr("spfedrec_cli.engine.vectors.BLOCK", 64)
    engine.export(run, tmp_path / "parts", ("npy", "parquet"))
    whole, parts = (np.load(tmp_path / name / "clients.npy") for name in ("whole", "parts"))
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert pq.read_table(tmp_path / "parts" / "clients.parquet").num_rows == shop.n_clients


def test_the_projector_reads_what_was_written(
    run: Path, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the library's own reader: its settings, its vectors, and a line of metadata for each."""
    text_format = pytest.importorskip("google.protobuf.text_format")
    plugin = pytest.importorskip("tensorboard.plugins.projector.projector_plugin")
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    names = pa.array(["a\tb\n<script>"] + [f"n{item}" for item in range(1, shop.n_items)])
    monkeypatch.setattr(Dataset, "labels", pa.table({"name": names}))
    engine.export(run, tmp_path / "out", ("projector", "npy"))
    config = text_format.Parse((tmp_path / "out" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    vectors = np.array(plugin._read_tensor_tsv_file(str(tmp_path / "out" / embedding.tensor_path)))
    dim = engine.load_config(run).model.dim
    np.testing.assert_allclose(vectors, np.load(tmp_path / "out" / "items.npy")[:, :dim], atol=1e-5)
    head, *lines = (tmp_path / "out" / embedding.metadata_path).read_text().splitlines()
    columns = head.split("\t")
    assert columns[0] == "item_id"
    assert columns[-1] == "name"
    assert [line.split("\t")[0] for line in lines] == shop.item_ids
    assert {line.count("\t") for line in lines} == {len(columns) - 1}
    assert lines[0].split("\t")[-1] == "a b <script>"


@pytest.mark.parametrize("text, shown", [(None, "-"), (" \n", "-"), ("a\t b", "a b"), ("x", "x")])
def test_a_cell_stays_in_its_place(text: str | None, shown: str) -> None:
    assert _cell(text) == shown


def test_a_graph_of_faiss_gives_the_lists_of_the_run(run: Path, shop: Dataset, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    engine.export(run, tmp_path / "out", ("hnsw", "npy"), hnsw={"links": 16, "search": 100})
    index = faiss.read_index(str(tmp_path / "out" / "items.hnsw.faiss"))
    ids = json.loads((tmp_path / "out" / "items.hnsw.faiss.ids.json").read_text())
    assert index.hnsw.efSearch == 100
    _, places = index.search(np.load(tmp_path / "out" / "clients.npy")[:3], K)
    assert [[ids[place] for place in row] for row in places] == awaited(run, shop, [0, 1, 2])
    about = json.loads((tmp_path / "out" / "items.hnsw.json").read_text())
    assert (about["links"], about["build"], about["search"]) == (16, 200, 100)
    assert (about["k"], about["queries"]) == (12, shop.n_clients)
    assert about["recall"] >= 0.99
    assert min(about["queries_per_second"], about["exact_queries_per_second"]) > 0


def test_recall_is_the_share_of_exact_items_that_are_found() -> None:
    """A graph that answers 1, 2, 9 where 1, 2, 3 are best, and the same for a second query: 4 of 6... and all of it."""
    found = compared(_Fixed([[1, 2, 3], [1, 2, 3]]), _Fixed([[1, 2, 9], [2, 8, 9]]), np.zeros((2, 4), np.float32), 3)
    assert found.recall == pytest.approx((2 + 1) / 6)
    assert (found.k, found.queries) == (3, 2)


class _Fixed:
    def __init__(self, places: list[list[int]]) -> None:
        self._places = np.array(places)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(queries), k)), self._places[: len(queries)]


def with_a_prior() -> tuple[np.ndarray, np.ndarray]:
    """Items and queries of length one in 32 coordinates, of which queries hardly use 28, and one more: what a prior
    adds, of which a query has all."""
    draw = np.random.default_rng(0)
    items, queries = (draw.standard_normal((n, 32)) for n in (4000, 200))
    queries[:, 4:] *= 0.1
    items, queries = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (items, queries))
    rows = np.hstack([items, draw.exponential(0.05, (4000, 1))]), np.hstack([queries, np.ones((200, 1))])
    return rows[0].astype(np.float32), rows[1].astype(np.float32)


def test_a_wider_search_finds_more() -> None:
    pytest.importorskip("faiss")
    rows, queries = with_a_prior()
    narrow, wide = (
        compared(flat_index(rows), hnsw_index(rows, queries, Hnsw(links=4, build=16, search=search)), queries, 12)
        for search in (4, 400)
    )
    assert narrow.recall < wide.recall
    assert wide.recall > 0.9


def test_the_graph_is_drawn_as_queries_see_the_items() -> None:
    """By the same links and search it finds more than a graph of products, and than one of all coordinates alike."""
    faiss = pytest.importorskip("faiss")
    rows, queries = with_a_prior()
    chosen = Hnsw(links=8, build=40, search=16)
    plain = faiss.IndexHNSWFlat(rows.shape[1], chosen.links, faiss.METRIC_INNER_PRODUCT)
    plain.hnsw.efConstruction, plain.hnsw.efSearch = chosen.build, chosen.search
    plain.add(rows)
    drawn = (hnsw_index(rows, seen, chosen) for seen in (queries, np.ones_like(queries)))
    ours, *others = (compared(flat_index(rows), graph, queries, 12).recall for graph in (*drawn, plain))
    assert ours > max(others) + 0.1


def test_the_graph_tells_inner_products() -> None:
    pytest.importorskip("faiss")
    rows, queries = with_a_prior()
    products, places = hnsw_index(rows, queries, Hnsw()).search(queries[:5], K)
    awaited = np.take_along_axis(queries[:5] @ rows.T, places, axis=1)
    assert products == pytest.approx(awaited, abs=1e-5)


@pytest.mark.parametrize(
    "said, problem",
    [
        ({"link": 3}, "no 'link'; did you mean links"),
        ({"links": 1}, "cannot have links=1; choose 2 to 4,096"),
        ({"search": 0}, "cannot have search=0"),
        ({"build": 5000}, "cannot have build=5000"),
    ],
)
def test_a_graph_that_cannot_be(said: dict[str, int], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        hnsw_of(said)


def test_settings_of_a_graph_that_is_not_asked_for(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="add hnsw to the formats"):
        engine.export(run, tmp_path / "out", ("npy",), hnsw={"links": 8})


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_may_be_replaced(name: str, run: Path, tmp_path: Path) -> None:
    """Its files are known as those of an export."""
    pytest.importorskip({"onnx": "onnx", "faiss": "faiss", "hnsw": "faiss"}.get(name, "numpy"))
    written = {file.name for file in engine.export(run, tmp_path / "out", (name,))}
    assert written <= set(EXPORTS[name].files) or name == "device"
    assert engine.export(run, tmp_path / "out", ("npy",), force=True)


def test_a_format_of_ones_own_may_be_replaced(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Export(lambda folder, dataset, world, state: (folder / "items.txt").write_text("mine"), ("items.txt",))
    monkeypatch.setitem(EXPORTS, "mine", row)
    for _ in range(2):
        assert engine.export(run, tmp_path / "out", ("mine",), force=True) == [tmp_path / "out" / "items.txt"]


def test_an_export_is_replaced_on_demand_and_nothing_else_is(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    engine.export(run, out, ("npy",))
    with pytest.raises(InputError, match=r"already exists .*replace it by --force"):
        engine.export(run, out, ("parquet",))
    engine.export(run, out, ("parquet",), force=True)
    assert {file.name for file in out.iterdir()} == {"items.parquet", "clients.parquet"}
    engine.export(run, out, ("device",), force=True)
    engine.export(run, out, ("safetensors",), force=True)
    (out / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match=r"something other than an export: diary\.txt"):
        engine.export(run, out, ("npy",), force=True)
    assert (out / "diary.txt").read_text() == "mine"
