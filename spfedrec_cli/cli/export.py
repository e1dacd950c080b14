"""spfedrec export: what a run learned, for other programs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName, TrainedOn, where
from spfedrec_cli.cli.output import Cell, Output, size, table
from spfedrec_cli.run import find

NAME = "export"
EXAMPLES = """Examples:

\b
  spfedrec export first --output exported
  spfedrec export first --output exported --format parquet,onnx
  spfedrec export first --output bundle --format device"""


def command(
    run: RunName,
    output: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")],
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="F,…",
            help="Of parquet, safetensors, onnx, faiss; or device, alone. Left out, the first two.",
        ),
    ] = None,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write embeddings and towers for other programs."""
    from spfedrec_cli import engine

    out = Output(json, quiet)
    folder = find(run)
    chosen: dict[str, Any] = {} if formats is None else {"formats": tuple(part.strip() for part in formats.split(","))}
    chosen |= where(dataset)
    with out.stages() as tell:
        tell(f"Exporting {folder}")
        files = engine.export(folder, output, **chosen)
    rows: list[tuple[Cell, ...]] = [(str(file), size(file.stat().st_size)) for file in files]
    value = {"run": str(folder), "output": str(output), "files": [str(file) for file in files]}
    out.result(value, table(f"Exported from {folder}", ["file", "size"], rows))
