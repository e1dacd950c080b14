"""What attacks reached, as rows of a table, and in one picture: an interval each, and where guessing is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spfedrec_cli.report.drawing import INK, SECOND, check, figure, fitting, save, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.34  # inches
HEAD = ("who", "sees", "attack", "AUC", "95% of it", "popularity alone", "precision", "95% of that", "chance")
SURE = "sure and right"


def rows(attacks: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Under HEAD and SURE, as an audit reports attacks; what one of them lacks is empty."""
    return [_row(each) for each in attacks]


def _row(each: Mapping[str, Any]) -> list[str]:
    decided = each.get("decided")
    return [
        *(str(each.get(key, "")) for key in ("party", "view", "name")),
        _three(each, "auc"),
        _span(each, "low", "high"),
        _three(each, "popularity"),
        _three(each, "precision"),
        _span(each, "precision_low", "precision_high"),
        _three(each, "chance"),
        f"{each.get('right', 0):,} of {decided:,}" if decided else "",
    ]


def _span(each: Mapping[str, Any], low: str, high: str) -> str:
    return " to ".join(filter(None, (_three(each, low), _three(each, high))))


def _three(each: Mapping[str, Any], key: str) -> str:
    value = each.get(key)
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def draw(run: str, attacks: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draws `attacks` as an audit reports them, beside `file`, and renames it into place.

    Raises InputError as `drawing.check` does, and SpfedrecError where the disk refuses.
    """
    check(file)
    with figure(8, 1.6 + ROW * max(1, len(attacks))) as made:
        _intervals(made.subplots(), fitting(run), attacks)
        save(made, file)


def _intervals(axes: "Axes", run: str, attacks: Sequence[Mapping[str, Any]]) -> None:
    for place, each in enumerate(attacks):
        axes.plot([each["low"], each["high"]], [place, place], color=INK, linewidth=2)
        axes.plot(each["auc"], place, "o", color=INK, markersize=5)
        if each["popularity"] is not None:
            axes.plot(each["popularity"], place, "|", color=SECOND, markersize=9, markeredgewidth=2)
    axes.set_yticks(range(len(attacks)), [f"{each['name']} ({each['view']})" for each in attacks])
    axes.invert_yaxis()
    axes.axvline(0.5, color=SECOND, linewidth=1, linestyle="--")
    axes.set_xlim(right=1.02)
    axes.grid(axis="y", visible=False)
    titled(
        axes, f"What attacks guess from {run}", "AUC with its 95% interval; dashed: guessing, bar: popularity alone", ""
    )
