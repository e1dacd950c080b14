"""How a training is stopped from outside, so that what was reached can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class Stop:
    """Whether somebody pressed Ctrl-C."""

    wanted: bool = field(default=False)


@contextmanager
def deferred_interrupt() -> Iterator[Stop]:
    """Let the first Ctrl-C finish the round, so that it can be saved; a second one stops at once."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop.wanted = True

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
