"""Recommendations for everybody, as a file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.raw import Progress, Tell, silent
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.choice import EVERYTHING, Where
from spfedrec_cli.engine.pieces import join_bytes, join_parquet, made_of_pieces
from spfedrec_cli.engine.ranker import Ranker, by_second_stage, opened, ranker
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.errors import InputError
from spfedrec_cli.files import sha256
from spfedrec_cli.retrieval.index import EMPTY
from spfedrec_cli.run import find, origin
from spfedrec_cli.spreadsheet import harmless, row
from spfedrec_cli.threads import cores

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_BLOCK = 2048
_PIECE = 32 * _BLOCK  # customers: seconds of work, which a kill loses at most
_END = "\r\n"  # as RFC 4180 ends a line of CSV


@dataclass(frozen=True)
class Lists:
    """What some customers get: `items` (n, k) and `scores` (n, k), best first, EMPTY where there is no more."""

    customers: Sequence[str]
    items: I32
    scores: F32


def recommend_all(
    folder: Path | str,
    output: Path | str,
    k: int | None = None,
    format: str | None = None,
    checkpoint: str = "best",
    tell: Tell = silent,
    dataset: Path | str | None = None,
    exclude_seen: bool | None = None,
    customers: Sequence[str] | None = None,
    where: Where | None = None,
    active_days: int | None = None,
    second_stage: bool | None = None,
    force: bool = False,
) -> int:
    """Write the k best articles of every customer (12, or as many as there are); returns the number of customers.

    parquet: customer_id, and lists: article_id, score, and name, type and colour where the source has them. csv: a row
    an article with its rank, and the same columns; a name that a spreadsheet would compute (it begins with = + - @, a
    tab or a carriage return) stands behind an apostrophe, ids never do. kaggle: customer_id and the articles in one
    column `prediction`, as the competition wants it. Without a `format` the suffix of `output` says it, parquet where
    there is none. Written beside and renamed into place, piece by piece: where it is stopped, the same call goes on
    from the last piece. `tell` hears how far it is. `customers`: those alone, in this order. `exclude_seen`, `where`,
    `active_days`, `second_stage`: as in `recommend`.

    Raises InputError where the suffix says something else or nothing known, the file cannot be written there or exists
    and is not to be replaced (`force`), or the format is kaggle, whose lists have blanks between ids, and one has one.
    """
    output = Path(output)
    kind = format_of(output, format)
    _check_place(output, force)
    folder = find(folder)
    model = opened(folder, checkpoint, dataset)
    data = model.dataset
    if kind == "kaggle":
        _refuse_blanks(data)
    ranks = ranker(model, k, exclude_seen, where, active_days, by_second_stage(folder, model, second_stage))
    clients = _clients(data, customers)
    write = WRITERS[kind]

    def piece(part: Path, number: int) -> None:
        write(part, data, _lists(ranks, clients, number, tell), number == 0)
        pa.default_memory_pool().release_unused()

    about = {**origin(folder, model.state.round), "kind": kind, **_request(ranks, clients)}
    made_of_pieces(output, about, -(-len(clients) // _PIECE), piece, JOINS[CONTAINERS[kind]])
    return len(clients)


def _lists(ranks: Ranker, clients: I32, number: int, tell: Tell) -> Iterator[Lists]:
    """Those of one piece."""
    first, model = number * _PIECE, ranks.model
    piece = clients[first : first + _PIECE]
    bought = model.dataset.history_of(piece, *EVERYTHING)
    for start in range(0, len(piece), _BLOCK):
        tell(Progress("recommending", first + start, len(clients), unit="customers"))
        some = piece[start : start + _BLOCK]
        past = bought.take(np.arange(start, start + len(some)))
        queries = client_queries(model.world, model.state, some, past, model.items)
        yield Lists([model.dataset.client_id(client) for client in some], *ranks.lists(queries, past, cores(), some))


def _request(ranks: Ranker, clients: I32) -> dict[str, Any]:
    """What else decides what a piece holds, the size of pieces among it."""
    kept = None if ranks.kept is None else sha256(ranks.kept.tobytes())
    of = {"places": ranks.places, "excluded": ranks.excluded, "kept": kept, "second_stage": ranks.alone is not None}
    return {**of, "clients": sha256(clients.tobytes()), "piece": _PIECE}


def _clients(dataset: Dataset, customers: Sequence[str] | None) -> I32:
    if customers is None:
        return np.arange(dataset.n_clients, dtype=np.int32)
    if not customers:
        raise InputError("There are no customers to recommend to", hint="name some")
    return dataset.client_indices(list(dict.fromkeys(customers)))


def format_of(output: Path, format: str | None = None) -> str:
    """What to write there. Raises InputError where that is unknown, or the suffix says another."""
    suffix = output.suffix.lower()
    if format is not None and format not in WRITERS:
        raise InputError(f"There is no format {format!r}", hint=f"choose one of {', '.join(WRITERS)}")
    if suffix in PACKED:
        hint = "end it in .parquet, which is compressed, or in .csv, and pack it afterwards"
        raise InputError("A packed file is not written", where=str(output), hint=hint)
    told = SUFFIXES.get(suffix)
    if format is None and suffix and told is None:
        hint = "end it in .parquet or .csv, or choose a format: parquet, csv or kaggle"
        raise InputError(f"The suffix {output.suffix} does not say what to write", where=str(output), hint=hint)
    written = format or told or "parquet"
    if told is not None and told != CONTAINERS[written]:
        hint = f"end it in .{CONTAINERS[written]}, or choose the format {told}"
        raise InputError(
            f"The suffix {output.suffix} is not that of the format {written}", where=str(output), hint=hint
        )
    return written


def _check_place(output: Path, force: bool) -> None:
    if not output.parent.is_dir():
        raise InputError("The output's folder does not exist", where=str(output.parent), hint="make it first")
    if output.is_dir():
        raise InputError("The output is a folder", where=str(output), hint="name a file in it")
    if output.exists() and not force:
        hint = "name another file, or replace it by --force"
        raise InputError("The output already exists", where=str(output), hint=hint)


def _refuse_blanks(dataset: Dataset) -> None:
    wrong = next((id for id in dataset.item_ids if re.search(r"\s", id)), None)
    if wrong is not None:
        problem = f"The article id {wrong!r} has a blank, and kaggle's lists are separated by blanks"
        raise InputError(problem, hint="choose the format csv or parquet")


def _write_parquet(file: Path, dataset: Dataset, lists: Iterator[Lists], first: bool) -> None:
    columns = {"article_id": pa.array(dataset.item_ids, pa.string()), **_labels(dataset)}
    kinds = {"article_id": pa.string(), "score": pa.float32(), **dict.fromkeys(_labels(dataset), pa.string())}
    schema = pa.schema([("customer_id", pa.string()), *((name, pa.list_(kind)) for name, kind in kinds.items())])
    with pq.ParquetWriter(file, schema) as writer:
        for part in lists:
            real = part.items != EMPTY
            ends = pa.array(np.append(0, np.cumsum(real.sum(1))), pa.int32())
            flat = pa.array(part.items[real])
            values = {name: texts.take(flat) for name, texts in columns.items()} | {"score": part.scores[real]}
            ranked = [pa.ListArray.from_arrays(ends, pa.array(values[name], kinds[name])) for name in kinds]
            writer.write_table(pa.table([pa.array(part.customers, pa.string()), *ranked], schema=schema))


def _write_csv(file: Path, dataset: Dataset, lists: Iterator[Lists], first: bool) -> None:
    labels = _labels(dataset)
    articles = [row([id]) for id in dataset.item_ids]
    behind = [f",{row(texts)}" for texts in zip(*map(_safe, labels.values()), strict=True)] or [""] * dataset.n_items
    with file.open("w", newline="", encoding="utf-8") as stream:
        if first:
            stream.write(row(["customer_id", "rank", "article_id", "score", *labels]) + _END)
        for part in lists:
            for customer, items, scores in _rows(part):
                who = row([customer])
                stream.writelines(
                    f"{who},{rank},{articles[item]},{score:.6f}{behind[item]}{_END}"
                    for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1)
                    if item != EMPTY
                )


def _write_kaggle(file: Path, dataset: Dataset, lists: Iterator[Lists], first: bool) -> None:
    ids = dataset.item_ids
    with file.open("w", newline="", encoding="utf-8") as stream:
        if first:
            stream.write(row(["customer_id", "prediction"]) + _END)
        for part in lists:
            stream.writelines(
                row([customer, " ".join(ids[item] for item in items if item != EMPTY)]) + _END
                for customer, items, _ in _rows(part)
            )


def _rows(part: Lists) -> Iterator[tuple[str, list[int], list[float]]]:
    return zip(part.customers, part.items.tolist(), part.scores.tolist(), strict=True)


def _labels(dataset: Dataset) -> dict[str, pa.Array]:
    """Name, type and colour of every item, as far as the source has them."""
    table = dataset.labels.combine_chunks()
    return {name: table.column(name).combine_chunks() for name in table.column_names}


def _safe(texts: pa.Array) -> list[str | None]:
    return [None if text is None else harmless(text) for text in texts.to_pylist()]


WRITERS = {"parquet": _write_parquet, "csv": _write_csv, "kaggle": _write_kaggle}
CONTAINERS = {"parquet": "parquet", "csv": "csv", "kaggle": "csv"}  # what a file of each format is
JOINS = {"parquet": join_parquet, "csv": join_bytes}
