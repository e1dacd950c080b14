"""spfedrec evaluate: how good a run's recommendations are."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName
from spfedrec_cli.cli.output import Cell, Output, counted, table
from spfedrec_cli.run import find

if TYPE_CHECKING:
    from spfedrec_cli.engine import EvaluationReport

NAME = "evaluate"
EXAMPLES = """Examples:

\b
  spfedrec evaluate first --baselines
  spfedrec evaluate first --split validation -k 10 -k 100
  spfedrec evaluate first --by customer --baseline popularity
  spfedrec evaluate runs/first --protocol sampled --json"""

OF_LISTS = ("coverage", "gini", "novelty", "popularity_bias")

SplitOption = Annotated[
    Literal["validation", "test"] | None, typer.Option("--split", help="What is held out; left out, test.")
]
Lengths = Annotated[
    list[int] | None,
    typer.Option("-k", metavar="K", min=1, help="Length of the list. Repeatable; left out, 10 and 12."),
]
Protocol = Annotated[
    Literal["full", "sampled"] | None,
    typer.Option("--protocol", help="Rank all items, or the ground truth among 99 others; left out, full."),
]
Candidates = Annotated[
    Literal["all", "active"] | None,
    typer.Option("--candidates", help="Rank all items, or those sold in the last 28 days of train; left out, all."),
]


def command(
    run: RunName,
    split: SplitOption = None,
    ks: Lengths = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="Measure the simple recommenders as well.")] = False,
    baseline: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Measure this simple recommender as well. Repeatable.")
    ] = None,
    blend: Annotated[
        bool, typer.Option("--blend", help="Measure all of them blended with the client's own purchases as well.")
    ] = False,
    by: Annotated[
        Literal["customer", "purchase", "item", "activity"] | None,
        typer.Option(
            help="Show who is served how well: cold customers, new purchases, rare items, or by length of history."
        ),
    ] = None,
    protocol: Protocol = None,
    candidates: Candidates = None,
    checkpoint: Annotated[
        Literal["best", "last"] | None, typer.Option(help="Which state of the run; left out, best.")
    ] = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure how good a run's recommendations are.

    They are compared with what customers bought next. All numbers are written into the run as well, by client too.
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    folder = find(run)
    said = given(split=split, protocol=protocol, candidates=candidates, checkpoint=checkpoint, ks=ks)
    if blend:
        said["blend"] = True
    with out.stages() as tell:
        tell(f"Evaluating {folder}")
        report = engine.evaluate(folder, baselines=baselines or baseline or False, **said)
    out.result(_json(report), *(_tables(report) if by is None else _broken_down(report, by)))
    for reason in report.unavailable.values():
        out.say(reason)
    if report.skipped:
        out.say(f"{counted(report.skipped, 'client')} bought nothing in {report.split}: left out")
    if not baselines and not baseline:
        out.say(f"Next: spfedrec evaluate {report.run} --baselines shows what simple recommenders reach")


def given(ks: list[int] | None, **choices: Any) -> dict[str, Any]:
    """What was said, for the engine, whose defaults hold for the rest."""
    lengths = {"ks": tuple(sorted(set(ks)))} if ks else {}
    return {**{name: value for name, value in choices.items() if value is not None}, **lengths}


def ranking(protocol: str, candidates: str, clients: int) -> str:
    """all items ranked for 5 clients."""
    ranked = "the ground truth among 99 items" if protocol == "sampled" else f"{candidates} items"
    return f"{ranked} ranked for {counted(clients, 'client')}"


def _json(report: "EvaluationReport") -> dict[str, Any]:
    return {**asdict(report), "run": str(report.run)}


def _tables(report: "EvaluationReport") -> list[Group]:
    """Two for each length of list, so that a row fits on a terminal."""
    others = {**report.baselines, **report.blends}
    tables = []
    for length in _lengths(report.metrics):
        metrics = [name for name in report.metrics if name.endswith(f"@{length}")]
        hits = [name for name in metrics if _bare(name) not in OF_LISTS]
        lists = [name for name in metrics if _bare(name) in OF_LISTS]
        tables.append(_table(_title(report, length), hits, _rows(report, hits)))
        if lists:
            rows = [_row(name, values, lists) for name, values in {"this run": report.metrics, **others}.items()]
            tables.append(_table(f"The lists of {length}", lists, rows))
    return tables


def _rows(report: "EvaluationReport", metrics: list[str]) -> list[list[Cell]]:
    """The run, its interval, what stands beside it."""
    rows = [_row("this run", report.metrics, metrics)]
    if report.intervals:
        low, high = ({name: ends[i] for name, ends in report.intervals.items()} for i in (0, 1))
        rows += [_row("  95% from", low, metrics), _row("      to", high, metrics)]
    return rows + [_row(name, values, metrics) for name, values in {**report.baselines, **report.blends}.items()]


def _broken_down(report: "EvaluationReport", by: str) -> list[Group]:
    """The run by kinds of clients or purchases; by activity, also how it differs from client to client."""
    tables = []
    for length in _lengths(report.metrics):
        metrics = [name for name in report.metrics if name.endswith(f"@{length}") and _bare(name) not in OF_LISTS]
        rows: list[list[Cell]] = [["all", report.clients, *(report.metrics[name] for name in metrics)]]
        for name, group in report.groups[by].items():
            rows.append([name, group.clients, *(group.metrics[metric] for metric in metrics)])
        if by == "activity":
            rows += [[name, None, *(report.across[metric][name] for metric in metrics)] for name in ("p10", "median")]
        tables.append(table(_title(report, length), [HEADINGS[by], "clients", *map(_bare, metrics)], rows))
    return tables


HEADINGS = {"customer": "customer", "purchase": "purchase", "item": "item", "activity": "items in history"}


def _lengths(metrics: Mapping[str, float]) -> list[str]:
    return list(dict.fromkeys(metric.partition("@")[2] for metric in metrics))


def _bare(metric: str) -> str:
    return metric.partition("@")[0]


def _title(report: "EvaluationReport", length: str) -> str:
    ranked = ranking(report.protocol, report.candidates, report.clients)
    return f"{report.split} at {length}: {ranked}; {report.run}, round {report.checkpoint_round}"


def _table(title: str, metrics: list[str], rows: list[list[Cell]]) -> Group:
    return table(title, ["", *map(_bare, metrics)], rows)


def _row(name: str, values: Mapping[str, float], metrics: list[str]) -> list[Cell]:
    return [name, *(values.get(metric) for metric in metrics)]
