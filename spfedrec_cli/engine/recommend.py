"""Recommendations: for known customers, for a history that the model never saw, for everybody."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.engine.load import checkpoint_round, client_queries, load_state, open_run
from spfedrec_cli.engine.tables import Tabular, frame
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.state import State, World
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.retrieval import serve
from spfedrec_cli.run import find

if TYPE_CHECKING:
    import pandas as pd

EVERYTHING = ("train", "validation", "test")  # a customer is served with all that was bought up to now
SHOWN = 5
_BLOCK = 2048


@dataclass(frozen=True)
class Ranked:
    """An article; `labels` has its name, type and colour, as far as the source has them."""

    article_id: str
    score: float
    labels: dict[str, str]


@dataclass(frozen=True)
class Recommendation(Tabular):
    """`history`: the last purchases, newest first; `items`: best first. customer_id is None for a history given."""

    customer_id: str | None
    history: list[Ranked]
    items: list[Ranked]

    def to_frame(self) -> "pd.DataFrame":
        """A row each article, best first: customer_id, rank (from 1), article_id, score, and its labels."""
        return frame(self.rows())

    def rows(self) -> Iterator[dict[str, Any]]:
        for rank, one in enumerate(self.items, 1):
            place = {"customer_id": self.customer_id, "rank": rank}
            yield {**place, "article_id": one.article_id, "score": one.score, **one.labels}


class Recommendations(list[Recommendation], Tabular):
    """One a customer, in the order in which they were asked for."""

    def to_frame(self) -> "pd.DataFrame":
        """The rows of all, one customer's below another's."""
        return frame(row for one in self for row in one.rows())


def recommend(
    folder: Path | str,
    customers: Sequence[str] | None = None,
    history: Sequence[str] | None = None,
    k: int = 12,
    checkpoint: str = "best",
) -> Recommendations:
    """Ranked articles for `customers`, or for somebody with `history` (article ids, oldest first).

    Raises InputError for ids that the Dataset does not know, and where neither or both are given.
    """
    if bool(customers) == bool(history):
        raise InputError("Say for whom to recommend", hint="give customers or a history of articles, not both")
    dataset, world, state, items = _open(find(folder), checkpoint)
    if customers:
        clients = np.array([dataset.client_index(customer) for customer in customers], np.int32)
        past = dataset.history(*EVERYTHING).take(clients)
        queries = client_queries(world, state, clients, past, items)
    else:
        latest = list(dict.fromkeys(reversed(history or [])))[::-1]
        bought = dataset.item_index(latest)
        past = Ragged.from_lengths(np.array([len(bought)]), bought)
        queries = stranger_query(world, state, past, items)
    ranked, scores = serve.recommend(queries.numpy(), items.numpy(), k, None if dataset.repeats else past)
    names = list(customers) if customers else [None]
    return Recommendations(
        Recommendation(
            name, _labelled(dataset, past.row(row)[::-1][:SHOWN]), _labelled(dataset, ranked[row], scores[row])
        )
        for row, name in enumerate(names)
    )


def recommend_all(
    folder: Path | str, output: Path | str, k: int = 12, format: str = "parquet", checkpoint: str = "best"
) -> int:
    """Write the k best articles of every customer; returns the number of customers.

    parquet: customer_id, article_id (list), score (list); csv: a row an article with its rank; kaggle: customer_id and
    the articles in one column `prediction`, as the competition wants it. Written beside and renamed into place.
    """
    if format not in WRITERS:
        raise InputError(f"There is no format {format!r}", hint=f"choose one of {', '.join(WRITERS)}")
    folder, output = find(folder), Path(output)
    if not output.parent.is_dir():
        raise InputError("The output's folder does not exist", where=str(output.parent), hint="make it first")
    dataset, world, state, items = _open(folder, checkpoint)
    beside = output.with_name(output.name + ".part")
    try:
        WRITERS[format](beside, _everybody(dataset, world, state, items, k))
        os.replace(beside, output)
    finally:
        beside.unlink(missing_ok=True)
    return dataset.n_clients


def stranger_query(world: World, state: State, past: Ragged, items: Tensor) -> Tensor:
    """ũ (1, d) of somebody whose fields and private state are unknown; by θ_u as it is, which no client's own tower
    moves."""
    codes = torch.zeros(len(past), len(world.clients.names), dtype=torch.int64)
    keeps_embedding = world.config.client.private_state == "embedding"
    private = torch.zeros(len(past), items.shape[1]) if keeps_embedding else None
    return query_embeddings(world.config.model, state.query, codes, past, items, private)


Block = tuple[list[str], list[list[str]], list[list[float]]]


def _everybody(dataset: Dataset, world: World, state: State, items: Tensor, k: int) -> Iterator[Block]:
    history, ids = dataset.history(*EVERYTHING), np.array(dataset.item_ids, dtype=object)
    for start in range(0, dataset.n_clients, _BLOCK):
        clients = np.arange(start, min(start + _BLOCK, dataset.n_clients), dtype=np.int32)
        past = history.take(clients)
        queries = client_queries(world, state, clients, past, items)
        ranked, scores = serve.recommend(queries.numpy(), items.numpy(), k, None if dataset.repeats else past)
        names = dataset.client_ids[start : start + _BLOCK]
        kept = ranked >= 0
        yield (
            names,
            [ids[row[real]].tolist() for row, real in zip(ranked, kept, strict=True)],
            [row[real].tolist() for row, real in zip(scores, kept, strict=True)],
        )


def _write_parquet(file: Path, blocks: Iterator[Block]) -> None:
    schema = pa.schema(
        [("customer_id", pa.string()), ("article_id", pa.list_(pa.string())), ("score", pa.list_(pa.float32()))]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for block in blocks:
            writer.write_table(pa.table(dict(zip(schema.names, block, strict=True)), schema=schema))


def _write_csv(file: Path, blocks: Iterator[Block]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["customer_id", "rank", "article_id", "score"])
        for customers, articles, scores in blocks:
            for customer, items, values in zip(customers, articles, scores, strict=True):
                pairs = zip(items, values, strict=True)
                rows.writerows([customer, rank, item, f"{score:.6f}"] for rank, (item, score) in enumerate(pairs, 1))


def _write_kaggle(file: Path, blocks: Iterator[Block]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["customer_id", "prediction"])
        for customers, articles, _ in blocks:
            rows.writerows([customer, " ".join(items)] for customer, items in zip(customers, articles, strict=True))


WRITERS = {"parquet": _write_parquet, "csv": _write_csv, "kaggle": _write_kaggle}


def _open(folder: Path, checkpoint: str) -> tuple[Dataset, World, State, Tensor]:
    dataset, world = open_run(folder)
    state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
    return dataset, world, state, item_embeddings(state.item, world.items)


def _labelled(
    dataset: Dataset, items: np.ndarray[tuple[int, ...], np.dtype[np.int32]], scores: Sequence[float] | None = None
) -> list[Ranked]:
    real = [int(item) for item in items if item >= 0]
    values = [0.0] * len(real) if scores is None else [float(score) for score in scores[: len(real)]]
    ids = [dataset.item_ids[item] for item in real]
    return [Ranked(*row) for row in zip(ids, values, dataset.item_labels(real), strict=True)]
