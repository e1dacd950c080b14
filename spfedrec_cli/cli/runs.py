"""spfedrec runs: the runs there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet
from spfedrec_cli.cli.output import Cell, Output, table
from spfedrec_cli.cli.papers import written
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
  spfedrec runs --sweep lr --latex
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
    sweep: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Those of this sweep, with what it varies, the best on validation first."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else to stdout.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The same as a table in Markdown.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="The same as a table in LaTeX (booktabs).")] = False,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the runs under ./runs.

    When each was started, on what, how far it is, and how good: the best validation, and the test split where
    `spfedrec evaluate` measured it, both by the run's train.monitor.
    """
    forms = {"--csv": as_csv, "--markdown": as_markdown, "--latex": as_latex, "--json": json}
    if sum(forms.values()) > 1:
        first, second = [form for form, wanted in forms.items() if wanted][:2]
        raise InputError(f"{first} and {second} are two answers", hint="choose one of them")
    from spfedrec_cli import runs, sweeps

    out = Output(json, quiet)
    folders = runs.folders() if sweep is None else sweeps.folders(sweep)
    found = runs.in_order(runs.gather(folders, out.warn), sort or ("name" if sweep is None else "validation"))
    settings = [key for key in runs.changed(found) if key not in ELSEWHERE] if changed or sweep else []
    if as_csv:
        _print_csv(out, found, settings)
    elif as_markdown or as_latex:
        out.line(written(*leaderboard(found, settings), "latex" if as_latex else "markdown"))
    else:
        out.result({"runs": [_json(run, settings) for run in found]}, *_tables(found, settings))
    if sweep:
        out.say("Ranked by validation; a test figure is there only where `spfedrec evaluate` measured it")
    if not found:
        out.say("There is no run yet; make one with `spfedrec train`")


def leaderboard(found: Sequence["Run"], settings: Sequence[str]) -> tuple[list[str], list[list[Cell]]]:
    """Heading and rows, for papers and pages."""
    head = ["run", *settings, "rounds", "validation", "test"]
    return head, [[run.path.name, *_settings(run, settings), run.rounds, run.validation, run.test] for run in found]


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
