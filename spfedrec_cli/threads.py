"""Threads of one process that share pieces of work which nothing else depends on."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def cores() -> int:
    """How many threads may work at once: what OMP_NUM_THREADS says, else the cores that this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared(work: Callable[[P], R], pieces: Iterable[P], threads: int) -> list[R]:
    """What comes of each piece, in their order. Whoever is free takes the next one."""
    each = list(pieces)
    if min(threads, len(each)) <= 1:
        return [work(piece) for piece in each]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, each))
