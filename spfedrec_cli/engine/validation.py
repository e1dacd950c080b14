"""What a training is judged by while it goes on: the same clients every time, no more than it can afford."""

import json
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32
from spfedrec_cli.engine.collapse import collapsed
from spfedrec_cli.engine.scoring import scorer
from spfedrec_cli.engine.spread import whole
from spfedrec_cli.engine.weighing import climb, steps_of, weight_of
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


def validate(validation: Validation, state: State) -> tuple[State, dict[str, float], list[str]]:
    """The state, with γ where validation chooses it; measures over the whole catalogue, at the k of `train.monitor` and
    at 10; and what to warn about after the first validation. One process finds them."""
    world, every = validation.world, whole(validation.world, state)
    told: tuple[int, dict[str, float], list[str]] = (0, {}, [])
    if world.team.is_chief:
        late = state.round > world.config.train.eval_every
        warning = collapsed(world, every, validation.task.clients, validation.history) if late else None
        told = (*_measured(validation, every), [warning] if warning else [])
    steps, scores, warnings = json.loads(world.team.told(json.dumps(told)))
    return _weighed(world, state, steps), dict(scores), list(warnings)


def _measured(validation: Validation, state: State) -> tuple[int, dict[str, float]]:
    """The steps from `model.prior` to γ, 0 where it is fixed, and what is measured with it."""
    world, task = validation.world, validation.task
    monitor = world.config.train.monitor
    ks = sorted({min(10, task.most_candidates), int(monitor.split("@")[1])})

    def measure(steps: int) -> dict[str, float]:
        return evaluate(scorer(world, _weighed(world, state, steps), validation.recall), task, ks).metrics

    if world.config.model.prior_choice == "fixed":
        return 0, measure(0)
    steps, scores = climb(measure, steps_of(world.config.model, state), monitor)
    return steps, dict(scores)


def _weighed(world: World, state: State, steps: int) -> State:
    """The state with γ so many steps from `model.prior`, where validation chooses it."""
    model = world.config.model
    if model.prior_choice == "fixed":
        return state
    return replace(state, server=replace(state.server, prior=torch.tensor(weight_of(model, steps))))


def following_catalogue(config: Config, dataset: Dataset) -> Config:
    """The settings with a monitor that can be measured: where there are fewer items than it asks for, it takes all.

    Raises InputError where there is nobody to validate on.
    """
    metric, k = config.train.monitor.split("@")
    candidates = make_task(dataset, "validation").most_candidates
    monitor = f"{metric}@{min(int(k), candidates)}"
    return config.model_copy(update={"train": config.train.model_copy(update={"monitor": monitor})})
