"""What every command needs of a run: its settings, its Dataset, and the world around its model."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from spfedrec_cli import run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.decay import decayed_sales
from spfedrec_cli.data.popularity import Given, read_popularity
from spfedrec_cli.data.schema import MANIFEST
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.simulation.devices import Held
from spfedrec_cli.federated.simulation.making import make_world
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.judging.canaries import Canaries, draw, plant
from spfedrec_cli.model.features import of_clients, of_items
from spfedrec_cli.placement import CPU


def open_run(folder: Path, dataset: Path | str | None = None) -> tuple[Dataset, World]:
    """The Dataset of a run and the world around its model, on the CPU wherever it was trained."""
    opened = load_dataset(folder, dataset)
    return opened, load_world(opened, load_config(folder))


def load_world(dataset: Dataset, config: Config, team: Team = ALONE, device: torch.device = CPU) -> World:
    """What a simulation on this Dataset needs: devices hold the training purchases and nothing later."""
    given = None if config.request.popularity == "sum" else partial(_popularity_counts, dataset, config)
    features = of_items(dataset), of_clients(dataset)
    decayed = partial(decayed_sales, dataset, config.request.prior_half_life) if config.decays else None
    return make_world(config, *features, _held(dataset, config), team, device, given, decayed)


def _held(dataset: Dataset, config: Config) -> Held:
    canaries = drawn_canaries(dataset, config)
    if canaries is not None:
        return Held.of(plant(dataset.history("train"), canaries))
    eligible = dataset.clients_with_history("train").astype(np.int64)
    return Held(eligible, partial(dataset.history, "train"))


def drawn_canaries(dataset: Dataset, config: Config) -> Canaries | None:
    """The pairs that are planted into the purchases of this training, if any. Raises InputError where there is no room
    for them."""
    count = config.simulation.canaries
    if not count:
        return None
    if config.decays:
        hint = "set simulation.canaries=0, or request.prior_half_life=0"
        raise InputError("Canaries have no date, which a prior that decays has to know", hint=hint)
    return draw(dataset.history("train"), dataset.n_items, count, f"{config.simulation.root}/{config.train.seed}")


def given_popularity(dataset: Dataset, config: Config) -> Given | None:
    """What the file of item popularity says, where the settings name one. Raises InputError where it cannot be read."""
    path = config.request.popularity
    return None if path == "sum" else read_popularity(Path(path), dataset)


def check_popularity(folder: Path, dataset: Dataset, config: Config) -> None:
    """Raises InputError where a run that begins again would read another file than at first."""
    given = given_popularity(dataset, config)
    if given is not None and run.about(folder).get("popularity_sha256") != given.sha256:
        raise InputError(
            "The file of item popularity is not the one that the run was started with",
            where=config.request.popularity,
            hint="put that one back, or train a new run",
        )


def _popularity_counts(dataset: Dataset, config: Config) -> npt.NDArray[np.int64]:
    return read_popularity(Path(config.request.popularity), dataset).counts


def load_config(folder: Path | str) -> Config:
    """The resolved settings of a run."""
    folder = run.find(folder)
    return resolve(file=run.check_config(folder))


_RESUMED = " (to resume: `spfedrec train DATASET --resume {}`)"


def load_dataset(folder: Path, given: Path | str | None = None) -> Dataset:
    """The Dataset that a run was trained on, known by its fingerprint: `given`, else where it was, beside the run or
    under ./datasets. Raises InputError where it is in none of these places, or was prepared anew with other data."""
    given = None if given is None else Path(given)
    about = run.about(folder)
    recorded, sought = Path(about["dataset"]), about["dataset_sha256"]
    reason: InputError | None = None
    for place in [given] if given is not None else _places(folder, recorded, about["dataset_name"]):
        if given is None and not (place / MANIFEST).is_file():
            continue
        try:
            dataset = Dataset.open(place)
        except InputError as error:
            reason = error if place in (given, recorded) else reason
            continue
        if dataset.fingerprint == sought:
            return dataset
        reason = _another(place, folder) if place in (given, recorded) else reason
    problem = (
        f"The Dataset of the run, {about['dataset_name']}, is not where it was, nor beside the run or under ./datasets"
    )
    raise reason or InputError(
        problem, where=str(recorded), hint=f"say where it is with --dataset{_RESUMED.format(folder)}"
    )


def _another(place: Path, folder: Path) -> InputError:
    where = f"say where they are with --dataset{_RESUMED.format(folder)}"
    hint = f"prepare the same data again, {where}, or train a new run"
    return InputError("The Dataset is not the one that the run was trained on", where=str(place), hint=hint)


def _places(folder: Path, recorded: Path, name: str) -> Iterator[Path]:
    """Where a run's Dataset may be, the likeliest first: a project that was moved took it along."""
    yield recorded
    runs = folder.resolve().parent
    around = (runs.parent / run.DATASETS, runs, runs.parent, run.DATASETS)
    yield from (beside / name for beside in around)
    for beside in (around[0], run.DATASETS):
        yield from sorted(file.parent for file in beside.glob(f"*/{MANIFEST}"))
