"""A run goes on for a few rounds by messages, and all that crosses is recorded. The run is not changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.federated.simulation.by_messages import train_by_messages
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import Kept, World
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire.channel import Crossing, End, Recorder
from spfedrec_cli.rng import distinct


@dataclass(frozen=True)
class Recording:
    """All that crossed, in its order, and the mean bytes of one client in one round, "up" and "down"."""

    crossings: Sequence[Crossing] = ()
    bytes_per_client: Mapping[str, float] = field(default_factory=dict)


NOTHING_CROSSED = Recording()


@dataclass(frozen=True)
class Reached:
    """A run where its training stands: each recording goes on from this checkpoint."""

    folder: Path
    round: int
    world: World

    def state(self) -> State:
        """A new one each time: a round writes into it."""
        return load_state(self.folder, self.round)[0]

    def following(self, **federated: Any) -> "Reached":
        """The same, as it goes on by messages with some settings of `federated` changed."""
        return replace(self, world=_changed(self.world, **federated))

    def record(self, rounds: int, *ends: End, **federated: Any) -> Recording:
        """So many rounds of split training, with some settings of `federated` changed; `ends` may put other messages in
        place of those that are recorded. Devices are computed at once where the run's were."""
        recorder, engine = Recorder(), self.world.config.train.engine
        world, state = replace(self.following(**federated).world, ends=(recorder, *ends)), self.state()
        train, reports = train_by_messages if engine == "simulation" else None, list[Report]()
        for _ in range(rounds):
            state, report = split_round(state, world, train)
            reports.append(report)
        clients = max(1, sum(each.clients for each in reports))
        crossed = {way: sum(each.ledger.total(way) for each in reports) / clients for way in ("up", "down")}
        return Recording(recorder.crossings, crossed)


def among(world: World, clients: int, seed: int) -> World:
    """The same world, of whose clients only so many may be asked: drawn by the seed. Cohorts are drawn among them, so
    that small ones are met in several rounds."""
    eligible = world.known.eligible
    if clients < len(eligible):
        eligible = eligible[distinct(seed, "audit/clients", len(eligible), clients)]
    return replace(world, known=replace(world.known, eligible=np.sort(eligible)))


def _changed(world: World, **federated: Any) -> World:
    config = world.config
    train = config.train.model_copy(update={"engine": "reference", "workers": 1})
    changed = {"train": train, "federated": config.federated.model_copy(update=federated)}
    return replace(world, known=replace(world.known, config=config.model_copy(update=changed)), kept=Kept())
