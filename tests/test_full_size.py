"""What `make results` finds at H&M's size, and with how many seeds: its arithmetic."""

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def program(name: str) -> Any:
    """A module of benchmarks/, which finds its neighbours by name."""
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_plateau_is_where_validation_first_comes_near_its_best() -> None:
    """Rounds of a minute, validations of half a minute: .100, .199, .2, .198; .199 ≥ .99 · .2 after 3 · 1 + 2 · .5."""
    full_size = program("full_size")
    judged = {0: 0.1, 2: 0.199, 3: 0.2, 4: 0.198}
    records = [
        {"seconds": 60.0, "validation_seconds": 30.0 * (place in judged), "validation": None}
        | ({"validation": {"ndcg@10": judged[place]}} if place in judged else {})
        for place in range(5)
    ]
    assert "NDCG@10 .2000; within 1% of it after 3 rounds and 4.0 minutes" in full_size.plateau(records)
    assert full_size.curve(records).splitlines()[2:] == [
        "| 1 | 1.0 | 0.5 | .1000 |",
        "| 3 | 3.0 | 1.0 | .1990 |",
        "| 4 | 4.0 | 1.5 | .2000 |",
        "| 5 | 5.0 | 2.0 | .1980 |",
    ]


def test_fewer_seeds_where_a_training_takes_long() -> None:
    cases, results = program("cases"), program("results")
    plan = results.Plan(Path(), Path(), Path(), jobs=1, seeds=5, quick=False)
    rows = {case.name: case for case in cases.main_rows("ml-100k")}
    assert [min(plan.seeds, case.seeds) for case in rows.values()] == [5, 5, 2, 2, 5, 1]
    assert "FedAvg of both towers (`full`)" not in {case.name for case in cases.main_rows("synthetic")}


def test_what_takes_long_begins_first_and_stands_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    cases, results = program("cases"), program("results")
    plan = results.Plan(Path(), Path(), Path(), jobs=1, seeds=3, quick=False)
    rows = [cases.Case("short", "sample", ("train.rounds=2",)), cases.Case("long", "sample", ("train.rounds=9",), 1)]
    began: list[tuple[int, int]] = []

    def all_of(trials: Any, jobs: int) -> list[tuple[int, int]]:
        began.extend((trial.config.train.rounds, trial.config.train.seed) for trial in trials)
        return began

    monkeypatch.setattr(results, "all_of", all_of)
    assert plan.found(rows, Path(), 3, "test", ("full",)) == [[(2, 0), (2, 1), (2, 2)], [(9, 0)]]
    assert began == [(9, 0), (2, 0), (2, 1), (2, 2)]


def test_split_is_held_against_the_tuned_central() -> None:
    """Means over seeds, of the first row of each strategy: (.2 + .4) / 2 ÷ (.3 + .5 + .4) / 3."""
    cases, results = program("cases"), program("results")
    rows = cases.main_rows("synthetic")
    of = {"SpFedRec (`split`)": [0.2, 0.4], "the same model, not federated (`central`)": [0.3, 0.5, 0.4]}

    def found(value: float) -> Any:
        metrics = {"full": dict.fromkeys(("hit_rate@10", "ndcg@10", "map@12"), value)}
        return program("trials").Found("", 0.0, 1, 1, 0.0, 0.0, metrics, [])

    told = results.beside_central(rows, [[found(value) for value in of.get(case.name, [9.0])] for case in rows])
    assert told == "SpFedRec ÷ the same model not federated: 0.75 (HR@10), 0.75 (NDCG@10), 0.75 (MAP@12)."


@pytest.mark.slow
def test_the_full_size_section_in_short(tmp_path: Path) -> None:
    told = program("full_size").FullSize(tmp_path, workers=1, quick=True).told()
    assert "4 rounds were made" in told[0]
    assert [line.split(" | ")[0] for line in told[2].splitlines()[2:]] == ["| 2", "| 4"]
    assert [line.split(" | ")[0] for line in told[3].splitlines()[2:]] == [
        "| SpFedRec (`split`)",
        "| SpFedRec, slate",
        "| SpFedRec (`split`) + blend",
        "| SpFedRec + second stage",
        "| popularity",
        "| popularity_7_days",
        "| repeat_last",
        "| repeat_often",
        "| ials",
        "| best_possible",
    ]
    ours = told[3].splitlines()[2].strip("| ").split(" | ")
    assert ours[1] == "paper, P = 1; of the request"
    assert ours[-2] == "4"
    assert all(float(each) > 0 for each in ours[-3].split(", "))
