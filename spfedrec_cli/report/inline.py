"""A figure as SVG inside a page, in the colours that the page has by day and by night."""

import io
import re
from collections.abc import Set
from typing import TYPE_CHECKING

from spfedrec_cli.report.drawing import GRID, MUTED, PAPER, SERIES, TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 4.0  # inches of a figure: on a phone its words are then as large as 11 px
VARIABLES = {
    **{colour: f"var(--series-{place})" for place, colour in enumerate(SERIES, 1)},
    TEXT: "var(--text)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
}
_FONTS = re.compile(r"font-family: [^;\"]*")
_HEADER = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style type=\"text/css\">.*?</style>", re.DOTALL)
_SIZE = re.compile(r' width="[^"]*" height="[^"]*"', re.ASCII)
_TAG = re.compile(r"<[^>]*>")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:href="|url\()#([^")]*)')


def inlined(figure: "Figure", name: str) -> str:
    """The figure's `<svg>` element without anything that a page has of its own: fonts, colours, sizes, ids of others.

    `name` is that of no other figure of the page. The figure's words are text, which matplotlib escapes.
    """
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    text = _SIZE.sub("", _HEADER.sub("", drawn.getvalue()), count=1)
    used = set(_REFERENCE.findall(text))
    return _TAG.sub(lambda tag: _adapted(tag[0], name, used), text)


def _adapted(tag: str, name: str, used: Set[str]) -> str:
    """A tag in the page's fonts and colours. Only what is referred to keeps its id, under the figure's name."""
    tag = _REFERENCE.sub(lambda found: found[0].replace("#", f"#{name}-"), tag)
    tag = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", tag)
    tag = _FONTS.sub("font-family: inherit", tag)
    return _COLOUR.sub(lambda colour: VARIABLES.get(colour[0], colour[0]), tag)
