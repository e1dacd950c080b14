"""A thread for each core: numpy and Arrow let go of the interpreter while they work."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def stream(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `work` makes of each item, in their order, by a thread for each core."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, items)


def each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """As `stream`, all at once."""
    return list(stream(work, items))


def both(*tasks: Callable[[], Any]) -> list[Any]:
    """What each task returns."""
    return each(lambda task: task(), tasks)
