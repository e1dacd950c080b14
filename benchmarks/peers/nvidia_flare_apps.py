"""What FLARE's processes import by name: the server's main function, and what a site answers to."""

import json
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from harness import Train, measure
from nvflare.collab import collab
from remote import Config, Reply, State, added, config_of, train_one
from torch import Tensor
from torch_tower import tower
from work import Case, Work

UNDER_WAY = 4  # calls at once


class Site:
    """The process that trains whichever client it is called for."""

    @collab.publish
    def train(self, state: State, config: Config) -> tuple[State, Tensor, Tensor]:
        trained, ids, of_items = train_one(state, **config)
        return trained, torch.from_numpy(ids), of_items


class Server:
    """FLARE makes it anew in its own process, from these arguments; what it found is left in a file."""

    def __init__(self, asked: dict[str, Any], found: str) -> None:
        self.asked, self.found = asked, found

    @collab.main
    def run(self) -> None:
        (site,) = collab.clients
        Path(self.found).write_text(json.dumps(measure(partial(prepare, site), Namespace(**self.asked))))


def prepare(site: Any, work: Work, case: Case) -> Train:
    state = tower(work).state_dict()

    def reply(client: int) -> Reply:
        trained, ids, rows = site.train(state, config_of(work, case, client))
        return [array.numpy() for array in trained.values()], ids.numpy(), rows.numpy()

    def cohort():
        with ThreadPoolExecutor(UNDER_WAY) as calls:
            return added(work, calls.map(reply, range(len(work.clients))))

    return cohort
