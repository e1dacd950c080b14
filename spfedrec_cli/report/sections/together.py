"""Several runs side by side: means over seeds, and paired tests of the first against each of the others."""

import statistics
from collections.abc import Iterator, Sequence

from spfedrec_cli.report.charts import Dot
from spfedrec_cli.report.facts import Facts, Told
from spfedrec_cli.report.numbers import size
from spfedrec_cli.report.parts import Cell, Figure, Section, Table
from spfedrec_cli.report.sections.quality import dots_figure, worded
from spfedrec_cli.report.seeds import Together, together
from spfedrec_cli.retrieval.intervals import Paired


def section(facts: Facts) -> Section | None:
    if len(facts.runs) < 2:
        return None
    every = [run for run in facts.runs if run.measured is not None]
    metrics = _metrics(every)
    tables = [_means(facts, metrics), *([_tests(facts)] if facts.versus else [])]
    figures = [_figure(every, metrics[0])] if metrics else []
    return Section("runs", "The runs side by side", list(_sentences(facts)), tables=tables, figures=figures)


def _sentences(facts: Facts) -> Iterator[str]:
    first = facts.first.name
    yield f"The rest of this page tells of {first} alone, but for the learning curves."
    if any(len(each.runs) > 1 for each in together(facts.runs)):
        yield "Runs that differ in their seed alone share a row: mean ± standard deviation."
    same = {run.name for run in together(facts.runs)[0].runs}
    for versus in facts.versus:
        if versus.name in same:
            continue
        metric = next(name for name in versus.differences if name.startswith("ndcg@"))
        found, p = versus.differences[metric], versus.p_holm[metric]
        verb = (
            "is statistically indistinguishable from" if p >= 0.05 else "is ahead of" if found.mean > 0 else "is behind"
        )
        yield f"{first} {verb} {versus.name} ({worded(metric)} {found.mean:+.4f}, p = {p:.2g})."


def _metrics(every: Sequence[Told]) -> list[str]:
    """Those that all of them have, by the shortest list."""
    if not every or every[0].measured is None:
        return []
    k = every[0].measured.shortest
    wanted = [f"{name}@{k}" for name in ("ndcg", "hit_rate", "recall_new", "recall_repeat", "coverage")]
    return [name for name in wanted if all(run.measured and name in run.measured.metrics for run in every)]


def _means(facts: Facts, metrics: Sequence[str]) -> Table:
    rows = [_row(each, metrics) for each in together(facts.runs)]
    return Table("Runs", ("", "rounds", *map(worded, metrics), "a client in a month", "what it saw"), rows, strong=0)


def _row(each: Together, metrics: Sequence[str]) -> tuple[Cell, ...]:
    first = each.runs[0]
    found = [[run.measured.metrics[name] for run in each.runs if run.measured] for name in metrics]
    mode = first.config.request.mode if first.config.federated.strategy == "split" else first.config.federated.strategy
    return each.name, len(first.rounds), *map(_spread, found), size(first.bytes_of_a_month), mode


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"


def _tests(facts: Facts) -> Table:
    rows = [
        (versus.name, worded(metric), *_tested(versus, metric))
        for versus in facts.versus
        for metric in versus.differences
    ]
    title = f"{facts.first.name} less each of the others, paired by customer"
    return Table(title, ("", "measure", "difference", "95 % from", "to", "p, corrected by Holm"), rows)


def _tested(versus: Paired, metric: str) -> tuple[Cell, ...]:
    found = versus.differences[metric]
    return found.mean, found.low, found.high, f"{versus.p_holm[metric]:.2g}"


def _figure(every: Sequence[Told], metric: str) -> Figure:
    title = f"{worded(metric)} of each run"
    measured = [
        Dot(run.name, run.measured.metrics[metric], *run.measured.intervals[metric], strong=place == 0)
        for place, run in enumerate(every)
        if run.measured is not None
    ]
    return dots_figure(measured, title, "runs")
