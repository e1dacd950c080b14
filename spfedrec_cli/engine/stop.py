"""How a training is stopped from outside, so that what was reached can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType

from spfedrec_cli.errors import SIGNALS, Stopped


@dataclass
class Stop:
    """Whether somebody pressed Ctrl-C, ended the process (SIGTERM) or closed its terminal (SIGHUP)."""

    number: int = field(default=0)

    @property
    def wanted(self) -> bool:
        return self.number > 0


@contextmanager
def deferred_interrupt() -> Iterator[Stop]:
    """Let the first of these signals finish the round, so that it can be saved; a second one stops at once.

    One that is ignored from the start, as nohup has it, stays so.
    """
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            raise Stopped(number)
        stop.number = number

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    stack.callback(signal.signal, number, signal.signal(number, note))
        yield stop
