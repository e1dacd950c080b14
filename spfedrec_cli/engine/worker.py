"""A process beside the one that the user started: `python -m spfedrec_cli.engine.worker TASK`, TASK being JSON.

It simulates clients of its own and writes nothing. Ctrl-C reaches the other one, which says when to stop.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from spfedrec_cli.config import Config, validate
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.rehearse import rehearse_in
from spfedrec_cli.engine.team import joined
from spfedrec_cli.engine.train import Interrupted, train_in
from spfedrec_cli.federated.team import Team, TeamLost

TASKS: dict[str, Callable[[Dataset, Config, Team], object]] = {"train": train_in, "rehearse": rehearse_in}


def main(about: str) -> None:
    torch.set_num_threads(1)
    told = json.loads(about)
    dataset, config = Dataset.open(Path(told["dataset"])), validate(told["config"])
    with suppress(Interrupted, TeamLost), joined(told["meeting"], told["rank"], told["size"]) as team:
        TASKS[told["task"]](dataset, config, team)


if __name__ == "__main__":
    main(sys.argv[1])
