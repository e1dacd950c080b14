"""What a process does beside the one that the user started, which says it as JSON (`python -m spfedrec_cli.worker`).

It simulates clients of its own and writes nothing. Ctrl-C reaches the other one, which says when to stop.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from spfedrec_cli.config import Config, validate
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.bench import bench_in
from spfedrec_cli.engine.rehearse import rehearse_in
from spfedrec_cli.engine.settings import check
from spfedrec_cli.engine.stop import Interrupted
from spfedrec_cli.engine.team import arrived, joined
from spfedrec_cli.engine.train import train_in
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.processes import Team, TeamLost


def in_training(told: dict[str, Any], team: Team) -> None:
    train_in(*_dataset_and_settings(told), team)


def in_rehearsal(told: dict[str, Any], team: Team) -> None:
    rehearse_in(*_dataset_and_settings(told), team)


def in_bench(told: dict[str, Any], team: Team) -> None:
    bench_in(team, told["sizes"], told["device"])


def _dataset_and_settings(told: dict[str, Any]) -> tuple[Dataset, Config]:
    dataset = Dataset.open(Path(told["dataset"]))
    if dataset.fingerprint != told["fingerprint"]:
        hint = "run the command again while nobody writes there"
        raise InputError("The Dataset was exchanged while it was in use", where=told["dataset"], hint=hint)
    return dataset, validate(told["config"])


TASKS: dict[str, Callable[[dict[str, Any], Team], None]] = {
    "train": in_training,
    "rehearse": in_rehearsal,
    "bench": in_bench,
}


def main(about: str) -> None:
    torch.set_num_threads(1)
    told = json.loads(about)
    if "config" in told:
        check(validate(told["config"]))  # a row that a notebook has added is not here: said before anybody waits for us
    store = arrived(told["port"], told["rank"], told["size"])
    with suppress(Interrupted, TeamLost), joined(told["rank"], told["size"], store=store) as team:
        TASKS[told["task"]](told, team)
