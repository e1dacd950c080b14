"""spfedrec evaluate: how good a run's recommendations are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName, TrainedOn, where
from spfedrec_cli.cli.output import Cell, Output, counted, duration, table
from spfedrec_cli.cli.stages import staged
from spfedrec_cli.run import find

if TYPE_CHECKING:
    from spfedrec_cli.engine import EvaluationReport

NAME = "evaluate"
EXAMPLES = """Examples:

\b
  spfedrec evaluate first --baselines
  spfedrec evaluate first --split validation -k 10 -k 100
  spfedrec evaluate first --baselines --second-stage
  spfedrec evaluate first --baselines --more
  spfedrec evaluate first --baselines --origins 4
  spfedrec evaluate first --by customer --baseline popularity
  spfedrec evaluate runs/first --protocol sampled --json"""

TELLING = ("hit_rate", "recall", "ndcg")  # at the first length of list; map at the last
SAME = {"hit_rate": "recall", "map": "mrr"}  # where every client has one item to be found
OF_PARTS = {"recall_new": "new", "recall_repeat": "repeat"}  # of what was bought: kinds of purchases

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


Named = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Measure this simple recommender as well, or all, however long it takes. Repeatable."
    ),
]
By = Annotated[
    Literal["customer", "purchase", "item", "activity"] | None,
    typer.Option(
        help="Show who is served how well: cold customers, new purchases, rare items, or by length of history."
    ),
]
Origins = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Pool the last N weeks. For each of them but the last a model is trained on what lies before it.",
    ),
]


def command(
    run: RunName,
    split: SplitOption = None,
    ks: Lengths = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="Measure the simple recommenders as well.")] = False,
    baseline: Named = None,
    blend: Annotated[
        bool, typer.Option("--blend", help="Measure all of them blended with the client's own purchases as well.")
    ] = False,
    second_stage: Annotated[
        bool, typer.Option("--second-stage", help="Measure what devices rank for themselves as well.")
    ] = False,
    by: By = None,
    more: Annotated[
        bool, typer.Option("--more", help="Show every measure, not only what matters most; --json always has all.")
    ] = False,
    origins: Origins = None,
    protocol: Protocol = None,
    candidates: Candidates = None,
    checkpoint: Annotated[
        Literal["best", "last"] | None, typer.Option(help="Which state of the run; left out, best.")
    ] = None,
    dataset: TrainedOn = None,
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
    said |= where(dataset) | ({"blend": True} if blend else {}) | ({"second_stage": True} if second_stage else {})
    said |= {"baselines": baselines or baseline or False}
    with staged(out) as tell:
        if origins is None:
            report = engine.evaluate(folder, **said, tell=tell)
        else:
            report = engine.evaluate_origins(folder, origins, **said, tell=tell, begin=partial(_announced, out))
    out.result(_json(report), *_shown(report, by, more or ks is not None))
    _remarked(out, report)
    if not baselines and not baseline:
        out.say(f"What simple recommenders reach: spfedrec evaluate {report.run} --baselines")
    out.say(f"What it leaks: spfedrec audit {report.run}")


def _remarked(out: Output, report: "EvaluationReport") -> None:
    """What has to be known of the figures, what is not among them, and who."""
    for note in report.notes:
        out.warn(note)
    for reason in report.unavailable.values():
        out.say(reason)
    if report.skipped and not report.origins:
        out.say(f"{counted(report.skipped, 'client')} bought nothing in {report.split}: left out")


def _announced(out: Output, models: int, seconds: float) -> None:
    if models:
        out.say(f"{counted(models, 'model')} to train for the weeks before: about {duration(seconds)}")


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


def _shown(report: "EvaluationReport", by: str | None, more: bool) -> list[Group]:
    if by is not None:
        return _broken_down(report, by)
    of_parts = [_of_parts(report, length) for length in _lengths(report.metrics)[: None if more else 1]]
    tables = _tables(report) if more else [_what_matters(report)]
    of_weeks = [_of_weeks(report)] if report.origins else []
    return [*tables, *(each for each in of_parts if each is not None), *of_weeks]


def _what_matters(report: "EvaluationReport") -> Group:
    """One table: is there a hit, how much is found, how high; and what share of the catalogue is ever shown."""
    metrics = [name for name in _telling(report) if name in report.metrics]
    headings = [_heading(report, name) for name in metrics]
    return table(f"{report.split}: {_about(report)}", ["", *headings], _rows(report, metrics))


def _telling(report: "EvaluationReport") -> list[str]:
    first, last = _lengths(report.metrics)[0], _lengths(report.metrics)[-1]
    named = [*(f"{name}@{first}" for name in TELLING), f"map@{last}", f"coverage@{first}"]
    return _distinct(report, named)


def _of_parts(report: "EvaluationReport", length: str) -> Group | None:
    """Recall of what is new to a client and of what it buys again, where there is both."""
    metrics = [f"{name}@{length}" for name in OF_PARTS]
    if not all(metric in report.metrics for metric in metrics):
        return None
    counts = [_buying(report, kind) for kind in OF_PARTS.values()]
    of = "; ".join(f"{kind}{count}" for kind, count in zip(OF_PARTS.values(), counts, strict=True))
    return table(f"recall@{length} of purchases: {of}", ["", *OF_PARTS.values()], _rows(report, metrics))


def _of_weeks(report: "EvaluationReport") -> Group:
    """Each test week by itself."""
    metrics = [name for name in _telling(report) if name in report.metrics]
    rows = [
        [f"{week['from']} to {week['to']}", week["clients"], *(week["metrics"].get(name) for name in metrics)]
        for week in report.origins
    ]
    return table("this run, week by week", ["", "clients", *metrics], rows)


def _buying(report: "EvaluationReport", kind: str) -> str:
    group = report.groups.get("purchase", {}).get(kind)
    return "" if group is None else f", of {counted(group.clients, 'client')}"


def _distinct(report: "EvaluationReport", metrics: Sequence[str]) -> list[str]:
    """Without the names that say the same under another name."""
    same = SAME.values() if report.single_truth else ()
    return [name for name in metrics if _bare(name) not in same]


def _heading(report: "EvaluationReport", metric: str) -> str:
    """ndcg@10; where every client has one item to be found, also hit_rate@10 = recall."""
    also = SAME.get(_bare(metric)) if report.single_truth else None
    return f"{metric} = {also}" if also else metric


def _tables(report: "EvaluationReport") -> list[Group]:
    """Two for each length of list, so that a row fits on a terminal."""
    others = report.beside
    tables = []
    for length in _lengths(report.metrics):
        metrics = _distinct(report, [name for name in report.metrics if name.endswith(f"@{length}")])
        hits = [name for name in metrics if _bare(name) not in (*_of_lists(), *OF_PARTS)]
        lists = [name for name in metrics if _bare(name) in _of_lists()]
        headings = [_heading(report, name).replace(f"@{length}", "") for name in hits]
        tables.append(table(_title(report, length), ["", *headings], _rows(report, hits)))
        if lists:
            rows = [_row(name, values, lists) for name, values in {"this run": report.metrics, **others}.items()]
            tables.append(table(f"The lists of {length}", ["", *map(_bare, lists)], rows))
    return tables


def _rows(report: "EvaluationReport", metrics: list[str]) -> list[list[Cell]]:
    """The run, its interval, what stands beside it."""
    rows = [_row("this run", report.metrics, metrics)]
    if report.intervals:
        low, high = ({name: ends[i] for name, ends in report.intervals.items()} for i in (0, 1))
        rows += [_row("  95% from", low, metrics), _row("      to", high, metrics)]
    return rows + [_row(name, values, metrics) for name, values in report.beside.items()]


def _broken_down(report: "EvaluationReport", by: str) -> list[Group]:
    """The run by kinds of clients or purchases; by activity, also how it differs from client to client."""
    tables, apart = [], (*_of_lists(), *OF_PARTS)
    for length in _lengths(report.metrics):
        named = _distinct(report, list(report.metrics))
        metrics = [name for name in named if name.endswith(f"@{length}") and _bare(name) not in apart]
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


def _of_lists() -> tuple[str, ...]:
    """Measures of what is shown, whoever bought it."""
    from spfedrec_cli.retrieval.metrics import CATALOGUE_METRICS, LIST_METRICS

    return (*CATALOGUE_METRICS, *LIST_METRICS)


def _title(report: "EvaluationReport", length: str) -> str:
    return f"{report.split} at {length}: {_about(report)}"


def _about(report: "EvaluationReport") -> str:
    ranked = ranking(report.protocol, report.candidates, report.clients)
    if report.origins:
        ranked = ranking(report.protocol, report.candidates, report.customers)
        return f"{ranked} in {counted(len(report.origins), 'week')}, {report.clients:,} lists in all; {report.run}"
    return f"{ranked}; {report.run}, round {report.checkpoint_round}"


def _row(name: str, values: Mapping[str, float], metrics: list[str]) -> list[Cell]:
    return [name, *(values.get(metric) for metric in metrics)]
