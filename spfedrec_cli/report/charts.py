"""The kinds of pictures that a report and `plot` draw, each on axes that somebody else made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64
from spfedrec_cli.report.drawing import INK, MARKS, MUTED, SERIES, TEXT, fitting, titled
from spfedrec_cli.report.facts import Map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_CURVE = 400  # points; more are not seen
LONGEST_LABEL = 28
LEAST_SPAN = 0.2  # of an axis, as a share of what stands at its end
MOST_LINES = len(SERIES)


@dataclass(frozen=True)
class Curve:
    """y over x, of several seeds with the band (n, 2) that they keep to."""

    name: str
    x: F64
    y: F64
    band: F64 | None = None


@dataclass(frozen=True)
class Dot:
    """A value with its interval; `strong` is the one that the picture is about."""

    name: str
    value: float
    low: float
    high: float
    strong: bool = False


@dataclass(frozen=True)
class Spot:
    """A run as a place: what it costs, what it reaches, and the range of its seeds."""

    name: str
    x: float
    y: float
    low: float
    high: float


def curves(axes: "Axes", every: Sequence[Curve], title: str, x: str, y: str) -> None:
    """A line each, its name at its end where there are several."""
    for place, curve in enumerate(every[:MOST_LINES]):
        colour, some = SERIES[place], thinned(len(curve.x))
        mark = MARKS[place] if len(curve.x) <= 25 else None
        axes.plot(curve.x[some], curve.y[some], color=colour, linewidth=1.6, marker=mark, markersize=3.5)
        if curve.band is not None:
            low, high = curve.band[some].T
            axes.fill_between(curve.x[some], low, high, color=colour, alpha=0.2, linewidth=0)
    titled(axes, title, x, y)
    _whole(axes)
    _not_magnified(axes)
    if len(every) > 1:
        _names_at_ends(axes, every[:MOST_LINES])


def thinned(length: int) -> npt.NDArray[np.int64]:
    """At most LONGEST_CURVE places, evenly, with both ends."""
    return np.unique(np.linspace(0, length - 1, min(length, LONGEST_CURVE)).round().astype(np.int64))


def _whole(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    low, high = axes.get_xlim()
    if high - low < 2:  # a single round: no tick but its own
        middle = round((low + high) / 2)
        axes.set_xlim(middle - 1, middle + 1)


def _not_magnified(axes: "Axes") -> None:
    """A curve that moves by little shall look so."""
    low, high = axes.get_ylim()
    largest = max(abs(low), abs(high))
    missing = max(LEAST_SPAN * largest - (high - low), 0.0)
    axes.set_ylim(low - missing / 2, high + missing / 2)


def _names_at_ends(axes: "Axes", every: Sequence[Curve]) -> None:
    """To the right of the axes, in the order of the lines' ends and never over one another."""
    low, high = axes.get_ylim()
    ends = np.array([curve.y[-1] for curve in every])
    for place, at in zip(np.argsort(ends, kind="stable"), spread(np.sort(ends), (high - low) * 0.075), strict=True):
        name = fitting(every[place].name, LONGEST_LABEL)
        axes.annotate(name, (1.02, at), xycoords=("axes fraction", "data"), color=SERIES[place], va="center")
    axes.set_ylim(low, high)


def spread(ascending: F64, gap: float) -> F64:
    """The same values, moved as little up and down as leaves `gap` between two neighbours, whatever their number."""
    apart = ascending - gap * np.arange(len(ascending))
    blocks: list[list[float]] = []
    for value in apart:  # pool adjacent violators: the nearest non-descending values
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            before, more = blocks[-1]
            blocks[-1] = [(mean * count + before * more) / (count + more), count + more]
    level = np.repeat([mean for mean, _ in blocks], [int(count) for _, count in blocks])
    return np.asarray(level + gap * np.arange(len(ascending)), np.float64)


def dots(axes: "Axes", every: Sequence[Dot], title: str, x: str) -> None:
    """Values with their intervals, one below another."""
    for place, dot in enumerate(every):
        colour = INK if dot.strong else MUTED
        axes.plot([dot.low, dot.high], [place, place], color=colour, linewidth=2.4 if dot.strong else 1.4)
        axes.plot([dot.value], [place], color=colour, marker="o", markersize=6 if dot.strong else 4.5)
        weight = "bold" if dot.strong else "normal"
        at: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "va": "center",
            "ha": "right",
            "color": TEXT,
            "fontweight": weight,
        }
        axes.annotate(f"{dot.value:.3f}", (1.18, place), annotation_clip=False, **at)
    _rows(axes, [fitting(dot.name, LONGEST_LABEL) for dot in every])
    titled(axes, title, x, "")
    axes.set_xlim(left=0)


def spots(axes: "Axes", every: Sequence[Spot], title: str, x: str, y: str) -> None:
    """A mark each, with its name beside it and the range of its seeds."""
    for place, spot in enumerate(every):
        colour, mark = SERIES[place % len(SERIES)], MARKS[place % len(MARKS)]
        axes.plot([spot.x, spot.x], [spot.low, spot.high], color=colour, linewidth=1.4)
        axes.plot([spot.x], [spot.y], color=colour, marker=mark, markersize=6)
        name = fitting(spot.name, LONGEST_LABEL)
        axes.annotate(name, (spot.x, spot.y), xytext=(8, 0), textcoords="offset points", color=colour, va="center")
    titled(axes, title, x, y)
    axes.margins(x=0.3, y=0.15)
    axes.set_xlim(left=0)


def bars(axes: "Axes", every: Mapping[str, float], told: Sequence[str], title: str, x: str) -> None:
    """Sizes one below another, each with what is `told` of it at its end."""
    for place, value in enumerate(every.values()):
        axes.barh(place, value, 0.62, color=INK, linewidth=0)
        axes.annotate(told[place], (value, place), xytext=(4, 0), textcoords="offset points", va="center", color=TEXT)
    _rows(axes, list(every))
    titled(axes, title, x, "")
    axes.margins(x=0.25)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def cloud(axes: "Axes", found: Map, title: str) -> None:
    """Points by their value; the commonest values have a colour and a mark each, the others share one."""
    values = np.array(found.values)
    shown = list(found.near)[: len(MARKS)]
    rest = ~np.isin(values, shown)
    if rest.any():
        axes.scatter(
            found.places[rest, 0], found.places[rest, 1], s=8, color=MUTED, alpha=0.35, linewidths=0, label="all others"
        )
    for place, value in enumerate(shown):
        at = found.places[values == value]
        label = fitting(value, LONGEST_LABEL)
        axes.scatter(
            at[:, 0], at[:, 1], s=16, color=SERIES[place], marker=MARKS[place], alpha=0.75, linewidths=0, label=label
        )
    titled(axes, title, "first direction", "second direction")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    axes.figure.legend(
        loc="outside lower center",
        ncols=2,
        frameon=False,
        title=found.field.replace("_", " "),
        markerscale=1.8,
        handletextpad=0.3,
    )
