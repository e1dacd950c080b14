"""What all pictures share: one style, one palette, and how a file of them comes to be. matplotlib is an extra."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spfedrec_cli import files
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.extras import needs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
INK, SECOND, THIRD = "#1f5a8a", "#b0540f", "#3f7d43"
SERIES = (INK, SECOND, THIRD, "#7a4f9a", "#85641f", "#5c6670", "#a83e63", "#1d7f86")
MARKS = "os^DvPX*"  # a series is told by its mark too, for whoever sees no colours
TEXT, MUTED, GRID, PAPER = "#1b2733", "#55616e", "#e6e8eb", "#ffffff"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "text.color": TEXT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "date.converter": "concise",
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "spfedrec",
}
LONGEST_NAME = 80


def check(file: Path) -> None:
    """Raises InputError where `file` cannot become a picture, before anything is computed."""
    if file.suffix.lower() not in SUFFIXES:
        hint = f"end it in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise InputError(f"A picture is none of a kind that its name {file.name!r} tells", hint=hint)
    if file.is_dir():
        raise InputError("The picture's place is a folder", where=str(file), hint="name a file")
    if not file.parent.is_dir():
        raise InputError("The picture's folder does not exist", where=str(file.parent), hint="make it first")
    needs("A picture", "report", "matplotlib")


@contextmanager
def figure(width: float, height: float) -> Iterator["Figure"]:
    """An empty figure of so many inches, to be drawn on and handed on within, in the style of all."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in letters that the font lacks
        made = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(made)
        yield made


def titled(axes: "Axes", title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def fitting(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits into a picture, on one line, without letters that steer whatever shows it."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"


def save(figure: "Figure", file: Path) -> None:
    """Drawn beside `file` and renamed into place. Raises SpfedrecError where the disk refuses."""
    try:
        with files.beside(file) as part:
            figure.savefig(part, format=file.suffix[1:].lower(), dpi=144, metadata=_undated(file))
    except OSError as error:
        hint = error.strerror or str(error)
        raise SpfedrecError("The picture cannot be written", where=str(file), hint=hint) from None


def _undated(file: Path) -> dict[str, None]:
    """The same figure makes the same bytes."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(file.suffix.lower(), {})
