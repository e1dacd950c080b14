"""A Dataset in four panels, or three where it has no dates. matplotlib, an extra, is imported when one is drawn."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spfedrec_cli.data.statistics import Statistics
from spfedrec_cli.dtypes import I64
from spfedrec_cli.report.drawing import INK, SECOND, THIRD, check, figure, fitting, save, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"train": INK, "validation": SECOND, "test": THIRD}
LARGEST_BASKET = 15
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH  # days that matplotlib can name


def draw(told: Mapping[str, Any], counted: Statistics, file: Path) -> None:
    """Draws what `describe` told and `measure` counted, beside `file`, and renames it into place.

    Raises InputError as `check` does, and SpfedrecError where the disk refuses.
    """
    check(file)
    with figure(11, 7.5) as made:
        _panels(made, told, counted)
        save(made, file)


def _panels(made: "Figure", told: Mapping[str, Any], counted: Statistics) -> None:
    sides = f"{told['purchases']:,} purchases, {told['clients']:,} clients, {told['items']:,} items"
    made.suptitle(f"{fitting(told['name'])}: {sides}", fontsize=13, fontweight="bold")
    panels = made.subplot_mosaic("ab;cd" if counted.dated else "ab;cc")
    _activity(panels["a"], counted.by_client)
    _popularity(panels["b"], counted.by_item)
    if counted.dated:
        _volume(panels["c"], counted, told["split"])
        _baskets(panels["d"], counted.baskets)
    else:
        _splits(panels["c"], told["splits"])


def _activity(axes: "Axes", by_client: I64) -> None:
    """The complementary distribution function of purchases over the clients that bought."""
    sizes, clients = np.unique(by_client[by_client > 0], return_counts=True)
    at_least = clients[::-1].cumsum()[::-1] / clients.sum()
    axes.step(sizes, at_least, where="pre", color=INK, linewidth=1.6)
    titled(axes, "Purchases per client", "purchases, n", "share of clients with n or more")
    _logarithmic(axes)
    median = float(np.median(by_client[by_client > 0]))
    axes.axvline(median, color=SECOND, linewidth=1, linestyle="--")
    _remark(axes, f"median {median:,g}")
    _percent(axes)


def _popularity(axes: "Axes", by_item: I64) -> None:
    """Sales of each item that sold, from the best seller on."""
    sales = -np.sort(-by_item[by_item > 0])
    shown = np.unique(np.geomspace(1, len(sales), 2000).astype(np.int64))
    axes.plot(shown, sales[shown - 1], color=INK, linewidth=1.6)
    titled(axes, "Sales per item", "rank of the item", "purchases")
    _logarithmic(axes)
    tenth = sales[: -(-len(sales) // 10)].sum() / sales.sum()
    _remark(axes, f"{len(sales):,} items sold;\nthe best-selling tenth: {tenth:.0%} of purchases")


def _volume(axes: "Axes", counted: Statistics, split: Mapping[str, Any]) -> None:
    starts, purchases = counted.by_week()
    ends = np.append(starts[1:], counted.first_day + len(counted.by_day))
    held = purchases > 0  # of a date that stands millenniums apart not all weeks between are drawn
    starts, purchases, ends = starts[held], purchases[held], ends[held]
    axes.bar(starts, purchases, ends - starts, align="edge", color=_of_weeks(starts, split), linewidth=0)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, _FIRST), min(high, _LAST))
    axes.xaxis_date()  # days since 1970 are matplotlib's dates
    _thousands(axes.yaxis)
    titled(axes, "Volume per week", "week beginning", "purchases")
    if "test_from_time" in split:
        _legend(axes, {name: COLOURS[name] for name in COLOURS})


def _of_weeks(starts: I64, split: Mapping[str, Any]) -> list[str]:
    """The colour of the split that each week belongs to."""
    if "test_from" not in split:
        return [INK] * len(starts)
    bounds = np.array([split["validation_from"], split["test_from"]], "datetime64[D]").astype(np.int64)
    colours = list(COLOURS.values())
    return [colours[place] for place in np.searchsorted(bounds, starts, side="right")]


def _baskets(axes: "Axes", baskets: I64) -> None:
    sizes = np.bincount(np.minimum(baskets, LARGEST_BASKET), minlength=LARGEST_BASKET + 1)[1:]
    places = np.arange(1, LARGEST_BASKET + 1)
    axes.bar(places, sizes / len(baskets), 0.8, color=INK)
    axes.set_xticks(places, [*map(str, places[:-1]), f"{LARGEST_BASKET}+"])
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.25)  # for the remark, above the highest bar
    _percent(axes)
    titled(axes, "Baskets: what a client buys on one day", "purchases", "share of baskets")
    _remark(axes, f"{len(baskets):,} baskets\nmean {baskets.mean():.1f}, median {np.median(baskets):g}")


def _splits(axes: "Axes", splits: Mapping[str, int]) -> None:
    bars = axes.barh(list(splits), list(splits.values()), color=[COLOURS[name] for name in splits])
    axes.bar_label(bars, [f"{count:,}" for count in splits.values()], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)
    _thousands(axes.xaxis)
    titled(axes, "Splits", "purchases", "")


def _logarithmic(axes: "Axes") -> None:
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        if high < 100 * low:  # too few powers of ten to read a scale by
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        _thousands(axis)
        axis.set_minor_formatter(lambda value, _: "")


def _percent(axes: "Axes") -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _thousands(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _legend(axes: "Axes", colours: Mapping[str, str]) -> None:
    """Beside the title, where no bar can stand."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
    axes.legend(handles=handles, frameon=False, ncols=3, handlelength=1, handleheight=1, columnspacing=1.2, **place)


def _remark(axes: "Axes", text: str) -> None:
    axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", color=SECOND)
