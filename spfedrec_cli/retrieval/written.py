"""What an evaluation leaves in a run: the values of each client as Parquet, the rest in evaluation.json."""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.schema import CLIENT
from spfedrec_cli.dtypes import F64, I32
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval.evaluate import Evaluation

REPORT = "evaluation.json"


class CannotWrite(SpfedrecError):
    """The folder of the run is not to be written to, or its disk is full."""


def write_evaluation(
    folder: Path, evaluation: Evaluation, report: Mapping[str, object], beside: Mapping[str, Evaluation] | None = None
) -> Path:
    """Write the values of each client to Parquet, and the means into `folder`/evaluation.json; returns the latter.

    The entry "<split>/<protocol>/<candidates>" holds `report` (what the caller adds) and the evaluation; the other
    entries stay. `beside` are other recommenders under the same rules, by name: the values of each are a file too.
    InputError where the file that is there is not such a report; then nothing is written.
    """
    key = f"{evaluation.split}/{evaluation.protocol}/{evaluation.candidates}"
    facts = {
        "split": evaluation.split,
        "protocol": evaluation.protocol,
        "candidates": evaluation.candidates,
        "clients": int(evaluation.clients.size),
        "skipped": evaluation.skipped,
        "metrics": evaluation.metrics,
        "per_client": file_name(evaluation.split, evaluation.protocol, evaluation.candidates),
    }
    text = _with_entry(folder, key, {**report, **facts})
    for name, found in {"": evaluation, **(beside or {})}.items():
        table = pa.table({CLIENT: pa.array(found.clients, pa.int32()), **found.per_client})
        file = file_name(found.split, found.protocol, found.candidates, name)
        _replace(folder / file, partial(pq.write_table, table))
    _replace(folder / REPORT, lambda path: path.write_text(text, encoding="utf-8"))
    return folder / REPORT


def write_entry(folder: Path, key: str, report: Mapping[str, object]) -> None:
    """Write one entry into `folder`/evaluation.json, beside the others. InputError as `write_evaluation` has it."""
    text = _with_entry(folder, key, report)
    _replace(folder / REPORT, lambda path: path.write_text(text, encoding="utf-8"))


def _with_entry(folder: Path, key: str, report: Mapping[str, object]) -> str:
    return json.dumps(read_entries(folder) | {key: report}, indent=2, allow_nan=False) + "\n"


def file_name(split: str, protocol: str, candidates: str, recommender: str = "") -> str:
    """The file of one recommender's values, of the run itself where none is named."""
    pool = [] if candidates == "all" else [candidates]
    other = [recommender] if recommender else []
    return "-".join(["evaluation", split, protocol, *pool, *other]) + ".parquet"


def read_entries(folder: Path) -> dict[str, Any]:
    """evaluation.json, empty where there is none. InputError where it is something else."""
    path = folder / REPORT
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise InputError(
            "The file is not a report of evaluations", where=str(path), hint="move it away and evaluate again"
        )
    return entries


def read_clients(file: Path) -> tuple[I32, dict[str, F64]]:
    """Clients int32 (n,) and their values by metric, as `write_evaluation` wrote them. InputError where it cannot."""
    try:
        table = pq.read_table(file)
        clients = np.asarray(table.column(CLIENT).to_numpy(), np.int32)
        values = {name: np.asarray(table.column(name).to_numpy(), np.float64) for name in table.column_names}
    except (OSError, KeyError, ValueError):
        raise InputError("The values of the clients cannot be read", where=str(file), hint="evaluate again") from None
    del values[CLIENT]
    return clients, values


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: `path` is whole at all times, and no remains stay behind a failure."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        hint = str(error.strerror or error)
        raise CannotWrite("The evaluation cannot be written", where=str(path), hint=hint) from None
    finally:
        beside.unlink(missing_ok=True)
