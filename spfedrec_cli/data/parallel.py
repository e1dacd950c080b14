"""A thread for each core: numpy and Arrow let go of the interpreter while they work."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    return os.cpu_count() or 1


def each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What `work` makes of each item, in their order."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, items))


def both(*tasks: Callable[[], R]) -> list[R]:
    """What each task returns."""
    return each(lambda task: task(), tasks)
