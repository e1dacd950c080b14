"""spfedrec report: what runs came to, as a page to show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, TrainedOn, run_names, where
from spfedrec_cli.cli.output import Output, facts, size
from spfedrec_cli.cli.stages import staged

NAME = "report"
EXAMPLES = """Examples:

\b
  spfedrec report first --output first.html
  spfedrec report first second third -o three.html --field colour
  spfedrec report first -o first.html --customers 0 --force"""

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Runs: paths, or names under ./runs.",
        autocompletion=run_names,
    ),
]


def command(
    runs: Runs,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page: a .html.")],
    field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Colour the map of items by this field; left out, the most telling one."),
    ] = None,
    customers: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=50, help="Show so many customers' lists; left out, 3.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the page where it exists.")] = False,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a page on a run, and on others beside it.

    A verdict in plain words, what the server saw, learning curves, quality beside baselines, bytes, a map of the items,
    a few customers' lists, and the settings. The first run is told in full. One file, which loads nothing. What has not
    been evaluated yet is evaluated first.
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    said = where(dataset) | ({} if customers is None else {"customers": customers})
    with staged(out) as tell:
        made = engine.write_report(runs, output, field=field, force=force, tell=tell, **said)
    value = {"runs": runs, "output": str(made.output), "bytes": made.size, "verdict": _by_matter(made.verdict)}
    out.result(value, facts("The verdict", made.verdict))
    out.say(f"The page: {made.output} ({size(made.size)})")


def _by_matter(verdict: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Several sentences of one matter are one text."""
    found: dict[str, str] = {}
    for matter, text in verdict:
        found[matter] = f"{found[matter]} {text}" if matter in found else text
    return found
