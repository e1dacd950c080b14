"""spfedrec export: what a run learned, for other programs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName, TrainedOn, listed, where
from spfedrec_cli.cli.output import Cell, Output, counted, facts, size, table
from spfedrec_cli.errors import InputError
from spfedrec_cli.run import find

NAME = "export"
EXAMPLES = """Examples:

\b
  spfedrec export first --output exported
  spfedrec export first --output exported --format parquet,onnx
  spfedrec export first --output service --format hnsw,npy --hnsw links=32 --hnsw search=256
  spfedrec export first --output bundle --format device"""


def command(
    run: RunName,
    output: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")],
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="F,…",
            help="Of parquet, safetensors, npy, store, onnx, faiss, hnsw, projector; or device, alone. "
            "Left out, the first two.",
        ),
    ] = None,
    hnsw: Annotated[
        list[str] | None,
        typer.Option("--hnsw", metavar="NAME=N", help="Of that graph: links, build and search. Repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    dataset: TrainedOn = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write embeddings and towers for other programs."""
    from spfedrec_cli import engine

    out = Output(json, quiet)
    folder = find(run)
    chosen: dict[str, Any] = {} if formats is None else {"formats": tuple(listed(formats))}
    chosen |= where(dataset) | ({"force": True} if force else {}) | ({"hnsw": _numbers(hnsw)} if hnsw else {})
    with out.stages() as tell:
        tell(f"Exporting {folder}")
        files = engine.export(folder, output, **chosen)
    rows: list[tuple[Cell, ...]] = [(str(file), size(file.stat().st_size)) for file in files]
    value = {"run": str(folder), "output": str(output), "files": [str(file) for file in files]}
    compared = _compared(output, formats)
    shown = [facts("The graph's lists beside exact ones", _told(compared))] if compared else []
    more = {"hnsw": compared} if compared else {}
    out.result(value | more, table(f"Exported from {folder}", ["file", "size"], rows), *shown)


def _numbers(words: list[str]) -> dict[str, int]:
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if not value.strip().isdecimal():
            raise InputError(f"{word!r} says nothing of an HNSW index", hint="write NAME=N, for example search=256")
        found[name.strip()] = int(value)
    return found


def _compared(output: Path, formats: str | None) -> dict[str, Any] | None:
    """What is known of the graph, where one was written."""
    if "hnsw" not in listed(formats):
        return None
    from spfedrec_cli.engine.indexes import ABOUT
    from spfedrec_cli.files import read_json

    return read_json(output / ABOUT)


def _told(found: dict[str, Any]) -> list[tuple[str, Cell]]:
    rate, exact = found["queries_per_second"], found["exact_queries_per_second"]
    return [
        (f"recall@{found['k']}", f"{found['recall']:.4f} over {counted(found['queries'], 'customer')}"),
        ("speed", f"{rate / exact:.1f} × that of the exact index"),
        ("links, build, search", f"{found['links']}, {found['build']}, {found['search']}"),
    ]
