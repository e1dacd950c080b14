"""What an evaluation leaves in a run: the values of each client as Parquet, the rest in evaluation.json."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli import files
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

    The entry "<split>/<protocol>/<candidates>" holds `report` (what the caller adds), the evaluation, hashes of its
    files and a seal; the other entries stay. `beside` are other recommenders under the same rules, by name: the values
    of each are a file too. InputError where the file that is there is not such a report; then nothing is written.
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
    entries, hashes = read_entries(folder), dict[str, str]()
    json.dumps({**report, **facts}, allow_nan=False)  # before anything is written
    for name, found in {"": evaluation, **(beside or {})}.items():
        table = pa.table({CLIENT: pa.array(found.clients, pa.int32()), **found.per_client})
        file = file_name(found.split, found.protocol, found.candidates, name)
        _replace(folder / file, partial(pq.write_table, table))
        hashes[file] = files.hash_of(folder / file)
    _write_entries(folder, entries | {key: {**report, **facts, "files": hashes}})
    return folder / REPORT


def write_entry(folder: Path, key: str, report: Mapping[str, object]) -> None:
    """Write one entry without files into `folder`/evaluation.json, beside the others. InputError as
    `write_evaluation` has it."""
    _write_entries(folder, read_entries(folder) | {key: {**report, "files": {}}})


def _write_entries(folder: Path, entries: Mapping[str, Mapping[str, object]]) -> None:
    text = json.dumps({name: files.sealed(entry) for name, entry in entries.items()}, indent=2, allow_nan=False) + "\n"
    _replace(folder / REPORT, lambda path: path.write_text(text, encoding="utf-8"))


def file_name(split: str, protocol: str, candidates: str, recommender: str = "") -> str:
    """The file of one recommender's values, of the run itself where none is named."""
    pool = [] if candidates == "all" else [candidates]
    other = [recommender] if recommender else []
    return "-".join(["evaluation", split, protocol, *pool, *other]) + ".parquet"


def read_entries(folder: Path) -> dict[str, Any]:
    """evaluation.json, empty where there is none. InputError where it is something else, or was changed."""
    path = folder / REPORT
    try:
        return {key: files.unsealed(entry, path) for key, entry in files.read_json(path).items()}
    except FileNotFoundError:
        return {}
    except (OSError, InputError, AttributeError):
        problem = "The file is not a report of evaluations, or was changed"
        raise InputError(problem, where=str(path), hint="move it away and evaluate again") from None


def read_clients(file: Path, entry: Mapping[str, Any]) -> tuple[I32, dict[str, F64]]:
    """Clients int32 (n,) and their values by metric, as `write_evaluation` wrote them for that entry. InputError where
    it cannot, and where the file is another."""
    try:
        if files.hash_of(file) != entry["files"][file.name]:
            raise ValueError(file)
        table = pq.read_table(file)
        clients = np.asarray(table.column(CLIENT).to_numpy(), np.int32)
        values = {name: np.asarray(table.column(name).to_numpy(), np.float64) for name in table.column_names}
    except (OSError, KeyError, ValueError):
        raise InputError("The values of the clients cannot be read", where=str(file), hint="evaluate again") from None
    del values[CLIENT]
    return clients, values


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: `path` is whole at all times, and no remains stay behind a failure."""
    try:
        with files.beside(path) as part:
            write(part)
    except (OSError, SpfedrecError) as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: Exception) -> CannotWrite:
    hint = getattr(error, "strerror", None) or str(error)
    return CannotWrite("The evaluation cannot be written", where=str(path), hint=hint)
