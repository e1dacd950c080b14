"""What every peer's script does: check its aggregate, then time whole cohorts, and print one line of JSON."""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from work import CASES, Case, Sums, Work, aggregate, make

CHECKED = 40  # clients whose sum is compared with the plain client's
TOLERANCE = 1e-3  # of the length of the sum: float32 against float64, Adam's division by √v included

Train = Callable[[], Sums]
Prepare = Callable[[Work, Case], Train]
Reference = Callable[[Work, Case], Sums]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--unchecked", action="store_true", help="the aggregate was checked before")
    return parser.parse_args()


def main(name: str, packages: list[str], prepare: Prepare) -> None:
    asked = arguments()
    tell(name, packages, measure(prepare, asked))


def measure(prepare: Prepare, asked: argparse.Namespace, reference: Reference = aggregate) -> dict[str, Any]:
    """Each case checked, then timed. `prepare` may arrange the clients' data; only what it returns is timed."""
    for case in CASES:
        if not asked.unchecked:
            check(prepare, reference, case)
    work = make(asked.clients)
    return {case.name: speeds(prepare(work, case), asked.clients, asked.repeats) for case in CASES}


def check(prepare: Prepare, reference: Reference, case: Case) -> float:
    """How far a peer is from what the plain client comes to, of the length of the sum. Raises ValueError where that is
    too far."""
    work, errors = make(CHECKED, seed=1), []
    found, expected = prepare(work, case)(), reference(work, case)
    for part in ("query", "items"):
        ours, theirs = getattr(found, part), getattr(expected, part)
        errors.append(float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)))
        if not errors[-1] < TOLERANCE:
            raise ValueError(f"{case.name}: the sum over clients by {part} is off by {errors[-1]:.2g} of its length")
    return max(errors)


def speeds(train: Train, clients: int, repeats: int) -> dict[str, Any]:
    """Seconds of the first cohort, which compiles what has to be compiled, and clients/s of those after it."""
    first, *others = [seconds(train) for _ in range(repeats + 1)]
    return {"first_seconds": first, "clients_per_second": [clients / each for each in others]}


def seconds(train: Train) -> float:
    began = time.perf_counter()
    train()
    return time.perf_counter() - began


def tell(name: str, packages: list[str], cases: dict[str, Any]) -> None:
    """One line of JSON on stdout."""
    versions = {package: version(package) for package in packages} | {"python": platform.python_version()}
    sys.stdout.write(json.dumps({"name": name, "versions": versions, "cases": cases}) + "\n")
