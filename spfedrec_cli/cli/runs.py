"""spfedrec runs: the runs there are."""

from pathlib import Path
from typing import Any

from spfedrec_cli.cli.options import AsJson, Debug, Quiet
from spfedrec_cli.cli.output import Cell, Output, table
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.run import RUNS, about, records

NAME = "runs"
EXAMPLES = """Examples:

\b
  spfedrec runs
  spfedrec runs --json"""


def command(json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the runs under ./runs."""
    out = Output(json, quiet)
    found = [entry for folder in _folders() if (entry := _entry(out, folder)) is not None]
    rows = [_row(entry) for entry in found]
    out.result({"runs": found}, table("Runs", ["name", "dataset", "rounds", "of", "monitor", "best"], rows))
    if not found:
        out.say("There is no run yet; make one with `spfedrec train`")


def _folders() -> list[Path]:
    return sorted(file.parent for file in RUNS.glob("*/run.json"))


def _entry(out: Output, folder: Path) -> dict[str, Any] | None:
    """What is shown of one run; one that cannot be read is named and left out."""
    from spfedrec_cli.config import resolve

    try:
        origin, train = about(folder), resolve(file=folder / "config.toml").train
    except SpfedrecError as error:
        out.warn(error.sentence())
        return None
    rounds = records(folder / "metrics.jsonl")
    measured = [line["validation"][train.monitor] for line in rounds if line["validation"]]
    return {
        "run": str(folder),
        "dataset": origin["dataset_name"],
        "rounds": rounds[-1]["round"] if rounds else 0,
        "rounds_planned": train.rounds,
        "monitor": train.monitor,
        "best": max(measured, default=None),
    }


def _row(entry: dict[str, Any]) -> tuple[Cell, ...]:
    name = Path(entry["run"]).name
    return (name, entry["dataset"], entry["rounds"], entry["rounds_planned"], entry["monitor"], entry["best"])
