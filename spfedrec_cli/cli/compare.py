"""spfedrec compare: is one run better than another?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group

from spfedrec_cli.cli.evaluate import Candidates, Lengths, Protocol, SplitOption, given, ranking
from spfedrec_cli.cli.options import AsJson, Debug, Quiet, TrainedOn, where
from spfedrec_cli.cli.output import Cell, Output, counted, table

if TYPE_CHECKING:
    from spfedrec_cli.engine import Comparison

NAME = "compare"
EXAMPLES = """Examples:

\b
  spfedrec compare first second
  spfedrec compare first first:popularity first:ease --metric ndcg@10
  spfedrec compare first first:blend --protocol sampled --json"""


def command(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Runs: paths, or names under ./runs; RUN:NAME is a baseline beside it, RUN:blend its blend.",
        ),
    ],
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME@K", help="What is tested, for example map@12. Repeatable."),
    ] = None,
    split: SplitOption = None,
    ks: Lengths = None,
    protocol: Protocol = None,
    candidates: Candidates = None,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare the first run with each of the others on the same clients.

    Differences are paired by client: bootstrap intervals, and Wilcoxon's signed-rank test corrected for the number of
    tests by Holm. What has not been evaluated yet is evaluated first.
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    said = given(split=split, protocol=protocol, candidates=candidates, ks=ks, metrics=metrics)
    said |= where(dataset)
    with out.stages() as tell:
        tell("Comparing")
        comparison = engine.compare(runs, **said)
    out.result(asdict(comparison), _means(comparison), *_pairs(comparison))
    out.say(f"p: of {counted(comparison.tests, 'test')}, corrected by Holm")


def _means(comparison: "Comparison") -> Group:
    ranked = ranking(comparison.protocol, comparison.candidates, comparison.clients)
    metrics = list(next(iter(comparison.means.values())))
    rows: list[list[Cell]] = [[name, *values.values()] for name, values in comparison.means.items()]
    return table(f"{comparison.split}: {ranked}", ["", *metrics], rows)


def _pairs(comparison: "Comparison") -> list[Group]:
    first = next(iter(comparison.means))
    return [
        table(
            f"{first} less {pair.name}",
            ["", "difference", "95% from", "to", "p"],
            [[metric, d.mean, d.low, d.high, _p(pair.p_holm[metric])] for metric, d in pair.differences.items()],
            right=["p"],
        )
        for pair in comparison.pairs
    ]


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"
