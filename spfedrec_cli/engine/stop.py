"""How a training is stopped from outside, so that what was reached can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch

from spfedrec_cli.errors import SIGNALS, SpfedrecError, Stopped
from spfedrec_cli.federated.processes import Team


class Interrupted(SpfedrecError):
    """Training was stopped from outside; what was reached is saved."""

    def __init__(
        self, problem: str, *, where: str | None = None, hint: str | None = None, number: int = signal.SIGINT
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.exit_code = 128 + number


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


def interrupted(stop: Stop, reached: str, folder: Path | None) -> Interrupted:
    """What to raise once `reached` is saved."""
    hint, where = f"go on with `spfedrec train --resume {folder}`", None if folder is None else str(folder)
    number = stop.number or signal.SIGINT  # none, where another process of the team was asked to stop
    return Interrupted(f"Stopped; {reached} is saved", where=where, hint=hint, number=number)


def agreed(team: Team, stop: Stop) -> bool:
    """Whether any process of the team was asked to stop."""
    return bool(team.sum(torch.tensor([int(stop.wanted)])))
