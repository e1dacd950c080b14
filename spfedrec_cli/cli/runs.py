"""spfedrec runs: the runs there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet
from spfedrec_cli.cli.output import Cell, Output, table
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    from spfedrec_cli.runs import Run

NAME = "runs"
EXAMPLES = """Examples:

\b
  spfedrec runs
  spfedrec runs --sort validation
  spfedrec runs --changed
  spfedrec runs --csv > runs.csv
  spfedrec runs --json"""

ELSEWHERE = ("train.rounds", "train.seed", "train.monitor")  # settings with a column of their own


def command(
    sort: Annotated[
        Literal["name", "date", "dataset", "validation", "test"] | None,
        typer.Option(help="The newest or the best first, or by name; left out, by name."),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Show the settings too in which these runs differ.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else to stdout.")] = False,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the runs under ./runs.

    When each was started, on what, how far it is, and how good: the best validation, and the test split where
    `spfedrec evaluate` measured it, both by the run's train.monitor.
    """
    if as_csv and json:
        raise InputError("--csv and --json are two answers", hint="choose one of them")
    from spfedrec_cli import runs

    out = Output(json, quiet)
    found = runs.in_order(runs.gather(runs.folders(), out.warn), sort or "name")
    settings = [key for key in runs.changed(found) if key not in ELSEWHERE] if changed else []
    if as_csv:
        _print_csv(out, found, settings)
    else:
        out.result({"runs": [_json(run, settings) for run in found]}, *_tables(found, settings))
    if not found:
        out.say("There is no run yet; make one with `spfedrec train`")


def _json(run: "Run", settings: Sequence[str]) -> dict[str, Any]:
    told = {
        "run": str(run.path),
        "started": run.started.isoformat(timespec="seconds"),
        "dataset": run.dataset,
        "preset": run.preset,
        "seed": run.seed,
        "rounds": run.rounds,
        "rounds_planned": run.rounds_planned,
        "monitor": run.monitor,
        "validation": run.validation,
        "test": run.test,
    }
    return told | ({"changed": {key: run.settings[key] for key in settings}} if settings else {})


def _tables(found: Sequence["Run"], settings: Sequence[str]) -> list[Group]:
    """A setting is a column, or, where they are more than the runs, a line of a second table."""
    monitors = {run.monitor for run in found}
    shared = monitors.pop() if len(monitors) == 1 else None
    beside = settings if len(settings) <= len(found) else []
    columns = ["name", "started", "dataset", "preset", "seed", "rounds", *([] if shared else ["monitor"])]
    rows = [(*_about(run, not shared), run.validation, run.test, *_settings(run, beside)) for run in found]
    title = f"Runs, measured by {shared}" if shared else "Runs"
    shown = [table(title, [*columns, "validation", "test", *beside], rows)]
    if len(beside) < len(settings):
        lines = [(key, *(str(run.settings[key]) for run in found)) for key in settings]
        shown.append(table("Settings in which they differ", ["", *(run.path.name for run in found)], lines))
    return shown


def _about(run: "Run", with_monitor: bool) -> tuple[Cell, ...]:
    """The date in the time of this machine."""
    started = f"{run.started.astimezone():%Y-%m-%d %H:%M}"
    rounds = f"{run.rounds:,} of {run.rounds_planned:,}"
    about = (run.path.name, started, run.dataset, run.preset, str(run.seed), rounds)
    return (*about, run.monitor) if with_monitor else about


def _settings(run: "Run", keys: Sequence[str]) -> list[Cell]:
    return [str(run.settings[key]) for key in keys]


def _print_csv(out: Output, found: Sequence["Run"], settings: Sequence[str]) -> None:
    from spfedrec_cli.spreadsheet import harmless, row

    names = ["run", "started", "dataset", "preset", "seed", "rounds", "rounds_planned", "monitor", "validation", "test"]
    out.line(row([*names, *settings]))
    for run in found:
        told = _json(run, settings)
        texts = {"dataset": harmless(run.dataset)}
        cells = [(told | texts)[key] for key in names]
        out.line(row([*cells, *(run.settings[key] for key in settings)]))
