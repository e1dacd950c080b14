"""spfedrec audit: what could somebody guess from what a run shows?"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName, Settings, TrainedOn, where
from spfedrec_cli.cli.output import Cell, Output, counted, facts, size, table
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.run import find

if TYPE_CHECKING:
    from spfedrec_cli.engine import Attacked, AuditReport

NAME = "audit"
EXAMPLES = """Examples:

\b
  spfedrec audit first
  spfedrec audit first --attack coherence --attack "zero rows"
  spfedrec audit first --rounds 5 --clients 1000 --json
  spfedrec audit first --set federated.aggregation=ring
  spfedrec audit without-them --before first
  spfedrec audit first --plot audit.svg"""

Attacks = Annotated[
    list[str] | None,
    typer.Option("--attack", metavar="NAME", help="One attack, by its name in the table. Repeatable; left out, all."),
]
Rounds = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=1000, help="Rounds that are recorded; left out, 3.")
]
Clients = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Customers among whom cohorts are drawn, at most; left out, 500.")
]
Corrupt = Annotated[
    float | None,
    typer.Option(metavar="SHARE", min=0, max=1, help="Share of customers who work together; left out, .05."),
]
Before = Annotated[
    str | None,
    typer.Option("--before", metavar="RUN", help="A run from before customers left: is it told who they are?"),
]
Seed = Annotated[int | None, typer.Option(metavar="N", min=0, help="Of what the audit draws itself.")]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw it too: a .svg, .png or .pdf (needs spfedrec[report])."),
]


def command(
    run: RunName,
    attacks: Attacks = None,
    rounds: Rounds = None,
    clients: Clients = None,
    corrupt: Corrupt = None,
    seed: Seed = None,
    before: Before = None,
    settings: Settings = None,
    plot: Plot = None,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Attack a run: what could somebody guess of a customer's purchases?

    The training goes on for a few rounds, and all that crosses is recorded. Each attack is given what one party sees
    of it, and its guesses are held against the truth. The training itself is not changed. An audit by all attacks and
    the run's own settings is kept in the run, where `spfedrec report` finds it.
    """
    from spfedrec_cli import engine
    from spfedrec_cli.report import attacks as picture
    from spfedrec_cli.report import drawing

    out = Output(json, quiet)
    if plot:
        drawing.check(plot)
    folder = find(run)
    choices = {
        "attacks": attacks,
        "rounds": rounds,
        "clients": clients,
        "corrupt": corrupt,
        "seed": seed,
        "before": None if before is None else find(before),
        "settings": settings,
    }
    said = {name: value for name, value in choices.items() if value is not None} | where(dataset)
    with out.stages() as tell:
        report = engine.audit_run(folder, tell=tell, **said)
    if not attacks and not settings:
        _keep(out, report)
    if plot:
        picture.draw(str(report.run), [asdict(each) for each in report.attacks], plot)
    if not json:
        for sentence in _in_words(report):
            out.line(sentence)
    out.result(_json(report), *_tables(report), *_bounds(report), _released(report))
    for name, reason in report.left_out.items():
        out.say(f"{name}: {reason}")
    if plot:
        out.say(f"Drawn: {plot}")


def _keep(out: Output, report: "AuditReport") -> None:
    """A run that cannot be written to is audited too."""
    from spfedrec_cli.engine.audit import keep

    try:
        keep(report)
    except (OSError, SpfedrecError) as error:
        out.warn(f"The audit is not kept in the run: {getattr(error, 'strerror', None) or error}")


def _json(report: "AuditReport") -> dict[str, Any]:
    return {**asdict(report), "run": str(report.run)}


def _in_words(report: "AuditReport") -> list[str]:
    """What the figures mean, before any of them."""
    rounds = f"{counted(report.rounds, 'round')} after round {report.round}"
    told = [
        f"Recorded: {rounds} of {report.run}, {counted(report.cohort, 'client')} in each.",
        "AUC: how often an attack ranks a true claim above a false one. 0.5 is guessing, 1 is knowing.",
    ]
    worst = max(report.attacks, key=lambda each: each.low, default=None)
    if worst is not None and worst.low > 0.5:
        told.append(f"Worst: {worst.name} by {worst.party}, from the {worst.view}: {_verdict(worst)}.")
    return [*told, ""]


def _verdict(attacked: "Attacked") -> str:
    """An AUC in words."""
    limits = ((0.99, "all but certain"), (0.8, "mostly right"), (0.6, "much better than guessing"))
    words = next((word for limit, word in limits if attacked.auc >= limit), "a little better than guessing")
    return words if attacked.low > 0.5 else "no better than guessing"


def _tables(report: "AuditReport") -> list[Any]:
    from spfedrec_cli.report.attacks import HEAD, SURE, rows

    assumed: list[list[Cell]] = [[each.name, each.assumption] for each in report.attacks]
    found, head = rows([asdict(each) for each in report.attacks]), [*HEAD, SURE]
    return [
        table("What they guess", head, found, right=head[3:]),
        table("What each takes for granted", ["attack", ""], assumed),
    ]


def _bounds(report: "AuditReport") -> list[Any]:
    """What canaries say of differential privacy."""
    rows: list[tuple[str, Cell]] = [
        (each.name, f"epsilon is {each.epsilon:.2f} at least, with a confidence of 95%")
        for each in report.attacks
        if each.epsilon is not None
    ]
    return [facts("Differential privacy", rows)] if rows else []


def _released(report: "AuditReport") -> Any:
    rows: list[tuple[str, Cell]] = [("released", line) for line in report.released]
    between = f"{report.exposed:.1f} clients of a cohort sit between two that work together"
    rows += [("in chains", between), *_promoted(report)]
    rows += [(f"bytes {way}", _weight(report, way, count)) for way, count in report.bytes_per_client.items()]
    return facts("What is told on purpose", rows)


def _promoted(report: "AuditReport") -> list[tuple[str, Cell]]:
    """What customers reach who say that they bought what they did not."""
    found = report.promotion
    if found is None:
        return []
    liars = f"{counted(found.clients, 'customer')} who say in {counted(found.rounds, 'round')} that they bought it"
    shown = f"a seldom item is in {found.promoted:.1%} of the others' first ten, without them in {found.honest:.1%}"
    made_up = "" if found.crafted is None else f"; in {found.crafted:.1%} by made-up updates"
    return [("promoted", f"by {liars}, {shown}{made_up}")]


def _weight(report: "AuditReport", way: str, count: float) -> str:
    """Of one client, and what the executed protocol sends where the former is that of the ideal sum or of fewer."""
    chained = report.bytes_in_chains.get(way)
    beside = "" if chained is None else f"; {size(chained)} in secret-sharing chains of the whole cohort"
    return f"{size(count)} a client and round{beside}"
