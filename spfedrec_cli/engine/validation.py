"""What a training is judged by while it goes on: the same clients every time, no more than it can afford."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32
from spfedrec_cli.engine.collapse import collapsed
from spfedrec_cli.engine.scoring import scorer
from spfedrec_cli.engine.spread import whole
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.retrieval.evaluate import Task, evaluate, history_splits, make_task
from spfedrec_cli.rng import distinct


@dataclass(frozen=True)
class Validation:
    """Whom a training ranks for: what is read from the Dataset for it is read at the first validation and kept."""

    dataset: Dataset
    world: World

    @cached_property
    def task(self) -> Task:
        """Everybody with ground truth, or `train.eval_clients` of them, drawn by the seed."""
        train = self.world.config.train
        every = make_task(self.dataset, "validation")
        if not 0 < train.eval_clients < len(every.clients):
            return every
        drawn = distinct(train.seed, "validation/clients", len(every.clients), train.eval_clients)
        return every.take(drawn.astype(np.int32))

    @cached_property
    def history(self) -> Ragged:
        """Of the clients of the task, row by row: what they bought before validation begins."""
        return self.dataset.history(*history_splits("validation")).take(self.task.clients)

    def recall(self, clients: I32) -> Ragged:
        """The histories of some clients of the task."""
        return self.history.take(np.searchsorted(self.task.clients, clients))


def validate(validation: Validation, state: State) -> tuple[dict[str, float], list[str]]:
    """Validation measures over the whole catalogue, at the k of `train.monitor` and at 10, and what to warn about after
    the first validation: one process finds them."""
    world, scores, warnings = validation.world, {}, []
    train, state = world.config.train, whole(world, state)
    if world.team.is_chief:
        task, k = validation.task, int(train.monitor.split("@")[1])
        ks = sorted({min(10, task.most_candidates), k})
        scores = evaluate(scorer(world, state, validation.recall), task, ks).metrics
        late = state.round > train.eval_every
        told = collapsed(world, state, task.clients, validation.history) if late else None
        warnings = [told] if told else []
    scores, warnings = json.loads(world.team.told(json.dumps([scores, warnings])))
    return dict(scores), list(warnings)


def following_catalogue(config: Config, dataset: Dataset) -> Config:
    """The settings with a monitor that can be measured: where there are fewer items than it asks for, it takes all.

    Raises InputError where there is nobody to validate on.
    """
    metric, k = config.train.monitor.split("@")
    candidates = make_task(dataset, "validation").most_candidates
    monitor = f"{metric}@{min(int(k), candidates)}"
    return config.model_copy(update={"train": config.train.model_copy(update={"monitor": monitor})})
