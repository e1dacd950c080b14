"""How a preparation is followed: a bar in bytes on a terminal, else one plain line a stage."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from spfedrec_cli.cli.output import Output

if TYPE_CHECKING:
    from spfedrec_cli.data.raw import Progress


@contextmanager
def reading(out: Output) -> Iterator[Callable[["Progress"], None]]:
    """A function for `prepare` to call with its progress."""
    if not out.live:
        yield _Lines(out)
        return
    stage = TextColumn("{task.description}", markup=False)
    rate = TextColumn("{task.fields[rate]}", markup=False)
    columns = (stage, BarColumn(bar_width=24), DownloadColumn(), rate, TimeRemainingColumn(compact=True))
    with Bar(*columns, console=out.talk, transient=True) as bar:
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
        self._task = bar.add_task("", total=None, rate="")

    def __call__(self, at: "Progress") -> None:
        if at.stage != self._stage:
            self._stage, self._began = at.stage, time.monotonic()
            self._bar.remove_task(self._task)
            self._task = self._bar.add_task(at.stage, total=at.total or None, rate="")
        spent = time.monotonic() - self._began
        rate = f"{at.rows / spent:,.0f} rows/s" if at.done and spent > 0 else ""
        self._bar.update(self._task, completed=at.done, total=at.total or None, rate=rate)
