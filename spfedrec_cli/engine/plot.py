"""Pictures of runs, as files."""

from collections.abc import Sequence
from pathlib import Path

from spfedrec_cli import run
from spfedrec_cli.engine.record import told
from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.report import drawing, pictures


def plot(folders: Sequence[Path | str], output: Path | str, kind: str = "learning") -> Path:
    """Draw runs into a .svg, .png or .pdf: how they were validated (`learning`), their `loss`, or quality against bytes
    (`cost`). Runs that differ in their seed alone are one, with the range of its seeds.

    Raises InputError where there is no such kind, the file cannot become a picture, or the runs have nothing to show.
    """
    if kind not in pictures.KINDS:
        raise InputError(f"There is no picture {kind!r}", hint=f"choose from {', '.join(pictures.KINDS)}")
    output = Path(output)
    drawing.check(output)
    every = list(dict.fromkeys(run.find(folder) for folder in listed(folders)))
    pictures.draw(kind, [told(folder) for folder in every], output)
    return output
