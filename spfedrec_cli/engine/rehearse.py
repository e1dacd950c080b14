"""What a training would cost, from a few of its own rounds, without a run folder."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.executed import beside_ideal
from spfedrec_cli.engine.load import load_world
from spfedrec_cli.engine.memory import check_memory, free_memory, peak_memory, reckon, shape_of
from spfedrec_cli.engine.settings import check_with
from spfedrec_cli.engine.team import device_of, gathered
from spfedrec_cli.federated.device.cost import mean_work
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.simulation.state import initial_state, state_tensors
from spfedrec_cli.federated.strategies.table import STRATEGIES

ROUNDS = 3


@dataclass(frozen=True)
class Rehearsal:
    """Seconds without validation and the time to load; bytes a client and round; this process's largest memory so far,
    and what is reckoned for all processes by the end.

    `multiply_adds` is the work of a client in a round, by `federated/cost.py`, the mean over all who may take part.
    `bytes_in_chains`: of the ideal sum, what secret-sharing chains would send in its place, "up" and "down".
    `query_parameters` and `item_parameters` are the numbers of weights of both towers.
    """

    rounds: int
    clients: int
    seconds: float
    seconds_a_round: float
    bytes_up: float
    bytes_down: float
    multiply_adds: float
    peak_memory: int
    reckoned_memory: int
    query_parameters: int
    item_parameters: int
    bytes_in_chains: Mapping[str, float] = field(default_factory=dict)


def rehearse(dataset: Dataset, config: Config) -> Rehearsal:
    """Runs the first rounds, of which the very first does not count: it does what is done once.

    Raises InputError for the settings that `train` would refuse.
    """
    config = check_with(config, dataset)
    check_memory(shape_of(dataset), config, free_memory())
    with gathered(dataset, config, "rehearse") as team:
        return rehearse_in(dataset, config, team)


def rehearse_in(dataset: Dataset, config: Config, team: Team) -> Rehearsal:
    """The same as one process of a team."""
    world = load_world(dataset, config, team, device_of(config.train.device, team))
    step = STRATEGIES[config.federated.strategy]
    state, rounds = initial_state(world), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        state, report = step(state, world)
        rounds.append((time.perf_counter() - began, report))
    spent, reports = zip(*rounds[1:], strict=True)
    each, clients = statistics.median(spent), sum(report.clients for report in reports)
    weights = {name: tensor.numel() for name, tensor in state_tensors(state).items()}
    return Rehearsal(
        rounds=config.train.rounds,
        clients=clients // len(reports),
        seconds=each * config.train.rounds,
        seconds_a_round=each,
        bytes_up=sum(report.ledger.total("up") for report in reports) / max(clients, 1),
        bytes_down=sum(report.ledger.total("down") for report in reports) / max(clients, 1),
        multiply_adds=mean_work(
            config, world.shapes, world.devices.purchased.lengths[world.devices.purchased.lengths > 0]
        ),
        peak_memory=peak_memory(),
        reckoned_memory=sum(reckon(shape_of(dataset), config).values()),
        query_parameters=sum(size for name, size in weights.items() if name.startswith("query/")),
        item_parameters=sum(size for name, size in weights.items() if name.startswith("item/")),
        bytes_in_chains=beside_ideal(world, state),
    )
