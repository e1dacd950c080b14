"""How work in stages is followed: a bar on a terminal, else one plain line a stage."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from spfedrec_cli.cli.output import Output, duration, size

if TYPE_CHECKING:
    from spfedrec_cli.data.raw import Progress


@contextmanager
def staged(out: Output) -> Iterator[Callable[["Progress"], None]]:
    """A function for `prepare` and `evaluate` to call with their progress."""
    if not out.live:
        yield _Lines(out)
        return
    stage = TextColumn("{task.description}", markup=False)
    sentence = TextColumn("{task.fields[sentence]}", markup=False)
    with Bar(stage, BarColumn(bar_width=20), sentence, console=out.talk, transient=True) as bar:
        yield _Bar(bar)


class _Lines:
    """Names each stage once."""

    def __init__(self, out: Output) -> None:
        self._out, self._stage = out, ""

    def __call__(self, at: "Progress") -> None:
        if at.stage != self._stage:
            self._stage = at.stage
            self._out.say(f"{at.stage} ...")


class _Bar:
    """A bar for the stage that is being worked on."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._stage, self._began = bar, "", 0.0
        self._task = bar.add_task("", total=None, sentence="")

    def __call__(self, at: "Progress") -> None:
        new = at.stage != self._stage
        if new:
            self._stage, self._began = at.stage, time.monotonic()
            self._bar.remove_task(self._task)
            self._task = self._bar.add_task(at.stage, total=at.total or None, sentence="")
        words = sentence(at, time.monotonic() - self._began)
        self._bar.update(self._task, completed=at.done, total=at.total or None, sentence=words, refresh=new)


def sentence(at: "Progress", spent: float) -> str:
    """How far, how fast, and at that pace how much longer: "1.2 GB of 3.5 GB, 2,900,000 rows/s, 9.1 s left"."""
    if not at.total:
        return ""
    shown = size if at.unit == "bytes" else lambda count: f"{count:,}"
    parts = [f"{shown(at.done)} of {shown(at.total)}{'' if at.unit == 'bytes' else f' {at.unit}'}"]
    if spent > 0 and at.rows:
        parts.append(f"{at.rows / spent:,.0f} rows/s")
    if spent > 0 and at.done:
        parts.append(f"{duration(spent * (at.total - at.done) / at.done)} left")
    return ", ".join(parts)
