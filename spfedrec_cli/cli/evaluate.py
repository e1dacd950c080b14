"""spfedrec evaluate: how good a run's recommendations are."""

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
  spfedrec evaluate runs/first --protocol sampled --json"""


def command(
    run: RunName,
    split: Annotated[
        Literal["validation", "test"] | None, typer.Option(help="What is held out; left out, test.")
    ] = None,
    ks: Annotated[
        list[int] | None,
        typer.Option("-k", metavar="K", min=1, help="Length of the list. Repeatable; left out, 10 and 12."),
    ] = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="Measure the simple recommenders as well.")] = False,
    protocol: Annotated[
        Literal["full", "sampled"] | None,
        typer.Option(help="Rank all items, or the ground truth among 99 others; left out, full."),
    ] = None,
    candidates: Annotated[
        Literal["all", "active"] | None,
        typer.Option(help="Rank all items, or those sold in the last 28 days of train; left out, all."),
    ] = None,
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
    choices = {"split": split, "protocol": protocol, "candidates": candidates, "checkpoint": checkpoint}
    said: dict[str, Any] = {name: value for name, value in choices.items() if value is not None}
    if ks:
        said["ks"] = tuple(sorted(set(ks)))
    with out.stages() as tell:
        tell(f"Evaluating {folder}")
        report = engine.evaluate(folder, baselines=baselines, **said)
    out.result(_json(report), *_tables(report))
    if report.skipped:
        out.say(f"{counted(report.skipped, 'client')} bought nothing in {report.split}: left out")
    if not baselines:
        out.say(f"Next: spfedrec evaluate {report.run} --baselines shows what simple recommenders reach")


def _json(report: "EvaluationReport") -> dict[str, Any]:
    return {
        "run": str(report.run),
        "split": report.split,
        "protocol": report.protocol,
        "candidates": report.candidates,
        "clients": report.clients,
        "skipped": report.skipped,
        "checkpoint_round": report.checkpoint_round,
        "metrics": report.metrics,
        "baselines": report.baselines,
    }


def _tables(report: "EvaluationReport") -> list[Group]:
    """One for each length of list, so that a row fits on a terminal."""
    lengths = dict.fromkeys(metric.partition("@")[2] for metric in report.metrics)
    return [_table(report, length) for length in lengths]


def _table(report: "EvaluationReport", length: str) -> Group:
    metrics = [metric for metric in report.metrics if metric.endswith(f"@{length}")]
    named = {"this run": report.metrics, **report.baselines}
    rows: list[list[Cell]] = [[name, *(values.get(key) for key in metrics)] for name, values in named.items()]
    title = f"{report.split} at {length}: {_ranking(report)}; {report.run}, round {report.checkpoint_round}"
    return table(title, ["", *(metric.partition("@")[0] for metric in metrics)], rows)


def _ranking(report: "EvaluationReport") -> str:
    ranked = "the ground truth among 99 items" if report.protocol == "sampled" else f"{report.candidates} items"
    return f"{ranked} ranked for {counted(report.clients, 'client')}"
