"""Learning curves: validation and loss by round, with the band over seeds."""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.dtypes import F64
from spfedrec_cli.report.charts import MOST_LINES, Curve, curves
from spfedrec_cli.report.drawing import figure
from spfedrec_cli.report.facts import Facts, Told
from spfedrec_cli.report.inline import WIDTH, inlined
from spfedrec_cli.report.numbers import number
from spfedrec_cli.report.parts import Figure, Section, Table
from spfedrec_cli.report.seeds import Together, together

HEIGHT = 2.7  # inches
MOST_ROWS = 20


def section(facts: Facts) -> Section | None:
    runs = facts.runs
    if not any(run.rounds for run in runs):
        return None
    figures = [made for made in (_validation(runs), _loss(runs)) if made is not None]
    return Section("learning", "Learning", _sentences(facts), figures=figures)


def validation_curves(runs: Sequence[Told]) -> list[Curve]:
    """Of the first run's monitor; runs that differ in their seed alone are one curve."""
    return _curves(runs, runs[0].monitor)


def loss_curves(runs: Sequence[Told]) -> list[Curve]:
    """Of the clients' local steps, in the same way."""
    return _curves(runs, "loss")


def _curves(runs: Sequence[Told], what: str) -> list[Curve]:
    found = [(each.name, _shared(each, what)) for each in together(runs)]
    return [Curve(name, x, y, band) for name, (x, y, band) in found if len(x)]


def _shared(each: Together, what: str) -> tuple[F64, F64, F64 | None]:
    """x, and the mean and the range of the seeds where all of them have a value."""
    values = [_series(run, what) for run in each.runs]
    x = np.array(sorted(set.intersection(*(set(of) for of in values))), np.float64)
    y = np.array([[of[int(at)] for at in x] for of in values], np.float64)
    return x, y.mean(axis=0), np.column_stack([y.min(axis=0), y.max(axis=0)]) if len(values) > 1 else None


def _series(run: Told, what: str) -> dict[int, float]:
    if what == "loss":
        return {line["round"]: line["loss"] for line in run.rounds if line.get("loss") is not None}
    scores = ((line["round"], line["validation"] or {}) for line in run.rounds)
    return {round_: found[what] for round_, found in scores if what in found}


def _validation(runs: Sequence[Told]) -> Figure | None:
    metric = runs[0].monitor.replace("ndcg", "NDCG")
    return _figure(validation_curves(runs), "validation", f"Validation, {metric}", metric)


def _loss(runs: Sequence[Told]) -> Figure | None:
    return _figure(loss_curves(runs), "loss", "Loss of the clients' local steps", "loss")


def _figure(every: Sequence[Curve], name: str, title: str, y: str) -> Figure | None:
    if not every:
        return None
    with figure(WIDTH, HEIGHT) as made:
        curves(made.subplots(), every, "", "round", y)
        svg = inlined(made, name)
    ends = "; ".join(
        f"{each.name}: {each.y[0]:.4f} in round {each.x[0]:,.0f}, {each.y[-1]:.4f} in {each.x[-1]:,.0f}"
        for each in every
    )
    return Figure(title, svg, f"{title} by round. {ends}.", _table(every[:MOST_LINES], title))


def _table(every: Sequence[Curve], title: str) -> Table:
    """Some rounds of the first curve, and what each curve had reached there."""
    first = every[0]
    places = np.unique(np.linspace(0, len(first.x) - 1, min(len(first.x), MOST_ROWS)).round().astype(int))
    rows = [(f"{first.x[place]:,.0f}", *(_at(curve, first.x[place]) for curve in every)) for place in places]
    return Table(title, ("round", *(curve.name for curve in every)), rows)


def _at(curve: Curve, x: float) -> str:
    found = np.flatnonzero(curve.x == x)
    if not len(found):
        return ""
    value = number(float(curve.y[found[0]]))
    if curve.band is None:
        return value
    low, high = curve.band[found[0]]
    return f"{value} ({low:.4f} to {high:.4f})"


def _sentences(facts: Facts) -> list[str]:
    scores = _series(facts.first, facts.first.monitor)
    if not scores:
        return ["It was never validated."]
    best = max(scores, key=lambda round_: scores[round_])
    told = [f"{facts.first.name} was best in round {best:,}, and is told of as it was then."]
    if best == max(scores) and len(scores) > 1:
        told.append("That was its last validation: more rounds may reach more.")
    if any(len(each.runs) > 1 for each in together(facts.runs)):
        told.append("Runs that differ in their seed alone are one line, their mean; the band holds all of them.")
    return told
