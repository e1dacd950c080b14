"""Recommendations for everybody, as a file."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.recommend import EVERYTHING, best_of, by_second_stage, excludes, length, opened, product
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.errors import InputError
from spfedrec_cli.model.prior import ranked_items
from spfedrec_cli.retrieval import serve
from spfedrec_cli.retrieval.index import EMPTY
from spfedrec_cli.run import find
from spfedrec_cli.spreadsheet import harmless, row
from spfedrec_cli.threads import cores

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_BLOCK = 2048
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
    tell: Callable[[str], None] = lambda stage: None,
    dataset: Path | str | None = None,
    exclude_seen: bool | None = None,
    second_stage: bool | None = None,
) -> int:
    """Write the k best articles of every customer (12, or as many as there are); returns the number of customers.

    parquet: customer_id, and lists: article_id, score, and name, type and colour where the source has them. csv: a row
    an article with its rank, and the same columns; a name that a spreadsheet would compute (it begins with = + - @, a
    tab or a carriage return) stands behind an apostrophe, ids never do. kaggle: customer_id and the articles in one
    column `prediction`, as the competition wants it. Without a `format` the suffix of `output` says it, parquet where
    there is none. Written beside and renamed into place. `tell` hears what is begun when all is checked.
    `exclude_seen` and `second_stage`: as in `recommend`.

    Raises InputError where the suffix says something else or nothing known, the file cannot be written there, or the
    format is kaggle, whose lists are separated by blanks, and an id has one.
    """
    output = Path(output)
    write = WRITERS[format_of(output, format)]
    _check_place(output)
    folder = find(folder)
    data, world, state, items = opened(folder, checkpoint, dataset)
    if write is _write_kaggle:
        _refuse_blanks(data)
    places, history = length(k, data), data.history(*EVERYTHING)
    catalogue = ranked_items(world.config.model, items, state.sales).numpy()
    serve.check_length(places, data.n_items)
    ranked_alone = by_second_stage(folder, data, world, state, second_stage)

    def lists() -> Iterator[Lists]:
        for start in range(0, data.n_clients, _BLOCK):
            clients = np.arange(start, min(start + _BLOCK, data.n_clients), dtype=np.int32)
            past = history.take(clients)
            seen = past if excludes(exclude_seen, data) else None
            if ranked_alone is None:
                queries = client_queries(world, state, clients, past, items)
                found = serve.recommend(queries.numpy(), catalogue, places, seen, product, cores())
            else:
                found = best_of(ranked_alone, clients, places, data.n_items, seen)
            yield Lists(data.client_ids[start : start + _BLOCK], *found)

    tell(f"Recommending to {data.n_clients:,} customers")
    beside = output.with_name(output.name + ".part")
    try:
        write(beside, data, lists())
        os.replace(beside, output)
    finally:
        beside.unlink(missing_ok=True)
    return data.n_clients


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


def _check_place(output: Path) -> None:
    if not output.parent.is_dir():
        raise InputError("The output's folder does not exist", where=str(output.parent), hint="make it first")
    if output.is_dir():
        raise InputError("The output is a folder", where=str(output), hint="name a file in it")


def _refuse_blanks(dataset: Dataset) -> None:
    wrong = next((id for id in dataset.item_ids if re.search(r"\s", id)), None)
    if wrong is not None:
        problem = f"The article id {wrong!r} has a blank, and kaggle's lists are separated by blanks"
        raise InputError(problem, hint="choose the format csv or parquet")


def _write_parquet(file: Path, dataset: Dataset, lists: Iterator[Lists]) -> None:
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


def _write_csv(file: Path, dataset: Dataset, lists: Iterator[Lists]) -> None:
    labels = _labels(dataset)
    articles = [row([id]) for id in dataset.item_ids]
    behind = [f",{row(texts)}" for texts in zip(*map(_safe, labels.values()), strict=True)] or [""] * dataset.n_items
    with file.open("w", newline="", encoding="utf-8") as stream:
        stream.write(row(["customer_id", "rank", "article_id", "score", *labels]) + _END)
        for part in lists:
            for customer, items, scores in _rows(part):
                who = row([customer])
                stream.writelines(
                    f"{who},{rank},{articles[item]},{score:.6f}{behind[item]}{_END}"
                    for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1)
                    if item != EMPTY
                )


def _write_kaggle(file: Path, dataset: Dataset, lists: Iterator[Lists]) -> None:
    ids = dataset.item_ids
    with file.open("w", newline="", encoding="utf-8") as stream:
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
