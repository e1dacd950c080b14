"""Threads of one process that share pieces of work which nothing else depends on."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def shared(work: Callable[[P], R], pieces: Iterable[P], threads: int) -> list[R]:
    """What comes of each piece, in their order. Whoever is free takes the next one."""
    if threads == 1:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, pieces))
