"""Bars with their intervals, panel under panel, as SVG for a light or a dark page."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from measure import figure, small

from spfedrec_cli.report.drawing import INK, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bar = tuple[str, float, float, float]  # its name, the mean, and the ends of its interval
OURS = "SpFedRec"
FAINT = 0.05  # below which three places do not tell bars apart
SCALE = "NDCG@10; lines are 95 % intervals over customers, one training each"
FONTS = re.compile(r"'DejaVu Sans'[^;\"]*sans-serif")
METADATA = re.compile(r"\s*<metadata>.*?</metadata>|<\?xml[^>]*>\s*|<!DOCTYPE.*?>\s*", re.DOTALL)


@dataclass(frozen=True)
class Palette:
    """Colours of one scheme. `ours` and `others` differ in lightness too, for whoever sees no hues; an interval in the
    colour of text is seen on both."""

    background: str
    text: str
    soft: str  # what is said beside, and lines
    panel: str
    accent: str
    ours: str
    others: str


PALETTES = {
    "light": Palette("#ffffff", "#1f2328", "#57606a", "#f3f5f7", INK, "#5d9fd6", "#ccd3d9"),
    "dark": Palette("#0d1117", "#e6edf3", "#9da7b1", "#1a212b", "#6cb2f5", "#2d72b3", "#4a5562"),
}


def drawn(panels: Mapping[str, Sequence[Bar]], palette: Palette, title: str, told: str) -> str:
    """One panel a data set, each with its own scale from 0; `title` and `told` are for whoever cannot see it."""
    count = sum(map(len, panels.values()))
    style = dict(STYLE)
    style |= dict.fromkeys(("figure.facecolor", "axes.facecolor"), palette.background)
    style |= dict.fromkeys(("text.color", "ytick.color", "axes.titlecolor"), palette.text)
    style |= dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color"), palette.soft)
    style["grid.color"] = palette.panel
    with matplotlib.rc_context(style):
        size = 8.2, 0.26 * count + 0.62 * len(panels)
        whole = Figure(figsize=size, layout=ConstrainedLayoutEngine(hspace=0.08))
        heights = [len(bars) + 1 for bars in panels.values()]
        every = whole.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axes, (name, bars) in zip(every, panels.items(), strict=True):
            _panel(axes, name, bars, palette)
        every[-1].set_xlabel(SCALE)
        file = io.StringIO()
        whole.savefig(file, format="svg", metadata={"Date": None})
    return _told(file.getvalue(), title, told)


def _panel(axes: "Axes", name: str, bars: Sequence[Bar], palette: Palette) -> None:
    names, means, lows, highs = zip(*bars, strict=True)
    colours = [palette.ours if each.startswith(OURS) else palette.others for each in names]
    axes.barh(range(len(bars)), means, 0.68, color=colours)
    for place, (mean, low, high) in enumerate(zip(means, lows, highs, strict=True)):
        axes.plot([low, high], [place, place], color=palette.text, linewidth=1.3, solid_capstyle="butt")
        said = small(mean) if max(highs) < FAINT else figure(mean)
        axes.annotate(said, (high, place), (5, 0), textcoords="offset points", va="center", color=palette.text)
    axes.set_yticks(range(len(bars)), names)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1.1 * max(highs))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3f}".rstrip("0").rstrip(".").replace("0.", ".", 1))
    axes.set_title(name)


def _told(svg: str, title: str, told: str) -> str:
    """With words for screen readers, the page's own font, and nothing of who drew it."""
    head = f'\\1 role="img"><title>{escape(title)}</title><desc>{escape(told)}</desc>'
    plain = FONTS.sub("sans-serif", METADATA.sub("", svg))
    return re.sub(r"(<svg [^>]*)>", head, plain, count=1)
