"""Several test weeks in turn: trained on what lies before each, and pooled."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F64, I32
from spfedrec_cli.engine import EvaluationReport, Progress, TrainResult
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.written import file_name, read_clients, read_entries

module = sys.modules["spfedrec_cli.engine.origins"]


@pytest.fixture(scope="module")
def rolled(trained: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rolled") / "first"
    shutil.copytree(trained.run, folder, ignore=shutil.ignore_patterns("evaluation*"))
    engine.evaluate_origins(folder, 3, ks=(10,), baselines=["popularity"])
    return folder


@pytest.fixture
def first(rolled: Path, tmp_path: Path) -> Path:
    shutil.copytree(rolled, tmp_path / "first")
    return tmp_path / "first"


def report(folder: Path, weeks: int = 3) -> EvaluationReport:
    return engine.evaluate_origins(folder, weeks, ks=(10,), baselines=["popularity"])


def values(folder: Path, recommender: str) -> tuple[I32, dict[str, F64]]:
    entry = read_entries(folder)["test/full/all"]
    return read_clients(folder / file_name("test", "full", "all", recommender), entry)


def until_the_fourth_round(progress: Progress) -> None:
    """The checkpoint of the third round is there by then."""
    if progress.round == 4:
        raise RuntimeError("broken off")


def refuse(*arguments: object, **keywords: object) -> None:
    raise AssertionError("it was trained again")


def test_weeks_are_disjoint_and_follow_each_other(first: Path, shop: Dataset) -> None:
    ends = [(week["from"], week["to"]) for week in report(first).origins]
    days = [np.datetime64(day) for week in ends for day in week]
    assert (np.diff(days) == np.array([6, 1, 6, 1, 6], "timedelta64[D]")).all()
    assert ends[-1][1] == shop.manifest.split.end


def test_a_week_is_trained_on_what_lies_before_it(first: Path) -> None:
    for week in report(first).origins[:-1]:
        trained_on = Dataset.open(Path(run.about(Path(week["run"]))["dataset"]))
        split = trained_on.manifest.split
        assert (split.test_from, split.end) == (week["from"], week["to"])
        assert trained_on.column("train", "time").max() < split.validation_from_time
        assert run.about(Path(week["run"]))["dataset_sha256"] == trained_on.fingerprint
        assert engine.load_config(week["run"]) == engine.load_config(first)


def test_pooled_figures_are_means_over_customer_weeks(first: Path) -> None:
    """Of the values of each week as they were written, and not the mean of the weeks' means."""
    found = report(first)
    for recommender, metrics, spread in (
        ("", found.metrics, found.intervals),
        ("popularity", found.baselines["popularity"], found.intervals_beside["popularity"]),
    ):
        weeks = [values(Path(week["run"]), recommender) for week in found.origins]
        for name in ("ndcg@10", "recall_repeat@10"):
            every = np.concatenate([by_client[name] for _, by_client in weeks])
            assert metrics[name] == pytest.approx(np.nanmean(every))
            assert spread[name][0] <= metrics[name] <= spread[name][1]
        assert found.clients == sum(len(clients) for clients, _ in weeks) == sum(w["clients"] for w in found.origins)
        assert found.customers == len(set(np.concatenate([clients for clients, _ in weeks]).tolist())) < found.clients
    assert "coverage@10" not in found.metrics
    assert found.groups["purchase"]["repeat"].metrics["recall@10"] == pytest.approx(found.metrics["recall_repeat@10"])
    assert sum(found.groups["customer"][kind].clients for kind in ("warm", "cold")) == found.clients


def test_the_last_week_is_the_evaluation_of_the_run(first: Path) -> None:
    *_, last = report(first).origins
    alone = engine.evaluate(first, ks=(10,), baselines=["popularity"])
    assert last["metrics"] == alone.metrics
    assert last["baselines"] == alone.baselines
    one = report(first, weeks=1)
    assert one.metrics["ndcg@10"] == alone.metrics["ndcg@10"]
    assert one.intervals["ndcg@10"] == alone.intervals["ndcg@10"]


def test_the_report_is_kept_beside_that_of_the_week(first: Path) -> None:
    found = report(first)
    entries = json.loads((first / "evaluation.json").read_text())
    assert entries["test/full/all/origins-3"]["metrics"] == found.metrics
    assert entries["test/full/all"]["clients"] == found.origins[-1]["clients"]
    assert engine.examine(first).findings == ()


def test_what_was_trained_is_not_trained_again(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, float]] = []
    for step in ("train", "resume"):
        monkeypatch.setattr(module, step, refuse)
    engine.evaluate_origins(first, 3, ks=(10,), begin=lambda models, seconds: told.append((models, seconds)))
    assert told == [(0, 0.0)]
    with pytest.raises(AssertionError):
        engine.evaluate_origins(first, 4, ks=(10,), begin=lambda models, seconds: told.append((models, seconds)))
    spent = sum(line["seconds"] + line["validation_seconds"] for line in run.records(first / "metrics.jsonl"))
    assert told[1:] == [(1, pytest.approx(spent))]


def test_what_was_broken_off_goes_on(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = report(first)
    shutil.rmtree(Path(before.origins[0]["run"]).parent)

    def broken_off(dataset: Dataset, config: Config, folder: Path, watch: object) -> None:
        engine.train(dataset, config, folder, until_the_fourth_round)

    monkeypatch.setattr(module, "train", broken_off)
    with pytest.raises(RuntimeError, match="broken off"):
        report(first)
    monkeypatch.setattr(module, "train", refuse)
    assert report(first).metrics == before.metrics


def test_a_run_that_was_prolonged_is_trained_anew_for_every_week(first: Path) -> None:
    engine.resume(first, rounds=8)
    told: list[int] = []
    found = engine.evaluate_origins(first, 2, ks=(10,), begin=lambda models, seconds: told.append(models))
    assert told == [1]
    assert engine.load_config(found.origins[0]["run"]).train.rounds == 8


def test_what_cannot_be_rolled_is_refused(
    first: Path, shop: Dataset, sample_dataset: Dataset, config: Callable[..., Config], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="500 test weeks do not fit"):
        engine.evaluate_origins(first, 500)
    ordered = engine.train(sample_dataset, resolve("sample", settings=["train.rounds=1"]), tmp_path / "ordered")
    with pytest.raises(InputError, match="divided by leave-one-out"):
        engine.evaluate_origins(ordered.run, 2)
    with pytest.raises(RuntimeError, match="broken off"):
        engine.train(shop, config(), tmp_path / "begun", until_the_fourth_round)
    with pytest.raises(InputError, match=r"not finished.*--resume"):
        engine.evaluate_origins(tmp_path / "begun", 2)
