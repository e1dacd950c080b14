"""Bundles for devices: made, verified, and ranked with as the run would."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from spfedrec_cli import engine
from spfedrec_cli.cli.app import app
from spfedrec_cli.config import Config, ModelConfig
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.bundle import in_eight_bits
from spfedrec_cli.engine.graphs import query_graph
from spfedrec_cli.engine.ranker import opened
from spfedrec_cli.engine.recommend import stranger_query
from spfedrec_cli.errors import InputError
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.stored import rows_of
from spfedrec_cli.serving import bundle, second_stage, tower
from spfedrec_cli.serving.rank import Listed, rank

LISTS, PLACES = 60, 12


@pytest.fixture(scope="module")
def made(trained: engine.TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    engine.export(trained.run, folder, ("device",))
    return folder


def overlap(run: Path, shop: Dataset, folder: Path) -> float:
    """The share of the run's first twelve that the device has too, for people known by their history alone."""
    past = shop.history("train", "validation")
    people = np.flatnonzero(past.lengths > 0)[:LISTS]
    shares = []
    for client in people:
        history = [shop.item_id(int(item)) for item in past.row(int(client))]
        (theirs,) = engine.recommend(run, history=history, k=PLACES)
        ours = rank(bundle.opened(folder), history, PLACES)
        shares.append(len({each[0] for each in ours.items} & {item.article_id for item in theirs.items}) / PLACES)
    return float(np.mean(shares))


def test_a_device_ranks_as_the_run_does(trained: engine.TrainResult, shop: Dataset, made: Path) -> None:
    assert overlap(trained.run, shop, made) >= 0.99
    history = [shop.item_id(3), shop.item_id(40)]
    (theirs,) = engine.recommend(trained.run, history=history, k=5)
    ours = rank(bundle.opened(made), history, 5)
    assert [each[1] for each in ours.items] == pytest.approx([item.score for item in theirs.items], abs=1e-3)
    assert [each[2] for each in ours.items] == [item.labels["name"] for item in theirs.items]


@pytest.mark.parametrize(
    "settings",
    [
        ("model.history=recency", "model.half_life=3"),
        ("model.history=none",),
        ("model.prior=0.5",),
        ("model.query_tower=linear", "client.private_state=none"),
    ],
)
def test_settings_reach_the_device(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path, settings: tuple[str, ...]
) -> None:
    done = engine.train(shop, config(*settings, "train.rounds=2"), tmp_path / "run")
    engine.export(done.run, tmp_path / "bundle", ("device",))
    assert overlap(done.run, shop, tmp_path / "bundle") >= 0.99
    assert (tmp_path / "bundle" / bundle.PRIOR).exists() is ("model.prior=0.5" in settings)


def test_numpy_and_onnxruntime_are_the_tower_of_the_run(trained: engine.TrainResult, made: Path) -> None:
    model = opened(trained.run, "best")
    opened_bundle = bundle.opened(made)
    rows = np.random.default_rng(0).normal(size=(1, model.items.shape[1])).astype(np.float32)
    fields = len(model.world.devices.fields.names)
    codes = np.array([[1] * fields])
    from spfedrec_cli.model.towers import query_tower

    awaited = query_tower(model.world.config.model, model.state.query, torch.from_numpy(codes), torch.from_numpy(rows))
    assert tower._by_numpy(opened_bundle)(codes, rows) == pytest.approx(awaited.numpy(), abs=1e-6)
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    run, engine_name = tower.tower_of(opened_bundle)
    assert engine_name == "onnxruntime"
    assert run(codes, rows) == pytest.approx(awaited.numpy(), abs=1e-5)


def test_fields_of_a_customer_change_the_list(shop: Dataset, made: Path) -> None:
    name, value = shop.manifest.client_fields[0].name, shop.manifest.client_fields[0].vocabulary[0]
    known, unknown = (rank(bundle.opened(made), [shop.item_id(3)], 5, fields) for fields in ({name: value}, {}))
    assert [each[1] for each in known.items] != [each[1] for each in unknown.items]


def test_neither_torch_nor_pandas_is_loaded(shop: Dataset, made: Path) -> None:
    script = (
        "import sys\n"
        "from spfedrec_cli.cli.app import app\n"
        f"app(['device', {str(made)!r}, '--history', {shop.item_id(3)!r}, '--json'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'numba', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert len(json.loads(told)["items"]) == PLACES
    assert json.loads(told)["bundle_bytes"] == sum(file.stat().st_size for file in made.iterdir())


def test_what_was_bought_is_left_out_where_that_is_asked(shop: Dataset, made: Path) -> None:
    history = [shop.item_id(item) for item in range(195)]
    found = rank(bundle.opened(made), history, shop.n_items, exclude_seen=True)
    assert {each[0] for each in found.items} == {shop.item_id(item) for item in range(195, 200)}
    assert len(rank(bundle.opened(made), history, shop.n_items).items) == shop.n_items


@pytest.mark.parametrize(
    "history, more, problem",
    [
        ([], {}, "The history is empty"),
        (["0999999999"], {}, "has no article '0999999999'"),
        (["FIRST"], {"k": 201}, "cannot hold 201 items"),
        (["FIRST"], {"fields": {"aeg": "1"}}, "no field 'aeg' of a customer"),
        (["FIRST"], {"fields": {"FIELD": "nothing"}}, "'nothing' of a customer"),
    ],
)
def test_what_a_bundle_does_not_know(
    shop: Dataset, made: Path, history: list[str], more: dict[str, object], problem: str
) -> None:
    field = shop.manifest.client_fields[0].name
    said = json.loads(json.dumps([history, more]).replace("FIRST", shop.item_id(0)).replace("FIELD", field))
    with pytest.raises(InputError, match=problem):
        rank(bundle.opened(made), said[0], **said[1])


def test_an_id_may_have_lost_its_zeros(shop: Dataset, made: Path) -> None:
    found: list[Listed] = [rank(bundle.opened(made), [id], 3) for id in (shop.item_id(3), shop.item_id(3).lstrip("0"))]
    assert found[0].items == found[1].items


@pytest.mark.parametrize("name", ["items.npy", "query_tower.safetensors", "items.jsonl"])
def test_a_changed_byte_is_noticed(made: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(made, tmp_path / "bundle")
    file = tmp_path / "bundle" / name
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=rf"not as it was written .*{name}"):
        bundle.opened(tmp_path / "bundle")
    file.unlink()
    with pytest.raises(InputError, match=rf"not as it was written .*{name}"):
        bundle.opened(tmp_path / "bundle")


def test_a_manifest_of_another_version_or_that_was_changed(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "bundle")
    file = tmp_path / "bundle" / bundle.MANIFEST
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"repeats": not about["repeats"]}))
    with pytest.raises(InputError, match="changed after it was written"):
        bundle.opened(tmp_path / "bundle")
    file.write_text(json.dumps(about | {"layout": 2}))
    with pytest.raises(InputError, match="layout 2, and this version reads 1"):
        bundle.opened(tmp_path / "bundle")
    file.write_text("{")
    with pytest.raises(InputError, match=r"holds no JSON object .*manifest.*; export it again"):
        bundle.opened(tmp_path / "bundle")
    with pytest.raises(InputError, match="no bundle for a device"):
        bundle.opened(tmp_path)


def test_a_bundle_stands_alone(trained: engine.TrainResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stands alone"):
        engine.export(trained.run, tmp_path / "both", ("parquet", "device"))


def test_eight_and_twelve_bits() -> None:
    """Row (1, -.5) has scale 1/127: q = 127, -63.5 rounded to the even -64, of which the four bits know the rest."""
    quantised, scales = in_eight_bits(np.array([[1.0, -0.5], [0.0, 0.0]], np.float32))
    assert quantised.tolist() == [[127, -64], [0, 0]]
    assert scales[0] == pytest.approx(1 / 127)


def test_twelve_bits_are_sixteen_times_as_fine(trained: engine.TrainResult, made: Path) -> None:
    exact, found = opened(trained.run, "best").items.numpy(), bundle.opened(made)
    places = np.arange(len(exact))
    coarse = np.abs(found.quantised * found.scales[:, None] - exact) / found.scales[:, None]
    fine = np.abs(found.exact(places) - exact) / found.scales[:, None]
    assert coarse.max() <= 0.5 + 1e-3
    assert fine.max() <= 1 / 32 + 1e-3


def test_onnx_graphs_are_read_by_their_own_library(trained: engine.TrainResult, shop: Dataset, tmp_path: Path) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    engine.export(trained.run, tmp_path / "out", ("onnx",))
    for file in (tmp_path / "out").iterdir():
        onnx.checker.check_model(onnx.load(str(file)), full_check=True)
    model = opened(trained.run, "best")
    session = runtime.InferenceSession(str(tmp_path / "out" / "item_tower.onnx"))
    codes = model.world.known.items.at(model.state.round).codes.numpy()
    (items,) = session.run(None, {"codes": codes})
    assert items == pytest.approx(model.items.numpy(), abs=1e-5)
    past = shop.history("train").take(np.arange(3))
    queries = stranger_query(model.world, model.state, past, model.items)
    pooled = np.stack([model.items.numpy()[past.row(row)].mean(axis=0) for row in range(3)])
    session = runtime.InferenceSession(str(tmp_path / "out" / "query_tower.onnx"))
    zeros = np.zeros((3, len(model.world.devices.fields.names)), np.int64)
    (found,) = session.run(None, {"codes": zeros, "history": pooled.astype(np.float32)})
    assert found == pytest.approx(queries.numpy(), abs=1e-5)


def test_a_graph_holds_no_constant_that_no_node_reads() -> None:
    onnx = pytest.importorskip("onnx")
    weights = {"mlp.0.weight": torch.zeros(4, 4), "mlp.0.bias": torch.zeros(4)}
    graph = onnx.load_from_string(query_graph(ModelConfig(dim=4), weights, fields=())).graph
    assert {each.name for each in graph.initializer} <= {name for node in graph.node for name in node.input}


def test_a_faiss_index_gives_the_same_lists(trained: engine.TrainResult, shop: Dataset, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    engine.export(trained.run, tmp_path / "out", ("faiss", "parquet"))
    import pyarrow.parquet as pq

    index = faiss.read_index(str(tmp_path / "out" / "items.faiss"))
    ids = json.loads((tmp_path / "out" / "items.faiss.ids.json").read_text())
    clients = pq.read_table(tmp_path / "out" / "clients.parquet").to_pylist()
    query = np.array([clients[7]["embedding"]], np.float32)
    _, places = index.search(query, 5)
    (alone,) = engine.recommend(trained.run, [clients[7]["client_id"]], k=5)
    assert [ids[place] for place in places[0]] == [item.article_id for item in alone.items]


@pytest.mark.parametrize("format, extra", [("onnx", "onnx"), ("faiss", "ann"), ("hnsw", "ann")])
def test_a_format_whose_extra_is_missing(
    trained: engine.TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, extra: str
) -> None:
    monkeypatch.setattr("spfedrec_cli.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"pip install 'spfedrec\[{extra}\]'"):
        engine.export(trained.run, tmp_path / "out", (format,))
    assert not (tmp_path / "out").exists()


STAGE = (
    "second_stage.rounds=5",
    "second_stage.cohort_size=60",
    "second_stage.label_weeks=3",
    "second_stage.popular=20",
    "client.private_state=none",
)


def dated(shop: Dataset, client: int) -> tuple[list[str], list[int]]:
    """All purchases of a client, oldest first, as often as it bought each, with their days."""
    rows = rows_of(shop, "train", "validation", "test").of(np.array([client]))
    items, day = (np.repeat(part, rows.counts) for part in (rows.items.values, rows.day))
    return [shop.item_id(int(item)) for item in items], day.tolist()


def with_a_second_stage(shop: Dataset, settings: Config, folder: Path) -> tuple[Path, Path]:
    done = engine.train(shop, settings, folder / "run")
    engine.export(done.run, folder / "bundle", ("device",))
    return done.run, folder / "bundle"


@pytest.mark.parametrize("by", ["onnxruntime", "numpy"])
@pytest.mark.parametrize(
    "settings",
    [
        ("second_stage.form=linear",),
        ("second_stage.form=network", "second_stage.explore=0.2"),
        ("second_stage.personal=10", "second_stage.siblings=product_group"),
    ],
    ids=["linear", "network, explores", "own weights, siblings"],
)
def test_a_device_ranks_by_its_second_stage_as_the_run_does(
    shop: Dataset,
    config: Callable[..., Config],
    tmp_path: Path,
    settings: tuple[str, ...],
    by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if by == "numpy":
        monkeypatch.setattr(second_stage, "find_spec", lambda name: None)
    run, folder = with_a_second_stage(shop, config(*STAGE, *settings), tmp_path)
    shares = []
    for client in shop.clients_with_history()[:LISTS]:
        history, days = dated(shop, int(client))
        (theirs,) = engine.recommend(run, [shop.client_id(int(client))], k=PLACES)
        ours = rank(bundle.opened(folder), history, PLACES, days=days)
        assert ours.ranked_by == "second stage"
        shares.append(len({each[0] for each in ours.items} & {item.article_id for item in theirs.items}) / PLACES)
    assert np.mean(shares) >= 0.99


@pytest.mark.parametrize("form", ["linear", "network"])
def test_a_second_stage_is_a_graph_that_onnxruntime_reads(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path, form: str
) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    done = engine.train(shop, config(*STAGE, f"second_stage.form={form}"), tmp_path / "run")
    engine.export(done.run, tmp_path / "out", ("onnx", "safetensors"))
    onnx.checker.check_model(onnx.load(str(tmp_path / "out" / "second_stage.onnx")), full_check=True)
    with safe_open(tmp_path / "out" / "second_stage.safetensors", "numpy") as opened:
        weights, told = opened.get_tensor("weights"), opened.metadata()
    features, hidden = len(json.loads(told["features"])), json.loads(told["second_stage"])["hidden"]
    x = np.random.default_rng(0).normal(size=(7, features)).astype(np.float32)
    session = runtime.InferenceSession(str(tmp_path / "out" / "second_stage.onnx"))
    (found,) = session.run(None, {"features": x})
    assert found == pytest.approx(FORMS[form].forward(weights.astype(np.float64), x, hidden)[0], abs=1e-5)


def test_without_days_the_towers_rank(shop: Dataset, config: Callable[..., Config], tmp_path: Path) -> None:
    _, folder = with_a_second_stage(shop, config(*STAGE), tmp_path)
    client = int(shop.clients_with_history()[0])
    history, days = dated(shop, client)
    plain, by_own = (rank(bundle.opened(folder), history, PLACES, days=given) for given in (None, days))
    assert (plain.ranked_by, by_own.ranked_by) == ("towers", "second stage")
    assert [each[0] for each in plain.items] != [each[0] for each in by_own.items]
    every = rank(bundle.opened(folder), history, shop.n_items, days=days)
    assert len({each[0] for each in every.items}) == shop.n_items
    unseen = rank(bundle.opened(folder), history, PLACES, exclude_seen=True, days=days)
    assert not {each[0] for each in unseen.items} & set(history)


def test_a_second_stage_loads_neither_torch_nor_pandas(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path
) -> None:
    _, folder = with_a_second_stage(shop, config(*STAGE, "second_stage.personal=3"), tmp_path)
    script = (
        "import sys\n"
        "from spfedrec_cli.cli.app import app\n"
        f"app(['device', {str(folder)!r}, '--history', '{shop.item_id(3)}@2024-01-05', '--json'],"
        " standalone_mode=False)\n"
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'numba', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert json.loads(told)["ranked_by"] == "second stage"


@pytest.mark.parametrize(
    "history, problem",
    [("FIRST@2024-01-05,SECOND", "says of 'SECOND' no day"), ("FIRST@2024-02-31", "'2024-02-31' is no day")],
)
def test_days_are_said_of_all_articles(shop: Dataset, made: Path, history: str, problem: str) -> None:
    words = {"FIRST": shop.item_id(0), "SECOND": shop.item_id(1)}
    for name, id in words.items():
        history, problem = history.replace(name, id), problem.replace(name, id)
    done = CliRunner().invoke(app, ["device", str(made), "--history", history])
    assert done.exit_code == 2
    assert problem in " ".join(done.output.split())
