"""spfedrec doctor: is a run or a Dataset whole?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, dataset_names, run_names
from spfedrec_cli.cli.output import Cell, Output, counted, facts, size, table
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    from spfedrec_cli.engine import Diagnosis, Finding

NAME = "doctor"
EXAMPLES = """Examples:

\b
  spfedrec doctor
  spfedrec doctor first
  spfedrec doctor first --repair
  spfedrec doctor datasets/ml-100k --json"""

BYTES = ("free_memory", "free_disk")
UNHEALTHY = 1


def names(incomplete: str) -> list[str]:
    return [*run_names(incomplete), *dataset_names(incomplete)]


def command(
    patient: Annotated[
        str | None,
        typer.Argument(metavar="RUN|DATASET", help="A path, or a name; left out, this machine.", autocompletion=names),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired of a run.")] = False,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check whether a run or a Dataset is as it was written.

    Every file is read and hashed. Without an argument: versions and machine, as a report of a mistake needs them.

    Exit code 0 where nothing is wrong, or all of it was repaired; 1 where something is left.
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    if patient is None:
        if repair:
            raise InputError("--repair needs a run", hint="name it: spfedrec doctor RUN --repair")
        told = engine.about_machine()
        rows: list[tuple[str, Cell]] = [(key.replace("_", " "), _shown(key, value)) for key, value in told.items()]
        out.result(told, facts("This machine", rows))
        return
    found = engine.examine(patient, repair)
    out.result(
        _json(found), *([table(f"What is wrong with {found.path}", _HEADINGS, _rows(found))] * bool(found.findings))
    )
    out.say(_verdict(found))
    if found.left:
        raise typer.Exit(UNHEALTHY)


_HEADINGS = ["file", "what is wrong", "what to do"]


def _shown(key: str, value: str | int | None) -> Cell:
    return size(value) if key in BYTES and isinstance(value, int) else value


def _rows(found: "Diagnosis") -> list[tuple[Cell, ...]]:
    return [(_inside(found.path, one.where), one.problem, _advice(found, one)) for one in found.findings]


def _advice(found: "Diagnosis", one: "Finding") -> str:
    if one.mend is None:
        return one.advice
    return f"{'repaired' if found.repaired else 'with --repair'}: {one.advice}"


def _inside(folder: Path, file: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def _verdict(found: "Diagnosis") -> str:
    if not found.findings:
        return f"The {found.kind} {found.path} is whole"
    if not found.left:
        return f"The {found.kind} {found.path} is repaired"
    mendable = any(one.mend for one in found.left)
    hint = f"; repair what can be with `spfedrec doctor {found.path} --repair`" if mendable else ""
    return f"{counted(len(found.left), 'thing')} of the {found.kind} {found.path} not as written{hint}"


def _json(found: "Diagnosis") -> dict[str, Any]:
    told = [
        {"file": str(one.where), "problem": one.problem, "advice": one.advice, "repairable": one.mend is not None}
        for one in found.findings
    ]
    kind = found.kind.lower()
    return {
        "path": str(found.path),
        "kind": kind,
        "whole": not found.left,
        "repaired": found.repaired,
        "findings": told,
    }
