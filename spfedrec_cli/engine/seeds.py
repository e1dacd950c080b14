"""The same training from several seeds: how much of a figure is the luck of the draw."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spfedrec_cli import run
from spfedrec_cli.config import Config, validate
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.tables import Tabular, by_name
from spfedrec_cli.engine.told import TrainResult, Watch, ignore
from spfedrec_cli.engine.train import Begun, silently, train
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Seeds(Tabular):
    """The trainings, one a seed; over them the mean and the standard deviation (n − 1) of each validation metric."""

    results: tuple[TrainResult, ...]
    mean: dict[str, float]
    deviation: dict[str, float]

    def to_frame(self) -> "pd.DataFrame":
        """A row each training, named by its run: the round that was best, and the validation metrics of that round."""
        rows = {result.run.name: {"best_round": result.best_round, **result.validation} for result in self.results}
        return by_name(rows, "run")


def train_seeds(
    dataset: Dataset,
    config: Config,
    folder: Path | str,
    count: int,
    watching: Callable[[Path], Watch] = lambda folder: ignore,
    preset: str | None = None,
    begun: Begun = silently,
    log: Sequence[str] = (),
) -> Seeds:
    """Train `count` times, with the seeds train.seed, train.seed + 1, …; the runs are FOLDER-seed-N beside one another.

    `watching` gives who watches the training in a folder; `preset`, `begun` and `log` as `train` has them. Raises
    InputError, before any training, where one of the folders exists, or a seed would be too large.
    """
    if count < 1:
        raise InputError(f"{count} trainings are none", hint="give 1 or more")
    last = config.train.seed + count - 1
    validate(_seeded(config, last).model_dump())  # a run of a larger seed could not be read
    folders = {seed: run_folder(folder, seed) for seed in range(config.train.seed, config.train.seed + count)}
    for each in folders.values():
        run.check_free(each)
    results = [
        train(dataset, _seeded(config, seed), each, watching(each), preset, begun, log)
        for seed, each in folders.items()
    ]
    metrics = list(results[0].validation)
    values = {metric: [result.validation[metric] for result in results] for metric in metrics}
    return Seeds(
        tuple(results),
        {metric: statistics.fmean(found) for metric, found in values.items()},
        {metric: statistics.stdev(found) if count > 1 else 0.0 for metric, found in values.items()},
    )


def run_folder(folder: Path | str, seed: int) -> Path:
    """Where the training of one seed goes."""
    folder = Path(folder)
    return folder.with_name(f"{folder.name}-seed-{seed}")


def _seeded(config: Config, seed: int) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
