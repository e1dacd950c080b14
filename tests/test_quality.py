"""What the shipped presets reach: the promises of README, measured again."""

from pathlib import Path

import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare


@pytest.mark.slow
def test_synthetic_is_at_least_twice_popularity_and_at_most_the_best_possible(tmp_path: Path) -> None:
    prepare("synthetic", None, tmp_path / "shop", customers=5000, items=1000)
    config = resolve("synthetic", settings=["train.rounds=100"])
    result = engine.train(Dataset.open(tmp_path / "shop"), config, tmp_path / "run")
    report = engine.evaluate(result.run, ks=(10,), baselines=True)
    ours, popular = report.metrics["ndcg@10"], report.baselines["popularity"]["ndcg@10"]
    best = report.baselines["best_possible"]["ndcg@10"]
    assert 2 * popular <= ours <= best
    assert ours >= 0.9 * best


@pytest.mark.slow
@pytest.mark.realdata
def test_movielens_leave_one_out(real_data: Path, tmp_path: Path) -> None:
    prepare("movielens", real_data / "ml-100k", tmp_path / "ml")
    result = engine.train(Dataset.open(tmp_path / "ml"), resolve("ml-100k"), tmp_path / "run")
    full = engine.evaluate(result.run, ks=(10,))
    sampled = engine.evaluate(result.run, ks=(10,), protocol="sampled")
    assert full.metrics["ndcg@10"] >= 0.068
    assert sampled.metrics["hit_rate@10"] >= 0.62


@pytest.mark.realdata
def test_real_hm_goes_the_whole_path(real_data: Path, tmp_path: Path) -> None:
    prepare("hm", real_data / "hm", tmp_path / "hm")
    dataset = Dataset.open(tmp_path / "hm")
    settings = ["train.rounds=3", "train.eval_every=3", "federated.cohort_size=64"]
    result = engine.train(dataset, resolve("hm-small", settings=settings), tmp_path / "run")
    assert engine.evaluate(result.run, baselines=True).clients == 50
    (found,) = engine.recommend(result.run, history=["0663713001", "541518023"])
    assert [item.article_id for item in found.history] == ["0541518023", "0663713001"]
    assert all({"name", "type", "colour"} <= set(item.labels) for item in found.items)
    assert len(engine.export(result.run, tmp_path / "out")) == 4
