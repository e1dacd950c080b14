"""Recommendations for known customers, and for a history that the model never saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.engine.load import checkpoint_round, client_queries, load_dataset, load_state, open_run
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.state import State, World
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.retrieval import serve

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
class Recommendation:
    """`history`: the last purchases, newest first; `items`: best first. customer_id is None for a history given.

    `left_out` counts the articles that are not ranked because they were bought, where nobody buys one twice.
    """

    customer_id: str | None
    history: list[Ranked]
    items: list[Ranked]
    left_out: int = 0


def recommend(
    folder: Path,
    customers: Sequence[str] | None = None,
    history: Sequence[str] | None = None,
    k: int | None = None,
    checkpoint: str = "best",
) -> list[Recommendation]:
    """The `k` best articles (12, or as many as there are) for `customers`, or for somebody with `history`.

    `history`: article ids, oldest first. A list is shorter than k where the customer has bought the rest, and the
    Dataset's clients buy nothing twice. Raises InputError for ids that the Dataset does not know, for more articles
    than there are, and where neither or both of customers and history are given.
    """
    customers, history = _listed(customers), _listed(history)
    if bool(customers) == bool(history):
        raise InputError("Say for whom to recommend", hint="give customers or a history of articles, not both")
    dataset, world, state, items = opened(folder, checkpoint)
    if customers:
        clients = np.array([dataset.client_index(customer) for customer in customers], np.int32)
        past = dataset.history(*EVERYTHING).take(clients)
        queries = client_queries(world, state, clients, past, items)
    else:
        latest = list(dict.fromkeys(reversed(history)))[::-1]
        bought = dataset.item_index(latest)
        past = Ragged.from_lengths(np.array([len(bought)]), bought)
        queries = stranger_query(world, state, past, items)
    ranked, scores = serve.recommend(
        queries.numpy(), items.numpy(), length(k, dataset), None if dataset.repeats else past
    )
    names: Sequence[str | None] = customers or [None]
    return [
        Recommendation(
            name,
            _labelled(dataset, past.row(row)[::-1][:SHOWN]),
            _labelled(dataset, ranked[row], scores[row]),
            0 if dataset.repeats else len(past.row(row)),
        )
        for row, name in enumerate(names)
    ]


def articles(folder: Path, values: Sequence[str]) -> list[str]:
    """The article ids in `values`: one that is an id is that id, another is split at its commas.

    Raises InputError where nothing stands between two commas; whether all are known, `recommend` says.
    """
    dataset = load_dataset(folder)
    return [article for value in values for article in _split(value, dataset)]


def _split(value: str, dataset: Dataset) -> list[str]:
    parts = [value] if dataset.holds_item(value) else value.split(",")
    if not all(part.strip() for part in parts):
        raise InputError(f"The history {value!r} has an empty place", hint="separate articles by single commas")
    return [part if dataset.holds_item(part) else part.strip() for part in parts]


def _listed(ids: Sequence[str] | None) -> list[str]:
    """A text is one id, not the letters that it consists of."""
    return [ids] if isinstance(ids, str) else list(ids or [])


def length(k: int | None, dataset: Dataset) -> int:
    """Of a list for which none was said."""
    return min(LENGTH, dataset.n_items) if k is None else k


def stranger_query(world: World, state: State, past: Ragged, items: Tensor) -> Tensor:
    """ũ (1, d) of somebody whose fields and private state are unknown; by θ_u as it is, which no client's own tower
    moves."""
    codes = torch.zeros(len(past), len(world.clients.names), dtype=torch.int64)
    keeps_embedding = world.config.client.private_state == "embedding"
    private = torch.zeros(len(past), items.shape[1]) if keeps_embedding else None
    return query_embeddings(world.config.model, state.query, codes, past, items, private)


def opened(folder: Path, checkpoint: str) -> tuple[Dataset, World, State, Tensor]:
    """A run's Dataset, world and state, and the embeddings of all items (n_items, d)."""
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
