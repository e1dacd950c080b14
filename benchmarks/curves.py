"""Pictures of results: learning curves, and quality against bytes. In the style of `spfedrec describe --plot`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure
from trials import Found

from spfedrec_cli.report.drawing import INK, SECOND, STYLE, THIRD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = [INK, SECOND, THIRD, "#7a4f9a", "#8a6d3b", "#5c6670"]
PROTOCOL, METRIC = "full", "ndcg@10"


def draw_learning(found: Mapping[str, Sequence[Found]], file: Path) -> None:
    """Validation NDCG@10 of every seed, by round and by seconds of training."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 4), layout="constrained")
        by_round, by_seconds = figure.subplots(1, 2, sharey=True)
        for (name, seeds), colour in zip(found.items(), COLOURS, strict=False):
            for number, each in enumerate(seeds):
                rounds, reached = zip(*each.curve, strict=True)
                label = name if number == 0 else None
                by_round.plot(rounds, reached, color=colour, linewidth=1.4, alpha=0.8, label=label)
                spent = [each.seconds * round_ / each.rounds for round_ in rounds]
                by_seconds.plot(spent, reached, color=colour, linewidth=1.4, alpha=0.8)
        _titles(by_round, "Learning", "round", "validation NDCG@10, all items")
        _titles(by_seconds, "The same by time", "seconds of training on one core", "")
        by_round.legend(frameon=False, loc="lower right")
        _save(figure, file)


def draw_cost(lines: Mapping[str, Sequence[tuple[str, Found]]], file: Path) -> None:
    """Quality of each case against the bytes that a client sends and receives in a round."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        for (name, points), colour in zip(lines.items(), COLOURS, strict=False):
            sizes = [(each.bytes_up + each.bytes_down) / 1000 for _, each in points]
            reached = [each.metrics[PROTOCOL][METRIC] for _, each in points]
            axes.plot(sizes, reached, color=colour, marker="o", linewidth=1.4, label=name)
            for (label, _), x, y in zip(points, sizes, reached, strict=True):
                axes.annotate(label, (x, y), textcoords="offset points", xytext=(4, 5), fontsize=7, color=colour)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        _titles(axes, "Quality against bytes", "kB that a client sends and receives in a round", "validation NDCG@10")
        axes.legend(frameon=False, loc="lower right")
        _save(figure, file)


def _titles(axes: "Axes", title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _save(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
