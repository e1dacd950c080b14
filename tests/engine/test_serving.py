"""Evaluate, recommend, export: from a run to what somebody wanted it for."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from spfedrec_cli import engine
from spfedrec_cli.config import ModelConfig
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.engine import TrainResult, checkpoint, load, scoring
from spfedrec_cli.errors import InputError
from spfedrec_cli.model.towers import item_tower
from spfedrec_cli.retrieval.baselines import BASELINES


def test_evaluation_stands_beside_the_baselines(trained: TrainResult, shop: Dataset) -> None:
    report = engine.evaluate(trained.run, ks=(10, 12), baselines=True)
    assert report.checkpoint_round == trained.best_round
    assert list(report.baselines) == list(BASELINES)
    assert report.unavailable == {}
    assert set(report.metrics) == set(report.baselines["popularity"])
    assert report.clients == int((shop.truth("test").lengths > 0).sum())
    assert report.clients + report.skipped == shop.n_clients
    saved = json.loads((trained.run / "evaluation.json").read_text())
    assert str(report.metrics["ndcg@10"]) in json.dumps(saved)


def test_validation_in_training_is_what_evaluate_says(trained: TrainResult) -> None:
    report = engine.evaluate(trained.run, split="validation", ks=(10,))
    shared = {name: report.metrics[name] for name in trained.validation}
    assert shared == pytest.approx(trained.validation)


def test_the_last_checkpoint_can_be_asked_for(trained: TrainResult) -> None:
    assert engine.evaluate(trained.run, checkpoint="last").checkpoint_round == 6
    with pytest.raises(InputError, match="best or last"):
        engine.evaluate(trained.run, checkpoint="first")


def test_recommend_for_a_customer(trained: TrainResult, shop: Dataset) -> None:
    client = int(shop.history("train", "validation", "test").lengths.argmax())
    (found,) = engine.recommend(trained.run, [shop.client_ids[client]], k=7)
    assert found.customer_id == shop.client_ids[client]
    assert len(found.items) == 7
    scores = [item.score for item in found.items]
    assert scores == sorted(scores, reverse=True)
    past = shop.history("train", "validation", "test").row(client)
    assert [item.article_id for item in found.history] == [shop.item_ids[item] for item in past[::-1][:5]]
    assert set(found.items[0].labels) >= {"name"}


def test_recommend_for_a_stranger_depends_on_the_history(trained: TrainResult, shop: Dataset) -> None:
    (one,) = engine.recommend(trained.run, history=[shop.item_ids[3], shop.item_ids[4]])
    (two,) = engine.recommend(trained.run, history=[shop.item_ids[90]])
    assert one.customer_id is None
    assert [item.article_id for item in one.items] != [item.article_id for item in two.items]
    assert [item.article_id for item in one.history] == [shop.item_ids[4], shop.item_ids[3]]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"customers": ["a"], "history": ["b"]},
        {"customers": ["nobody"]},
        {"history": ["0"]},
        {"history": []},
        {"history": ["0100001001"], "k": 201},
    ],
)
def test_recommend_refuses_what_it_cannot_know(trained: TrainResult, bad: dict[str, list[str]]) -> None:
    with pytest.raises(InputError):
        engine.recommend(trained.run, **bad)


def test_an_unknown_format_leaves_nothing(trained: TrainResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="format"):
        engine.export(trained.run, tmp_path / "x", ["xml"])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_goes(trained: TrainResult, tmp_path: Path) -> None:
    (tmp_path / ".out.new").mkdir()
    (tmp_path / ".out.new" / "items.parquet").touch()
    engine.export(trained.run, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_exported_towers_give_the_exported_embeddings(trained: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    files = engine.export(trained.run, tmp_path / "out")
    names = ["clients.parquet", "item_tower.safetensors", "items.parquet", "query_tower.safetensors"]
    assert [file.name for file in files] == names
    items = pq.read_table(tmp_path / "out" / "items.parquet")
    assert items["item_id"].to_pylist() == shop.item_ids
    exported = np.stack(items["embedding"].to_numpy())
    with safe_open(tmp_path / "out" / "item_tower.safetensors", "pt") as opened:
        about = opened.metadata()
    fields = json.loads(about["fields"])["items"]
    weights = load_file(tmp_path / "out" / "item_tower.safetensors")
    # The header, not the order in the file, says which field is which column.
    ordered = {f"field.{name}": weights.pop(f"field.{name}") for name in fields} | weights
    codes = np.concatenate([np.arange(shop.n_items)[:, None], shop.item_codes], 1)
    model = ModelConfig.model_validate_json(about["model"])
    computed = item_tower(model, ordered, torch.from_numpy(codes.astype(np.int64)))
    np.testing.assert_allclose(computed.numpy(), exported, atol=1e-6)
    with pytest.raises(InputError, match="already exists"):
        engine.export(trained.run, tmp_path / "out")


def test_what_was_bought_is_left_out_where_nobody_buys_twice(
    trained: TrainResult, shop: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Dataset, "repeats", False)
    past = {shop.item_ids[item] for item in shop.history("train", "validation", "test").row(5)}
    (found,) = engine.recommend(trained.run, [shop.client_ids[5]], k=200)
    assert {item.article_id for item in found.items} == set(shop.item_ids) - past


@pytest.mark.parametrize("everybody", [False, True])
def test_what_was_bought_can_be_left_out_or_kept_on_demand(
    trained: TrainResult, shop: Dataset, tmp_path: Path, everybody: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = shop.history("train", "validation", "test")
    client = int(bought.lengths.argmax())
    past = {shop.item_ids[item] for item in bought.row(client)}

    def ranked(exclude_seen: bool) -> set[str]:
        if everybody:
            file = tmp_path / f"{exclude_seen}.parquet"
            engine.recommend_all(trained.run, file, k=shop.n_items, exclude_seen=exclude_seen, force=True)
            return set(pq.read_table(file).to_pylist()[client]["article_id"])
        (found,) = engine.recommend(trained.run, [shop.client_ids[client]], k=shop.n_items, exclude_seen=exclude_seen)
        assert found.left_out == (len(past) if exclude_seen else 0)
        return {item.article_id for item in found.items}

    for repeats in (True, False):
        monkeypatch.setattr(Dataset, "repeats", repeats)
        assert ranked(exclude_seen=True) == set(shop.item_ids) - past
        assert ranked(exclude_seen=False) == set(shop.item_ids)


def test_a_list_that_is_short_says_what_was_left_out(
    trained: TrainResult, shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = engine.recommend(trained.run, history=shop.item_ids[:195])
    assert (len(found.items), found.left_out) == (12, 0)
    monkeypatch.setattr(Dataset, "repeats", False)
    (found,) = engine.recommend(trained.run, history=shop.item_ids[:195])
    assert [len(found.items), found.left_out] == [5, 195]
    (found,) = engine.recommend(trained.run, history=shop.item_ids)
    assert [len(found.items), found.left_out] == [0, 200]


def test_a_customer_without_purchases_is_ranked_for_by_the_rest(
    trained: TrainResult, shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shop.history("train", "validation", "test")
    rows = [[] if client == 5 else real.row(client).tolist() for client in range(shop.n_clients)]
    monkeypatch.setattr(Dataset, "history_of", lambda self, clients, *splits: Ragged.from_rows(rows).take(clients))
    (found,) = engine.recommend(trained.run, shop.client_ids[5])
    assert found.history == []
    assert len({item.article_id for item in found.items}) == 12


def test_one_id_is_not_the_letters_it_consists_of(trained: TrainResult, shop: Dataset) -> None:
    assert engine.recommend(trained.run, history=shop.item_ids[3]) == engine.recommend(
        trained.run, history=[shop.item_ids[3]]
    )


def test_a_history_counts_an_article_bought_twice_by_its_last_time(trained: TrainResult, shop: Dataset) -> None:
    one, two = shop.item_ids[3], shop.item_ids[4]
    (found,) = engine.recommend(trained.run, history=[one, two, one])
    assert [item.article_id for item in found.history] == [one, two]


def test_the_history_at_test_time_has_the_validation_purchases(trained: TrainResult) -> None:
    dataset, world = load.open_run(trained.run)
    state, _ = checkpoint.load_state(trained.run, checkpoint.checkpoint_round(trained.run, "best"))
    bought = dataset.clients_with_history("validation")
    one, two = (scoring.model_scorer(dataset, world, state, split)(bought) for split in ("validation", "test"))
    assert not np.allclose(one, two)
