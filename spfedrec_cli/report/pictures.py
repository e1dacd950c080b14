"""Pictures of runs as files of their own: how they learned, and what their quality costs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spfedrec_cli.errors import InputError
from spfedrec_cli.report.charts import Curve, Spot, curves, spots
from spfedrec_cli.report.drawing import figure, save
from spfedrec_cli.report.facts import Told
from spfedrec_cli.report.sections.learning import loss_curves, validation_curves
from spfedrec_cli.report.sections.quality import worded
from spfedrec_cli.report.seeds import together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.4, 4.0


def draw(kind: str, runs: Sequence[Told], file: Path) -> None:
    """A picture of KINDS. Raises InputError where the runs have nothing that it could show."""
    with figure(WIDTH, HEIGHT) as made:
        KINDS[kind](made, runs)
        save(made, file)


def _learning(made: "Figure", runs: Sequence[Told]) -> None:
    metric = worded(runs[0].monitor)
    _curves(made, validation_curves(runs), f"Validation {metric} by round", metric)


def _loss(made: "Figure", runs: Sequence[Told]) -> None:
    _curves(made, loss_curves(runs), "Loss of the clients' local steps", "loss")


def _curves(made: "Figure", every: Sequence[Curve], title: str, y: str) -> None:
    if not every:
        raise InputError("The runs have no rounds with this figure yet", hint="train on")
    curves(made.subplots(), every, title, "round", y)


def _cost(made: "Figure", runs: Sequence[Told]) -> None:
    """The mean over seeds, with their range; of the best validation, which chose the checkpoint."""
    monitor, found = runs[0].monitor, []
    for each in together(runs):
        reached = [best for run in each.runs if (best := _best(run, monitor)) is not None]
        if reached and each.runs[0].messages:
            mean = sum(reached) / len(reached)
            month = sum(run.bytes_of_a_month for run in each.runs) / len(each.runs)
            found.append(Spot(each.name, month / 1e6, mean, min(reached), max(reached)))
    if not found:
        raise InputError("The runs have no validation or no messages to set against it", hint="name others")
    spots(
        made.subplots(),
        found,
        "Quality against bytes",
        "MB of a client in a month",
        f"best validation {worded(monitor)}",
    )


def _best(run: Told, monitor: str) -> float | None:
    return max(
        (line["validation"][monitor] for line in run.rounds if monitor in (line["validation"] or {})), default=None
    )


KINDS: dict[str, Callable[["Figure", Sequence[Told]], None]] = {"learning": _learning, "loss": _loss, "cost": _cost}
