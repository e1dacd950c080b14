"""Two runs on the same clients, and what stands beside them."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine import TrainResult
from spfedrec_cli.errors import InputError


@pytest.fixture(scope="module")
def other(shop: Dataset, config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine.train(shop, config("train.seed=1"), tmp_path_factory.mktemp("runs") / "other").run


@pytest.fixture
def first(trained: TrainResult, tmp_path: Path) -> Path:
    """A copy, with nothing measured in it."""
    shutil.copytree(trained.run, tmp_path / "first", ignore=shutil.ignore_patterns("evaluation*"))
    return tmp_path / "first"


def values(folder: Path, name: str = "") -> dict[str, list[float]]:
    found: dict[str, list[float]] = pq.read_table(folder / f"evaluation-test-full{name}.parquet").to_pydict()
    return found


def test_differences_are_those_of_the_clients(first: Path, other: Path) -> None:
    found = engine.compare([str(first), str(other)], ks=(5,), metrics=["ndcg@5", "map@5"])
    (pair,) = found.pairs
    ours, theirs = values(first), values(other)
    assert ours["client"] == theirs["client"]
    assert (found.clients, found.tests) == (len(ours["client"]), 2)
    for metric in ("ndcg@5", "map@5"):
        gap = np.array(ours[metric]) - np.array(theirs[metric])
        assert pair.differences[metric].mean == pytest.approx(gap.mean())
        assert pair.differences[metric].low <= gap.mean() <= pair.differences[metric].high
        assert found.means[str(first)][metric] == pytest.approx(np.mean(ours[metric]))
        assert pair.p_holm[metric] >= pair.differences[metric].p
    assert min(pair.p_holm.values()) == pytest.approx(min(1, 2 * min(d.p for d in pair.differences.values())))


def test_baselines_and_blends_are_measured_where_they_were_not(first: Path) -> None:
    names = [str(first), f"{first}:popularity", f"{first}:blend", f"{first}:popularity-blend"]
    found = engine.compare(names, ks=(10,))
    assert list(found.means) == names
    assert [pair.name for pair in found.pairs] == names[1:]
    assert list(found.pairs[0].differences) == ["hit_rate@10", "ndcg@10"]
    assert list(found.means[names[0]]) == ["hit_rate@10", "ndcg@10", "recall_new@10", "recall_repeat@10"]
    assert found.tests == 6
    report = json.loads((first / "evaluation.json").read_text())["test/full/all"]
    assert list(report["baselines"]) == ["popularity"]
    assert list(report["blends"]) == ["blend", "popularity-blend"]
    for name, suffix in zip(names, ("", "-popularity", "-blend", "-popularity-blend"), strict=True):
        assert found.means[name]["ndcg@10"] == pytest.approx(np.mean(values(first, suffix)["ndcg@10"]))


def test_recall_of_repeated_items_is_tested_where_it_is_asked_for(first: Path) -> None:
    """Paired over the clients who buy something again, whom the file marks."""
    found = engine.compare([str(first), f"{first}:repeat_last"], ks=(10,), metrics=["recall_repeat@10"])
    ours, theirs = (np.array(values(first, suffix)["recall_repeat@10"]) for suffix in ("", "-repeat_last"))
    some = ~np.isnan(ours)
    assert 0 < some.sum() < len(some)
    gap = found.pairs[0].differences["recall_repeat@10"]
    assert gap.mean == pytest.approx((ours - theirs)[some].mean())
    assert gap.low <= gap.mean <= gap.high


def test_what_lists_show_is_tested_where_it_is_asked_for(first: Path) -> None:
    (pair,) = engine.compare([str(first), f"{first}:popularity"], metrics=["novelty@10"]).pairs
    difference = np.subtract(values(first)["novelty@10"], values(first, "-popularity")["novelty@10"])
    assert pair.differences["novelty@10"].mean == pytest.approx(np.mean(difference))


def test_what_was_measured_is_not_measured_again(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = [str(first), f"{first}:popularity"]
    before = engine.compare(again, ks=(10,))

    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("it was measured again")

    monkeypatch.setattr(sys.modules["spfedrec_cli.engine.compare"], "measured", refuse)
    assert engine.compare(again, ks=(10,)) == before
    with pytest.raises(AssertionError):
        engine.compare(again, ks=(7,))  # another length of list
    with pytest.raises(AssertionError):
        engine.compare(again, split="validation", ks=(10,))


def test_an_evaluation_of_another_checkpoint_does_not_count(first: Path, other: Path) -> None:
    engine.evaluate(first, checkpoint="last", ks=(10,))
    found = engine.compare([str(first), str(other)], ks=(10,))
    best = engine.evaluate(first, ks=(10,))
    assert found.means[str(first)]["ndcg@10"] == pytest.approx(best.metrics["ndcg@10"])


def test_a_run_compared_with_its_copy_differs_in_nothing(first: Path, trained: TrainResult) -> None:
    (pair,) = engine.compare([str(first), str(trained.run)], ks=(10,)).pairs
    assert {(d.mean, d.low, d.high, d.p) for d in pair.differences.values()} == {(0.0, 0.0, 0.0, 1.0)}


def test_runs_on_different_datasets_are_refused(first: Path, config: Callable[..., Config], tmp_path: Path) -> None:
    prepare(source="synthetic", input=None, output=tmp_path / "another", customers=300, items=200, seed=1)
    apart = engine.train(Dataset.open(tmp_path / "another"), config("train.rounds=1"), tmp_path / "apart").run
    with pytest.raises(InputError, match="trained on different Datasets, shop and another"):
        engine.compare([str(first), str(apart)])
    assert not (first / "evaluation.json").exists()


@pytest.mark.parametrize(
    "others, options, message",
    [
        ([], {}, "nothing to compare with"),
        ([""], {}, "nothing to compare with"),  # the same run again
        ([":popularty"], {}, "no baseline 'popularty'; did you mean popularity"),
        ([":all"], {}, "no baseline 'all'"),
        ([":all-blend"], {}, "no baseline 'all'"),
        ([":nothing"], {}, r"choose from popularity, .*, best_possible\.$"),
        ([":popularity"], {"metrics": ["noveltie@10"]}, "no metric 'noveltie@10'; choose from hit_rate"),
        ([":popularity"], {"metrics": ["coverage@10"]}, "'coverage' is of all lists together"),
        ([":popularity"], {"metrics": ["novelty@10"], "protocol": "sampled"}, "not measured among 99 others"),
        ([":popularity"], {"metrics": ["ndcg"]}, "no metric 'ndcg'"),
        ([":popularity"], {"metrics": ["ndcg@010"]}, "no metric 'ndcg@010'"),
        ([":popularity"], {"ks": (201,)}, "k = 201 is more than the 200 candidates"),
        ([":blend"], {"split": "validation"}, "fitted on validation"),
        ([":popularity"], {"protocol": "sample"}, "Unknown protocol"),
    ],
)
def test_bad_comparisons(first: Path, others: list[str], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.compare([str(first), *(f"{first}{other}" for other in others)], **options)  # type: ignore[arg-type]
