"""Recommendations for known customers, and for a history that the model never saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.load import load_dataset, open_run
from spfedrec_cli.engine.own_lists import has_second_stage, own_lists, ranker_of, second_stage_of
from spfedrec_cli.engine.scoring import client_queries, scorer
from spfedrec_cli.engine.tables import Tabular, frame
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.model.prior import ranked_items, ranked_queries
from spfedrec_cli.retrieval import serve
from spfedrec_cli.retrieval.evaluate import Scorer, scored
from spfedrec_cli.retrieval.index import blocks, exclusions, top_k
from spfedrec_cli.run import find

if TYPE_CHECKING:
    import pandas as pd

EVERYTHING = ("train", "validation", "test")  # a customer is served with all that was bought up to now
SHOWN = 5
LENGTH = 12


@dataclass(frozen=True)
class Ranked:
    """An article; `labels` has its name, type and colour, as far as the source has them."""

    article_id: str
    score: float
    labels: dict[str, str]


@dataclass(frozen=True)
class Recommendation(Tabular):
    """`history`: the last purchases, newest first; `items`: best first. customer_id is None for a history given.

    `left_out` counts the articles that are not ranked because they were bought.
    """

    customer_id: str | None
    history: list[Ranked]
    items: list[Ranked]
    left_out: int = 0

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
    k: int | None = None,
    checkpoint: str = "best",
    dataset: Path | str | None = None,
    exclude_seen: bool | None = None,
    second_stage: bool | None = None,
) -> Recommendations:
    """The `k` best articles (12, or as many as there are) for `customers`, or for somebody with `history`.

    `history`: article ids, oldest first. `exclude_seen` leaves out what was bought; None does so where the Dataset's
    clients buy nothing twice. A list is shorter than k where the customer has bought the rest and that is left out.
    `second_stage`: whether customers are ranked by it, None wherever the run has one; for a history, which has no days,
    the towers rank. `dataset`: where it is now, if it is not found by itself. Raises InputError for ids that the
    Dataset does not know, for more articles than there are, and where neither or both of customers and history are
    given.
    """
    customers, history = _listed(customers), _listed(history)
    if bool(customers) == bool(history):
        raise InputError("Say for whom to recommend", hint="give customers or a history of articles, not both")
    folder = find(folder)
    data, world, state, items = opened(folder, checkpoint, dataset)
    ranked_alone = None
    if customers:
        clients = np.array([data.client_index(customer) for customer in customers], np.int32)
        past = data.history(*EVERYTHING).take(clients)
        queries = client_queries(world, state, clients, past, items)
        ranked_alone = by_second_stage(folder, data, world, state, second_stage)
    else:
        latest = list(dict.fromkeys(reversed(history)))[::-1]
        bought = data.item_index(latest)
        past = Ragged.from_lengths(np.array([len(bought)]), bought)
        queries = stranger_query(world, state, past, items)
    excluded = excludes(exclude_seen, data)
    seen = past if excluded else None
    catalogue = ranked_items(world.config.model, items, state.sales)
    if ranked_alone is None:
        ranked, scores = serve.recommend(queries.numpy(), catalogue.numpy(), length(k, data), seen, product)
    else:
        ranked, scores = best_of(ranked_alone, clients, length(k, data), data.n_items, seen)
    names: Sequence[str | None] = customers or [None]
    return Recommendations(
        Recommendation(
            name,
            _labelled(data, past.row(row)[::-1][:SHOWN]),
            _labelled(data, ranked[row], scores[row]),
            len(np.unique(past.row(row))) if excluded else 0,
        )
        for row, name in enumerate(names)
    )


def by_second_stage(folder: Path, data: Dataset, world: World, state: State, wanted: bool | None) -> Scorer | None:
    """Scores of customers by the run's second stage, with all that was bought up to now; None where it has none, or it
    is not wanted. InputError where it is wanted and not there."""
    if wanted is False or (wanted is None and not has_second_stage(folder, world.config)):
        return None
    ranker = ranker_of(data, world.config, second_stage_of(folder, world.config))
    towers = scorer(world, state, data.history(*EVERYTHING).take)
    return own_lists(ranker, data, towers, *EVERYTHING)


def best_of(scores: Scorer, clients: I32, k: int, n_items: int, seen: Ragged | None) -> tuple[I32, F32]:
    """The k best of customers by these scores, but for the items in row i of `seen`: as `serve.recommend` has it."""
    serve.check_length(k, n_items)
    items, values = np.empty((len(clients), k), np.int32), np.empty((len(clients), k), np.float32)
    for block in blocks(len(clients), n_items):
        dense = scored(scores, clients[block], n_items)
        own = None if seen is None else seen.take(np.arange(block.start, block.stop))
        items[block], values[block] = top_k(dense, k, exclusions(n_items, len(dense), own, None))
    return items, values


def articles(folder: Path | str, values: Sequence[str], dataset: Path | str | None = None) -> list[str]:
    """The article ids in `values`: one that is an id is that id, another is split at its commas.

    Raises InputError where nothing stands between two commas; whether all are known, `recommend` says.
    """
    data = load_dataset(find(folder), dataset)
    return [article for value in values for article in _split(value, data)]


def _split(value: str, dataset: Dataset) -> list[str]:
    parts = [value] if dataset.holds_item(value) else value.split(",")
    if not all(part.strip() for part in parts):
        raise InputError(f"The history {value!r} has an empty place", hint="separate articles by single commas")
    return [part if dataset.holds_item(part) else part.strip() for part in parts]


def _listed(ids: Sequence[str] | None) -> list[str]:
    """A text is one id, not the letters that it consists of."""
    return [ids] if isinstance(ids, str) else list(ids or [])


def excludes(exclude_seen: bool | None, dataset: Dataset) -> bool:
    """Whether a list leaves out what was bought; by default, where nobody buys anything twice."""
    return not dataset.repeats if exclude_seen is None else exclude_seen


def length(k: int | None, dataset: Dataset) -> int:
    """Of a list for which none was said."""
    return min(LENGTH, dataset.n_items) if k is None else k


def product(one: F32, two: F32) -> F32:
    """Of matrices, by torch: in half of the time that numpy takes for so few dimensions."""
    return np.asarray(torch.mm(torch.from_numpy(one), torch.from_numpy(two)).numpy(), np.float32)


def stranger_query(world: World, state: State, past: Ragged, items: Tensor) -> Tensor:
    """ũ (1, d), with a prior (1, d + 1), of somebody whose fields and private state are unknown; by θ_u as it is, which
    no client's own tower moves."""
    codes = torch.zeros(len(past), len(world.devices.fields.names), dtype=torch.int64)
    keeps_embedding = world.config.client.private_state == "embedding"
    private = torch.zeros(len(past), items.shape[1]) if keeps_embedding else None
    query = query_embeddings(world.config.model, state.query, codes, past, items, private)
    return ranked_queries(world.config.model, query)


def opened(folder: Path, checkpoint: str, dataset: Path | str | None = None) -> tuple[Dataset, World, State, Tensor]:
    """A run's Dataset, world and state, and the embeddings of all items (n_items, d)."""
    data, world = open_run(folder, dataset)
    state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
    return data, world, state, item_embeddings(world.config.model, state.item, world.known.items.at(state.round))


def _labelled(
    dataset: Dataset, items: np.ndarray[tuple[int, ...], np.dtype[np.int32]], scores: Sequence[float] | None = None
) -> list[Ranked]:
    real = [int(item) for item in items if item >= 0]
    values = [0.0] * len(real) if scores is None else [float(score) for score in scores[: len(real)]]
    ids = [dataset.item_ids[item] for item in real]
    return [Ranked(*row) for row in zip(ids, values, dataset.item_labels(real), strict=True)]
