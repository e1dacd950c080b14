"""What an evaluation says beyond the means, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest

from spfedrec_cli import engine
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import TrainResult, load
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.baselines import BASELINES, Unavailable
from spfedrec_cli.retrieval.blend import fit
from spfedrec_cli.retrieval.groups import BY


def unavailable(dataset: Dataset, split: str, protocol: str) -> None:
    raise Unavailable("It needs a library", hint="install it")


@pytest.fixture
def first(trained: TrainResult, tmp_path: Path) -> Path:
    shutil.copytree(trained.run, tmp_path / "first", ignore=shutil.ignore_patterns("evaluation*"))
    return tmp_path / "first"


def test_intervals_groups_and_the_blend_are_in_the_report(first: Path) -> None:
    report = engine.evaluate(first, ks=(10,), baselines=["popularity"], blend=True)
    for name, (low, high) in report.intervals.items():
        assert low <= report.metrics[name] <= high
    assert set(report.metrics) - set(report.intervals) == {"coverage@10", "gini@10"}  # of all lists together
    assert set(report.intervals_beside) == {"popularity", "blend", "popularity-blend"}
    assert set(report.groups) == set(BY)
    assert report.across.keys() == report.intervals.keys()
    saved = json.loads((first / "evaluation.json").read_text())["test/full/all"]
    assert saved["groups"]["customer"]["warm"]["metrics"] == report.groups["customer"]["warm"].metrics
    assert saved["blend_weights"].keys() == {"blend", "popularity-blend"}
    assert saved["intervals"]["ndcg@10"] == list(report.intervals["ndcg@10"])


def test_the_sampled_protocol_has_groups_too(first: Path) -> None:
    report = engine.evaluate(first, ks=(10,), protocol="sampled")
    assert "novelty@10" not in report.metrics
    assert {name for by in report.groups.values() for name in by} >= {"warm", "new", "head"}


def test_intervals_are_the_same_every_time(first: Path) -> None:
    assert engine.evaluate(first, ks=(10,)).intervals == engine.evaluate(first, ks=(10,)).intervals


def test_a_baseline_that_cannot_be_had_is_told_of_or_refused(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASELINES, "ials", unavailable)
    monkeypatch.setitem(BASELINES, "repeat_last", lambda dataset, split, protocol: None)
    report = engine.evaluate(first, ks=(10,), baselines=True)
    assert report.unavailable == {"ials": "It needs a library; install it."}
    assert not {"ials", "repeat_last"} & set(report.baselines)
    assert report.baseline_settings.keys() == {"item_knn", "ease"}
    with pytest.raises(Unavailable):
        engine.evaluate(first, ks=(10,), baselines=["ials"])
    with pytest.raises(InputError, match="'repeat_last' says nothing about this Dataset"):
        engine.evaluate(first, ks=(10,), baselines=["repeat_last"])


def test_a_run_without_a_checkpoint_is_refused(first: Path) -> None:
    shutil.rmtree(first / "checkpoints")
    with pytest.raises(InputError, match="no checkpoint yet"):
        engine.evaluate(first)


def test_the_blend_is_fitted_without_test(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = engine.evaluate(first, ks=(10,), blend=True)
    dataset, world = load.open_run(first)
    state, _ = load.load_state(first, expected.checkpoint_round)
    column = Dataset.column

    def without_test(self: Dataset, split: str, name: str) -> object:
        assert split != "test"
        return column(self, split, name)

    monkeypatch.setattr(Dataset, "column", without_test)
    assert fit(load.model_scorer(dataset, world, state, "validation"), dataset) == expected.blend_weights["blend"]
