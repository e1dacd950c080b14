"""Several seeds: each a run of its own, and what they say together."""

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError

Make = Callable[..., Config]


def test_each_seed_is_the_run_that_it_would_be_alone(
    trained: engine.TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    watched: list[tuple[Path, int]] = []

    def watching(folder: Path) -> engine.Watch:
        return lambda progress: watched.append((folder, progress.round))

    found = engine.train_seeds(shop, config(), tmp_path / "run", 3, watching)
    assert [result.run.name for result in found.results] == ["run-seed-0", "run-seed-1", "run-seed-2"]
    assert found.results[0].state_sha256 == trained.state_sha256
    assert len({result.state_sha256 for result in found.results}) == 3
    assert watched == [(result.run, round_) for result in found.results for round_ in range(1, 7)]
    assert [engine.load_config(result.run).train.seed for result in found.results] == [0, 1, 2]
    values = [result.validation["ndcg@10"] for result in found.results]
    assert found.mean["ndcg@10"] == pytest.approx(sum(values) / 3)
    assert found.deviation["ndcg@10"] == pytest.approx(statistics.stdev(values))


def test_one_folder_that_is_taken_stops_all_before_they_start(shop: Dataset, config: Make, tmp_path: Path) -> None:
    taken = engine.run_folder(tmp_path / "run", 5)
    taken.mkdir()
    (taken / "note").write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        engine.train_seeds(shop, config("train.seed=4"), tmp_path / "run", 2, lambda folder: engine.train)  # type: ignore[arg-type, return-value]
    assert [file.name for file in tmp_path.iterdir()] == ["run-seed-5"]


def test_a_seed_that_no_run_can_have_stops_all_before_they_start(shop: Dataset, config: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.seed = 9223372036854775808 does not fit"):
        engine.train_seeds(shop, config(f"train.seed={2**63 - 1}"), tmp_path / "many", 2)
    assert not list(tmp_path.iterdir())


def test_a_single_seed_has_no_deviation(shop: Dataset, config: Make, tmp_path: Path) -> None:
    found = engine.train_seeds(
        shop, config("train.rounds=2"), tmp_path / "run", 1, lambda folder: lambda progress: None
    )
    assert set(found.deviation.values()) == {0.0}
