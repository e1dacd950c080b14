"""Whole rounds by either engine, in turn: clients per second on one core, and their ratio.

    python benchmarks/engine.py datasets/ml-100k

One negative a target: client.negatives = request, request.rate = 1, memoised. A round is everything of DESIGN's
steps 1 to 7: cohort, requests, item tower, local training, fixed point, sum, both server steps, ledger.
"""

import statistics
import sys
import time
from pathlib import Path

import torch

from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.load import load_world
from spfedrec_cli.federated.simulation.state import State, initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.split import split_round

PAIRS = 5
SETTINGS = ["client.negatives=request", "request.rate=1", "request.negatives=uniform", "federated.cohort_size=1000"]
ROUNDS = {"simulation": 10, "reference": 1}


def prepared(dataset: Dataset, engine: str) -> tuple[State, World]:
    """A world after one round, so that what is drawn once is drawn."""
    config: Config = resolve(settings=[*SETTINGS, f"train.engine={engine}"])
    world = load_world(dataset, config)
    return split_round(initial_state(world), world)[0], world


def clients_per_second(state: State, world: World, rounds: int) -> float:
    clients, started = 0, time.perf_counter()
    for _ in range(rounds):
        state, report = split_round(state, world)
        clients += report.clients
    return clients / (time.perf_counter() - started)


def main(path: Path) -> None:
    torch.set_num_threads(1)
    dataset = Dataset.open(path)
    made = {engine: prepared(dataset, engine) for engine in ROUNDS}
    speeds: dict[str, list[float]] = {engine: [] for engine in ROUNDS}
    for _ in range(PAIRS):
        for engine, rounds in ROUNDS.items():
            speeds[engine].append(clients_per_second(*made[engine], rounds))
    for engine, found in speeds.items():
        say(engine, f"{statistics.median(found):,.0f} clients/s", f"{min(found):,.0f} to {max(found):,.0f}")
    ratios = [fast / plain for fast, plain in zip(speeds["simulation"], speeds["reference"], strict=True)]
    say("ratio", f"{statistics.median(ratios):.1f}", f"{min(ratios):.1f} to {max(ratios):.1f}")


def say(name: str, median: str, spread: str) -> None:
    sys.stdout.write(f"{name:<12}{median:>18}   (median of {PAIRS}; {spread})\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
