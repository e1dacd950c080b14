"""The same training from several seeds: how much of a figure is the luck of the draw."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spfedrec_cli import run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.train import Begun, TrainResult, Watch, silently, train


@dataclass(frozen=True)
class Seeds:
    """The trainings, one a seed; over them the mean and the standard deviation (n − 1) of each validation metric."""

    results: tuple[TrainResult, ...]
    mean: dict[str, float]
    deviation: dict[str, float]


def train_seeds(
    dataset: Dataset,
    config: Config,
    folder: Path,
    count: int,
    watching: Callable[[Path], Watch],
    preset: str | None = None,
    begun: Begun = silently,
) -> Seeds:
    """Train `count` times, with the seeds train.seed, train.seed + 1, …; the runs are FOLDER-seed-N beside one another.

    `watching` gives who watches the training in a folder; `preset` and `begun` as `train` has them. Raises InputError,
    before any training, where one of the folders exists.
    """
    folders = {seed: run_folder(folder, seed) for seed in range(config.train.seed, config.train.seed + count)}
    for each in folders.values():
        run.check_free(each)
    results = [
        train(dataset, _seeded(config, seed), each, watching(each), preset, begun) for seed, each in folders.items()
    ]
    metrics = list(results[0].validation)
    values = {metric: [result.validation[metric] for result in results] for metric in metrics}
    return Seeds(
        tuple(results),
        {metric: statistics.fmean(found) for metric, found in values.items()},
        {metric: statistics.stdev(found) if count > 1 else 0.0 for metric, found in values.items()},
    )


def run_folder(folder: Path, seed: int) -> Path:
    """Where the training of one seed goes."""
    return folder.with_name(f"{folder.name}-seed-{seed}")


def _seeded(config: Config, seed: int) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
