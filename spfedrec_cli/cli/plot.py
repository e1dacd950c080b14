"""spfedrec plot: pictures of runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet
from spfedrec_cli.cli.output import Output, facts
from spfedrec_cli.cli.report import Runs

NAME = "plot"
EXAMPLES = """Examples:

\b
  spfedrec plot first -o learning.svg
  spfedrec plot first-seed-0 first-seed-1 second -o learning.png
  spfedrec plot first second third --kind cost -o cost.pdf"""


def command(
    runs: Runs,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The picture: a .svg, .png or .pdf. Replaced if there."),
    ],
    kind: Annotated[
        Literal["learning", "loss", "cost"] | None,
        typer.Option(help="Validation by round, loss by round, or quality against bytes; left out, learning."),
    ] = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw how runs learned, or what their quality costs.

    Runs that differ in their seed alone are one line, with a band that holds all of them. Needs spfedrec[report].
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    made = engine.plot(runs, output, **({} if kind is None else {"kind": kind}))
    value = {"runs": runs, "output": str(made), "kind": kind or "learning"}
    out.result(value, facts("Drawn", [("runs", ", ".join(runs)), ("file", str(made))]))
