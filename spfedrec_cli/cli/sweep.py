"""spfedrec sweep: many trainings that differ in some settings."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, ConfigFile, DatasetName, Debug, Logs, Preset, Quiet, dataset_folder, listed
from spfedrec_cli.cli.output import Cell, Output, table

if TYPE_CHECKING:
    from spfedrec_cli.engine import Outcome, Swept

NAME = "sweep"
EXAMPLES = """Examples:

\b
  spfedrec sweep ml-100k --preset ml-100k --name lr --set client.lr=0.05,0.1,0.2 --set server.lr=0.001,0.003
  spfedrec sweep ml-100k --preset ml-100k --name some --set model.dim=16,32,64 --set client.lr=0.05,0.1 --random 4
  spfedrec sweep ml-100k --preset ml-100k --name best --set client.lr=0.01..1 --set model.dim=16,32,64 --optuna 20"""


def command(
    dataset: DatasetName,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=A,B,…",
            help="Values to try; a single one holds for all. With --optuna also a range, A..B. Repeatable.",
        ),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="The sweep; its runs are runs/NAME-001 and so on.")],
    preset: Preset = None,
    config: ConfigFile = None,
    random: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only N of all combinations, drawn at random.")
    ] = None,
    optuna: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="N trials, each chosen by Optuna from what came of those before it."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="Of what is drawn; left out, 0.")] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trainings at once; left out, one for each core.")
    ] = None,
    log: Logs = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train every combination of settings, and rank them by validation.

    Where it is stopped, the same command goes on. The test split is not looked at.
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    given = {"random": random, "seed": seed, "jobs": jobs, "search": optuna, "log": listed(log) or None}
    said: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    watch = partial(_tell, out)
    made = engine.sweep(dataset_folder(dataset), name, settings, preset, config, watch=watch, **said)
    trials = [asdict(each) for each in made.trials]
    best = made.best
    value = {"sweep": name, "monitor": made.monitor, "chosen_on": "validation", "trials": trials}
    out.result({**value, "best": best.run if best else None}, _leaderboard(made))
    for each in made.trials:
        if each.failure:
            out.warn(f"{each.run} failed: {each.failure}")
    if optuna is not None and len(made.trials) < optuna:
        out.say(f"There are no more combinations than these {len(made.trials):,}")
    if best:
        out.say("Ranked by validation, the best round of each. No test split was looked at")
        out.say(f"Next: spfedrec evaluate {best.run} --baselines")


def _tell(out: Output, outcome: "Outcome", done: int, total: int) -> None:
    reached = "failed" if outcome.validation is None else f"{outcome.validation:.4f}"
    out.say(f"{done} of {total}: {outcome.run} {reached}")


def _leaderboard(made: "Swept") -> Group:
    keys = list(made.trials[0].settings)
    rows: list[list[Cell]] = [
        [each.run, *(each.settings[key] for key in keys), each.rounds, each.validation] for each in made.trials
    ]
    title = f"Sweep {made.name}: best validation {made.monitor}"
    return table(title, ["run", *keys, "rounds", made.monitor], rows, right=[made.monitor])
