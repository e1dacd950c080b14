"""How fast this machine trains: local training alone, and whole rounds, on worlds made up in memory."""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from spfedrec_cli.config import validate
from spfedrec_cli.engine import made
from spfedrec_cli.engine.machine import environment
from spfedrec_cli.engine.team import device_of, processes
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.simulation.beginning import publish_popularity
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.on_request import start_on_request
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire.ledger import Ledger
from spfedrec_cli.placement import CPU

H_AND_M_BUYERS = 1_362_281  # customers of H&M who bought anything
REPEATS = 3  # of every measurement, however short the time

SMALL_TOWERS = {"dim": 16, "field_dim": 8, "hidden": [64, 64]}
# Untrained towers of random features have large gradients: a step this small, so that few coordinates are saturated.
KERNEL: Mapping[str, Any] = {
    "model": SMALL_TOWERS,
    "request": {"rate": 0.25},
    "federated": {"cohort_size": 1000, "range_item": 5.0},
    "client": {"negatives": "request", "target_share": 1.0, "lr": 0.001},
}
LOCAL: Mapping[str, Mapping[str, Any]] = {
    "local training, one full-batch step": {},
    "local training, batches of 8 by Adam": {"batch_size": 8, "optimizer": "adam"},
    "local training, public pool of 1,024": {"negatives": "public"},
}
# A pass over all customers meets each of them once: requests are drawn anew, as they are at a first visit.
ROUNDS: Mapping[str, Any] = {
    "model": SMALL_TOWERS,
    "client": {"negatives": "request"},
    "request": {"rate": 1.0, "redraw": True},
    "federated": {"cohort_size": 8192, "range_item": 5.0},
}
ROUNDS_NAME = "whole rounds"


@dataclass(frozen=True)
class Speed:
    """Clients per second of one kind of work, a number a repeat; bytes are a client's in one round."""

    name: str
    clients: int
    items: int
    bytes_up: float
    bytes_down: float
    clients_per_second: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.clients_per_second)


@dataclass(frozen=True)
class Bench:
    """What was measured, whole rounds last. `machine` holds versions and processor."""

    workers: int
    speeds: list[Speed]
    machine: dict[str, Any]
    seconds: float
    h_and_m_clients: int = H_AND_M_BUYERS

    @property
    def h_and_m_seconds(self) -> float:
        """What one pass over H&M's customers would take at the median speed of whole rounds: an extrapolation."""
        return self.h_and_m_clients / self.speeds[-1].median


@dataclass(frozen=True)
class Work:
    """Something to repeat, and what is known of it before: it returns the ledger of what would cross."""

    name: str
    clients: int
    items: int
    run: Callable[[], Ledger]


def bench(
    workers: int = 1,
    seconds: float = 30.0,
    kernel: made.Shape = made.KERNEL,
    shop: made.Shape = made.SHOP,
    tell: Callable[[str], None] = lambda stage: None,
    device: str = "cpu",
) -> Bench:
    """Repeats every kind of work in turn for about so many seconds, and at least thrice after a warm-up.

    Of the shapes, other workers learn the numbers of clients and items. Raises InputError where `workers` is none that
    train.workers takes, or `device` none that this machine has.
    """
    began = time.perf_counter()
    validate({"train": {"workers": workers, "device": device}})
    sizes = [kernel.clients, kernel.items, shop.clients, shop.items]
    used = device_of(device)
    with processes(workers, {"task": "bench", "sizes": sizes, "device": device}) as team:
        speeds = _measured(team, used, kernel, shop, seconds, tell)
    machine = {**environment(used), "cores": os.cpu_count()}
    return Bench(workers, speeds, machine, time.perf_counter() - began)


def bench_in(team: Team, sizes: list[int], device: str) -> None:
    """Take part in a bench that another process of the team leads."""
    kernel, shop = made.sized(made.KERNEL, *sizes[:2]), made.sized(made.SHOP, *sizes[2:])
    _measured(team, device_of(device, team), kernel, shop, 0.0, lambda stage: None)


def _measured(
    team: Team,
    device: torch.device,
    kernel: made.Shape,
    shop: made.Shape,
    seconds: float,
    tell: Callable[[str], None],
) -> list[Speed]:
    tell("making clients, items and purchases up")
    works = [*local_works(kernel, team, device), round_work(shop, team=team, device=device)]
    tell("warming up")
    speeds = [_speed(work, work.run()) for work in works]
    tell(f"measuring for {seconds:.0f} seconds")
    until = time.perf_counter() + seconds
    while _goes_on(team, time.perf_counter() < until or len(speeds[-1].clients_per_second) < REPEATS):
        for work, speed in zip(works, speeds, strict=True):
            speed.clients_per_second.append(work.clients / _seconds(work, team))
    return speeds


def _goes_on(team: Team, wanted: bool) -> bool:
    """What the process that speaks wants."""
    return bool(json.loads(team.told(json.dumps(wanted))))


def local_works(shape: made.Shape, team: Team = ALONE, device: torch.device = CPU) -> list[Work]:
    """The kernel: local training, clipping, rounding, the sum of integers; with the purchases of the same clients.

    Of a team, each process works on clients of its own."""
    return [_local(name, shape, client, team, device) for name, client in LOCAL.items()]


def _local(name: str, shape: made.Shape, client: Mapping[str, Any], team: Team, device: torch.device) -> Work:
    world = made.make(shape, kernel_settings(client, team.size), team=team, device=device)
    published, cohort = opened(world)

    def run() -> Ledger:
        channel = world.channel(1)
        for message in published.told:
            channel.tell(message, cohort.clients)
        train_cohort(world, published, cohort, channel)
        return channel.ledger()

    return Work(name, shape.clients, shape.items, run)


def kernel_settings(client: Mapping[str, Any], shards: int = 1) -> dict[str, Any]:
    """Those of the kernel, but for what `client` says of its section; a shard a process."""
    return {**KERNEL, "client": {**KERNEL["client"], **client}, "train": {"shards": shards}}


def round_work(
    shape: made.Shape, settings: Mapping[str, Any] = ROUNDS, team: Team = ALONE, device: torch.device = CPU
) -> Work:
    """Whole rounds, one after another: requests, item tower, local training, sums, server step."""
    world = made.make(shape, settings, team=team, device=device)
    state = publish_popularity(initial_state(world), world, world.channel(1))

    def run() -> Ledger:
        nonlocal state
        state, report = split_round(state, world)
        return report.ledger

    size = min(world.config.federated.cohort_size, len(world.known.eligible))
    return Work(ROUNDS_NAME, size, shape.items, run)


def opened(world: World) -> tuple[Published, Cohort]:
    """What the server of a new run publishes, and all clients as its first cohort, with their requests drawn."""
    channel = world.channel(1)
    state = publish_popularity(initial_state(world), world, channel)
    start = start_on_request(state, world, np.arange(len(world.devices)), channel)
    return start.published, start.cohort


def _speed(work: Work, ledger: Ledger) -> Speed:
    up, down = (
        sum(entry.bytes / entry.count for entry in ledger.entries if entry.direction == direction)
        for direction in ("up", "down")
    )
    return Speed(work.name, work.clients, work.items, up, down)


def _seconds(work: Work, team: Team) -> float:
    """Until the last process of the team has done its part."""
    team.told("begin")
    began = time.perf_counter()
    work.run()
    team.sum(torch.zeros(1, dtype=torch.int32))
    return time.perf_counter() - began
