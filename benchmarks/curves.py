"""Pictures of results: learning curves, and quality against bytes. In the style of a report's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator
from trials import Found

from spfedrec_cli.report.charts import Curve, curves
from spfedrec_cli.report.drawing import SERIES, figure, save, titled

PROTOCOL, METRIC = "full", "ndcg@10"
ABOVE, BELOW = (4, 5), (4, -10)  # points from a mark to its label


def draw_learning(found: Mapping[str, Sequence[Found]], file: Path) -> None:
    """Validation NDCG@10, by round and by seconds of training: the mean over seeds, and the band of all of them."""
    with figure(11, 4) as made:
        by_round, by_seconds = made.subplots(1, 2, sharey=True)
        every = [_over_seeds(name, seeds) for name, seeds in found.items()]
        curves(by_round, [curve for curve, _ in every], "Learning", "round", "validation NDCG@10, all items")
        timed = [Curve(curve.name, curve.x * pace, curve.y, curve.band) for curve, pace in every]
        curves(by_seconds, timed, "The same by time", "seconds of training on one core", "")
        by_seconds.set_xscale("log")
        by_seconds.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        file.parent.mkdir(parents=True, exist_ok=True)
        save(made, file)


def _over_seeds(name: str, seeds: Sequence[Found]) -> tuple[Curve, float]:
    """Over the rounds that all seeds reached; and the seconds of one round."""
    rounds = sorted(set.intersection(*({round_ for round_, _ in each.curve} for each in seeds)))
    reached = np.array([[dict(each.curve)[round_] for round_ in rounds] for each in seeds])
    band = np.stack([reached.min(axis=0), reached.max(axis=0)], axis=1)
    pace = np.mean([each.seconds / each.rounds for each in seeds])
    short = name.partition(" (")[0].removeprefix("the same model, ")
    return Curve(short, np.array(rounds, float), reached.mean(axis=0), band), float(pace)


def draw_cost(lines: Mapping[str, Sequence[tuple[str, Found]]], file: Path) -> None:
    """Quality of each case against the bytes that a client sends and receives in a round."""
    with figure(8, 4.5) as made:
        axes = made.subplots()
        for place, (name, points) in enumerate(lines.items()):
            colour = SERIES[place]
            sizes = [(each.bytes_up + each.bytes_down) / 1000 for _, each in points]
            reached = [each.metrics[PROTOCOL][METRIC] for _, each in points]
            axes.plot(sizes, reached, color=colour, marker="o", linewidth=1.4, label=name)
            how = {"xytext": BELOW if place % 2 else ABOVE, "fontsize": 7, "color": colour}
            for (label, _), x, y in zip(points, sizes, reached, strict=True):
                axes.annotate(label, (x, y), textcoords="offset points", **how)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        titled(axes, "Quality against bytes", "kB that a client sends and receives in a round", "validation NDCG@10")
        axes.legend(frameon=False, loc="lower right")
        file.parent.mkdir(parents=True, exist_ok=True)
        save(made, file)
