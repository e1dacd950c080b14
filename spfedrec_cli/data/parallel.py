"""A thread for each core: numpy and Arrow let go of the interpreter while they work."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def stream(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `work` makes of each item, in their order, by a thread for each core."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, items)


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """What `work` makes of each item. A thread for each core works ahead, and one more asks for the items."""
    workers, waiting = os.cpu_count() or 1, deque[Future[R]]()
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(workers) as pool:
        asked: Future[Any] = reader.submit(next, source, end)
        try:
            while (item := asked.result()) is not end:
                asked = reader.submit(next, source, end)
                waiting.append(pool.submit(work, item))
                del item
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in (asked, *waiting):
                future.cancel()


def each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """As `stream`, all at once."""
    return list(stream(work, items))


def both(*tasks: Callable[[], Any]) -> list[Any]:
    """What each task returns."""
    return each(lambda task: task(), tasks)
