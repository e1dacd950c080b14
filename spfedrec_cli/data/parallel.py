"""A thread for each core: numpy and Arrow let go of the interpreter while they work."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    return os.cpu_count() or 1


def each(work: Callable[[T], R], items: Iterable[T], threads: int | None = None) -> list[R]:
    """What `work` makes of each item, in their order, by so many threads (one for each core unless told)."""
    if threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads or cores()) as pool:
        return list(pool.map(work, items))


def both(*tasks: Callable[[], R]) -> list[R]:
    """What each task returns."""
    return each(lambda task: task(), tasks)
