"""What an evaluation says beyond the means, and what it refuses."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from worlds import build_world

from spfedrec_cli import engine
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Progress
from spfedrec_cli.engine import TrainResult, checkpoint, load, scoring
from spfedrec_cli.engine.drawn import ever_drawn
from spfedrec_cli.engine.evaluate import FEW_HITS
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.retrieval.baselines import BASELINES, SECONDS, Unavailable
from spfedrec_cli.retrieval.blend import fit
from spfedrec_cli.retrieval.evaluate import make_task
from spfedrec_cli.retrieval.groups import BY, NEVER_TRAINED


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


def test_recall_of_new_and_of_repeated_items_stands_apart_for_all(first: Path) -> None:
    report = engine.evaluate(first, ks=(10,), baselines=["repeat_last"], blend=True)
    every = [report.metrics, *report.baselines.values(), *report.blends.values()]
    assert all({"recall_new@10", "recall_repeat@10"} <= set(metrics) for metrics in every)
    purchase = report.groups["purchase"]
    for kind in ("new", "repeat"):
        assert report.metrics[f"recall_{kind}@10"] == pytest.approx(purchase[kind].metrics["recall@10"])
    assert report.baselines["repeat_last"]["recall_repeat@10"] > report.metrics["recall_repeat@10"]


def test_customers_in_no_cohort_are_told_apart(shop: Dataset, config: Callable[..., Config], tmp_path: Path) -> None:
    """One round of forty: nearly everybody else has a history and was never trained."""
    few = engine.train(shop, config("train.rounds=1"), tmp_path / "few")
    customer = engine.evaluate(few.run, ks=(10,)).groups["customer"]
    task, history = make_task(shop), shop.history("train", "validation")
    drawn = draw_cohort(config().federated, shop.clients_with_history().astype(np.int64), 0, 1)
    never = [c for c in task.clients if history.lengths[c] and c not in set(drawn.tolist())]
    assert customer[NEVER_TRAINED].clients == len(never) > customer["warm"].clients / 2


@pytest.mark.parametrize("sampling", ["fixed", "poisson", "shuffled"])
def test_who_was_ever_drawn(sampling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build_world({"federated": {"sampling": sampling, "cohort_size": 3}})
    cohorts = [draw_cohort(world.config.federated, world.known.eligible, world.seed, r) for r in (1, 2)]
    drawn = ever_drawn(world, 10, 2)
    assert drawn is not None
    assert np.flatnonzero(drawn).tolist() == sorted(set(np.concatenate(cohorts).tolist()))
    everybody = ever_drawn(world, 10, 10_000)
    assert everybody is not None
    assert everybody.tolist() == [True] * 9 + [False]  # the last one never bought
    monkeypatch.setattr("spfedrec_cli.engine.drawn.MOST_DRAWS", 5)
    assert ever_drawn(world, 10, 2) is None


def test_where_cohorts_are_too_many_to_draw_again_it_is_said(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spfedrec_cli.engine.drawn.MOST_DRAWS", 5)
    report = engine.evaluate(first, ks=(10,))
    assert set(report.groups["customer"]) <= {"warm", "cold"}
    assert any("never trained is not told" in note for note in report.notes)


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
    assert report.baseline_settings.keys() == {"repeat_often", "item_knn", "ease"}
    with pytest.raises(Unavailable):
        engine.evaluate(first, ks=(10,), baselines=["ials"])
    with pytest.raises(InputError, match="'repeat_last' says nothing about this Dataset"):
        engine.evaluate(first, ks=(10,), baselines=["repeat_last"])


def test_a_baseline_that_takes_long_is_measured_where_it_is_asked_for(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECONDS, "item_knn", lambda dataset: 1260.0)
    report, told = engine.evaluate(first, ks=(10,), baselines=True), "it takes about 21 minutes; --baseline item_knn"
    assert report.unavailable["item_knn"].startswith(f"item_knn is left out: {told}")
    assert "item_knn" not in report.baselines
    for asked in (["item_knn"], ["all"]):
        said: list[Progress] = []
        found = engine.evaluate(first, ks=(10,), baselines=asked, tell=said.append)
        assert "item_knn" in found.baselines
        assert "measuring item_knn, which takes about 21 minutes" in [at.stage for at in said]
    assert set(found.baselines) > set(report.baselines)


def test_a_run_without_a_checkpoint_is_refused(first: Path) -> None:
    shutil.rmtree(first / "checkpoints")
    with pytest.raises(InputError, match="no checkpoint yet"):
        engine.evaluate(first)


def test_the_blend_is_fitted_without_test(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = engine.evaluate(first, ks=(10,), blend=True)
    dataset, world = load.open_run(first)
    state, _ = checkpoint.load_state(first, expected.checkpoint_round)
    column = Dataset.column

    def without_test(self: Dataset, split: str, name: str) -> object:
        assert split != "test"
        return column(self, split, name)

    monkeypatch.setattr(Dataset, "column", without_test)
    assert fit(scoring.model_scorer(dataset, world, state, "validation"), dataset) == expected.blend_weights["blend"]


def test_a_run_that_cannot_be_written_to_is_measured_all_the_same(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = engine.evaluate(first, ks=(10,))
    for file in first.glob("evaluation*"):
        file.unlink()

    def refuse(*arguments: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("spfedrec_cli.files.os.replace", refuse)
    shown = engine.evaluate(first, ks=(10,))
    assert shown.metrics == kept.metrics
    note = shown.notes[-1]
    assert note.startswith("These results are not kept: The evaluation cannot be written")
    assert "Read-only file system" in note
    assert not list(first.glob("*evaluation*"))
    found = engine.compare([str(first), f"{first}:popularity"], ks=(10,))
    assert found.means[str(first)]["ndcg@10"] == kept.metrics["ndcg@10"]


def test_few_hits_are_no_verdict(shop: Dataset, config: Callable[..., Config], tmp_path: Path) -> None:
    """40 clients, of whom hardly one is served what it bought."""
    prepare(source="synthetic", input=None, output=tmp_path / "few", customers=40, items=500)
    done = engine.train(Dataset.open(tmp_path / "few"), config("train.rounds=1"), tmp_path / "run")
    report = engine.evaluate(done.run, baselines=["popularity"])
    most = max(values["hit_rate@10"] for values in (report.metrics, *report.baselines.values())) * report.clients
    assert most < FEW_HITS
    (note,) = report.notes
    assert f"{report.clients} clients ranked, at most {most:.0f} found a purchase in the first 10" in note


def test_what_is_bought_again_and_not_ranked_is_told(config: Callable[..., Config], tmp_path: Path) -> None:
    prepare(source="synthetic", input=None, output=tmp_path / "once", customers=200, items=50, repeats=False)
    dataset = Dataset.open(tmp_path / "once")
    done = engine.train(dataset, config("train.rounds=1"), tmp_path / "run")
    truth, seen = dataset.truth("test"), dataset.history("train", "validation")
    again = sum(len(set(truth.row(client)) & set(seen.row(client))) for client in range(dataset.n_clients))
    assert again
    told = f"Of {len(truth.values)} purchases to be found, {again} repeat an earlier one: counted as missed"
    assert any(note.startswith(told) for note in engine.evaluate(done.run).notes)


def test_progress_names_what_is_measured(first: Path) -> None:
    told: list[Progress] = []
    report = engine.evaluate(first, baselines=["popularity"], tell=told.append)
    assert list(dict.fromkeys(at.stage for at in told)) == [
        f"opening {first}",
        "measuring the run",
        "measuring popularity",
    ]
    assert {at.total for at in told} == {0, report.clients}


def test_a_single_item_to_be_found_is_said(first: Path, tmp_path: Path) -> None:
    assert not engine.evaluate(first).single_truth
    prepare(source="sample", input=None, output=tmp_path / "sample")
    config = resolve("sample", settings=["train.rounds=1"])
    report = engine.evaluate(engine.train(Dataset.open(tmp_path / "sample"), config, tmp_path / "x").run)
    assert report.single_truth
    assert report.metrics["recall@10"] == report.metrics["hit_rate@10"]
    assert report.metrics["map@10"] == report.metrics["mrr@10"]
