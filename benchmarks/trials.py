"""One training and its evaluation, kept in a folder: what is there already is not trained again."""

import hashlib
import json
import multiprocessing
import shutil
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, to_toml
from spfedrec_cli.data.dataset import Dataset

T = TypeVar("T")
KS = (10, 12)
FOUND = "found.json"


@dataclass(frozen=True)
class Trial:
    """A training to be made: settings, Dataset, where it goes, and how it is evaluated."""

    config: Config
    dataset: Path
    runs: Path
    split: str = "test"
    protocols: tuple[str, ...] = ("full",)

    def folder(self) -> Path:
        """Named by all that it depends on."""
        content = to_toml(self.config) + Dataset.open(self.dataset).fingerprint
        return self.runs / f"{self.dataset.name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Found:
    """What a training came to. Bytes are of one client in one round; `metrics` by protocol; `curve`: validation by
    round."""

    run: str
    seconds: float
    rounds: int
    best_round: int
    bytes_up: float
    bytes_down: float
    metrics: Mapping[str, Mapping[str, float]]
    curve: list[tuple[int, float]]


def all_of(trials: Iterable[Trial], jobs: int) -> list[Found]:
    """Trained `jobs` at a time, in the order given."""
    return side_by_side(of, list(trials), jobs=jobs)


def side_by_side(work: Callable[..., T], *arguments: Sequence[Any], jobs: int) -> list[T]:
    """`work` of each row of the arguments, by `jobs` processes at a time, in the order given."""
    if jobs == 1:
        return list(map(work, *arguments))
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(work, *arguments))


def of(trial: Trial) -> Found:
    """Trains and evaluates, or reads what was found before."""
    import torch

    torch.set_num_threads(1)
    folder = trial.folder()
    file = folder / FOUND
    if not file.exists():
        _train(trial, folder)
        run.write_json(file, {})
    known: dict[str, Any] = json.loads(file.read_text())
    missing = [protocol for protocol in trial.protocols if f"{trial.split}/{protocol}" not in known]
    for protocol in missing:
        known[f"{trial.split}/{protocol}"] = engine.evaluate(folder, trial.split, KS, protocol=protocol).metrics
        run.write_json(file, known)
    metrics = {protocol: known[f"{trial.split}/{protocol}"] for protocol in trial.protocols}
    return read(folder, trial.config, metrics)


def _train(trial: Trial, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)  # of a training that was broken off
    folder.parent.mkdir(parents=True, exist_ok=True)
    engine.train(Dataset.open(trial.dataset), trial.config, folder)


def read(folder: Path, config: Config, metrics: Mapping[str, Mapping[str, float]]) -> Found:
    """What a training by these settings came to by its own lines of measurements, beside metrics by protocol."""
    rounds = run.records(folder / "metrics.jsonl")
    updates = sum(round_["clients"] for round_ in rounds) or 1
    curve = [(r["round"], r["validation"][config.train.monitor]) for r in rounds if r["validation"]]
    return Found(
        run=str(folder),
        seconds=sum(round_["seconds"] for round_ in rounds),
        rounds=len(rounds),
        best_round=max(curve, key=lambda point: point[1])[0],
        bytes_up=sum(round_["bytes_up"] for round_ in rounds) / updates,
        bytes_down=sum(round_["bytes_down"] for round_ in rounds) / updates,
        metrics=metrics,
        curve=curve,
    )


COST = ["kB up, down", "rounds", "seconds"]  # the heads of what `cost` says


def cost(found: Sequence[Found]) -> list[str]:
    """Means over trainings: bytes of one client in one round, rounds, seconds of training on one core."""
    names = ("bytes_up", "bytes_down", "rounds", "seconds")
    up, down, rounds, seconds = (statistics.fmean(getattr(each, name) for each in found) for name in names)
    return [f"{up / 1000:,.0f}, {down / 1000:,.0f}", f"{rounds:,.0f}", f"{seconds:,.0f}"]
