"""How a training is followed: a bar on a terminal, else one plain line at each validation."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from spfedrec_cli.cli.output import Output, duration

if TYPE_CHECKING:
    from spfedrec_cli import engine


class Pace:
    """Sums over the rounds seen, for rates and the time left."""

    def __init__(self, monitor: str | None = None) -> None:
        self.monitor = monitor
        self.rounds, self.clients, self.seconds, self.first, self.left = 0, 0, 0.0, 0.0, 0
        self.loss = float("nan")
        self.validation: dict[str, float] = {}

    def add(self, round_: "engine.Progress") -> None:
        self.first = self.first if self.rounds else round_.seconds
        self.rounds += 1
        self.clients += round_.clients
        self.seconds += round_.seconds
        self.left = round_.rounds - round_.round
        self.loss = round_.loss
        self.validation = round_.validation or self.validation

    def sentence(self) -> str:
        """Time left at the mean pace so far, the last value of the monitored metric, loss, and rates.

        Time left matters most: a narrow terminal cuts the rest. The first round may have compiled, which comes once.
        """
        seconds = max(self.seconds, 1e-9)
        steady = (seconds - self.first) / (self.rounds - 1) if self.rounds > 1 else seconds
        parts = [
            f"{duration(self.left * steady)} left",
            *self._validated(),
            f"loss {self.loss:.4f}",
            f"{self.clients / seconds:,.0f} clients/s",
            f"{self.rounds / seconds:.1f} rounds/s",
        ]
        return ", ".join(parts)

    def _validated(self) -> list[str]:
        if not self.validation:
            return []
        name = (self.monitor or "").partition("@")[0]  # its length of list may follow the catalogue
        metric = self.monitor if self.monitor in self.validation else None
        metric = metric or next((each for each in self.validation if each.startswith(f"{name}@")), None)
        metric = metric or next(iter(self.validation))
        return [f"{metric} {self.validation[metric]:.4f}"]


class Follower:
    """Called with every round; tells each warning once."""

    def __init__(self, out: Output, show: Callable[["engine.Progress", str], None], monitor: str | None) -> None:
        self._out, self._show, self._pace = out, show, Pace(monitor)
        self._stage: str | None = None
        self._told: set[str] = set()

    def __call__(self, round_: "engine.Progress") -> None:
        if self._stage not in (None, round_.stage):
            self._pace = Pace(self._pace.monitor)
        self._stage = round_.stage
        self._pace.add(round_)
        self._show(round_, self._pace.sentence())
        if round_.warning:
            self.warn(round_.warning)

    @property
    def idle(self) -> bool:
        """Whether no round was there to follow."""
        return self._stage is None

    def warn(self, warning: str) -> None:
        if warning not in self._told:
            self._told.add(warning)
            self._out.warn(warning)


class _Notes(logging.Handler):
    """What the engine logs for a person to read, as lines of talk."""

    def __init__(self, out: Output) -> None:
        super().__init__(logging.INFO)
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        (self._out.warn if record.levelno >= logging.WARNING else self._out.say)(record.getMessage())


@contextmanager
def heard(out: Output) -> Iterator[None]:
    """While a command works, what the engine logs is said."""
    log, handler = logging.getLogger("spfedrec_cli"), _Notes(out)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextmanager
def following(out: Output, monitor: str | None = None) -> Iterator[Follower]:
    """A function for the engine to call with the progress of every round; `monitor` is the metric to show."""
    if not out.live:
        with heard(out):
            yield Follower(out, _lines(out), monitor)
        return
    sentence = TextColumn("{task.fields[sentence]}", markup=False)
    with heard(out), Progress(BarColumn(bar_width=12), sentence, console=out.talk, transient=True) as bar:
        yield Follower(out, _bar(bar, bar.add_task("", total=None, sentence="first round ...")), monitor)


def _bar(bar: Progress, task: TaskID) -> Callable[["engine.Progress", str], None]:
    def show(round_: "engine.Progress", sentence: str) -> None:
        words = f"{_which(round_)}, {sentence}"
        bar.update(task, completed=round_.round, total=round_.rounds, sentence=words)

    return show


def _lines(out: Output) -> Callable[["engine.Progress", str], None]:
    def show(round_: "engine.Progress", sentence: str) -> None:
        if round_.validation:
            out.say(f"{_which(round_)}: {sentence}")

    return show


def _which(round_: "engine.Progress") -> str:
    """Rounds of the towers need no name."""
    of = "" if round_.stage == "towers" else f"{round_.stage}, "
    return f"{of}round {round_.round}/{round_.rounds}"
