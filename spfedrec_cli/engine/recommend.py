"""Recommendations for known customers, and for a history that the model never saw."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32
from spfedrec_cli.engine.choice import EVERYTHING, Where
from spfedrec_cli.engine.load import load_dataset
from spfedrec_cli.engine.ranker import Opened, by_second_stage, opened, ranker
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.engine.tables import Tabular, frame
from spfedrec_cli.engine.why import Queries, why
from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import query_embeddings
from spfedrec_cli.model.prior import ranked_queries
from spfedrec_cli.run import find
from spfedrec_cli.serving.lists import Given, Ranked, Why
from spfedrec_cli.serving.store import SHOWN

if TYPE_CHECKING:
    import pandas as pd


class Recommendation(Given, Tabular):
    """One person's list, as a table too."""

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
    where: Where | None = None,
    active_days: int | None = None,
    explain: bool = False,
    second_stage: bool | None = None,
) -> Recommendations:
    """The `k` best articles (12, or as many as there are) for `customers`, or for somebody with `history`.

    `history`: article ids, oldest first. `exclude_seen` leaves out what was bought; None does so where the Dataset's
    clients buy nothing twice. `where`: values by field, of which an article has one in each; `active_days`: it was sold
    in so many last days. A list is shorter than k where no more are left. `explain`: say why each stands there.
    `second_stage`: whether customers are ranked by it, None wherever the run has one; for a history, which has no days,
    the towers rank. `dataset`: where it is now, if it is not found by itself.

    Raises InputError for ids, fields and values that the Dataset does not know, for more articles than there are, where
    a filter leaves none, where neither or both of customers and history are given, and for reasons of a second stage.
    """
    customers, history = _listed(customers), _listed(history)
    if bool(customers) == bool(history):
        raise InputError("Say for whom to recommend", hint="give customers or a history of articles, not both")
    folder = find(folder)
    model = opened(folder, checkpoint, dataset)
    past, queries, ask, clients = _known(model, customers) if customers else _stranger(model, history)
    alone = by_second_stage(folder, model, second_stage) if customers else None
    if explain and alone is not None:
        raise InputError(
            "Reasons are those of the towers, and here the second stage ranks", hint="add --towers-alone to --why"
        )
    ranks = ranker(model, k, exclude_seen, where, active_days, alone)
    items, scores = ranks.lists(queries, past, clients=clients)
    names: Sequence[str | None] = customers or [None]
    return Recommendations(
        Recommendation(
            name,
            _labelled(model.dataset, past.row(row)[::-1][:SHOWN]),
            _labelled(model.dataset, items[row], scores[row], _reasons(model, ask[row], past, items, row, explain)),
            len(np.unique(past.row(row))) if ranks.excluded else 0,
            None if ranks.kept is None else len(ranks.kept),
        )
        for row, name in enumerate(names)
    )


def _known(model: Opened, customers: Sequence[str]) -> tuple[Ragged, Tensor, list[Queries], I32 | None]:
    """What customers of the Dataset bought, their queries, what each one's would be with other purchases, and who they
    are."""
    clients = np.array([model.dataset.client_index(customer) for customer in customers], np.int32)
    past = model.dataset.history_of(clients, *EVERYTHING)
    queries = client_queries(model.world, model.state, clients, past, model.items)
    return past, queries, [partial(_client_query, model, client) for client in clients], clients


def _client_query(model: Opened, client: int, past: Ragged) -> Tensor:
    return client_queries(model.world, model.state, np.full(len(past), client), past, model.items)


def _stranger(model: Opened, history: Sequence[str]) -> tuple[Ragged, Tensor, list[Queries], I32 | None]:
    latest = list(dict.fromkeys(reversed(history)))[::-1]
    bought = model.dataset.item_index(latest)
    past = Ragged.from_lengths(np.array([len(bought)]), bought)

    def ask(past: Ragged) -> Tensor:
        return stranger_query(model.world, model.state, past, model.items)

    return past, ask(past), [ask], None


def _reasons(
    model: Opened, ask: Queries, past: Ragged, items: np.ndarray[tuple[int, ...], Any], row: int, wanted: bool
) -> list[Why] | None:
    listed = items[row][items[row] >= 0]
    return why(model, ask, past.row(row), listed) if wanted else None


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
    return [] if ids is None else listed(ids)


def stranger_query(world: World, state: State, past: Ragged, items: Tensor) -> Tensor:
    """ũ (1, d), with a prior (1, d + 1), of somebody whose fields and private state are unknown; by θ_u as it is, which
    no client's own tower moves."""
    codes = torch.zeros(len(past), len(world.devices.fields.names), dtype=torch.int64)
    keeps_embedding = world.config.client.private_state == "embedding"
    private = torch.zeros(len(past), items.shape[1]) if keeps_embedding else None
    query = query_embeddings(world.config.model, state.query, codes, past, items, private)
    return ranked_queries(world.config.model, query)


def _labelled(
    dataset: Dataset,
    items: np.ndarray[tuple[int, ...], np.dtype[np.int32]],
    scores: Sequence[float] | None = None,
    reasons: Sequence[Why] | None = None,
) -> list[Ranked]:
    real = [int(item) for item in items if item >= 0]
    values = [0.0] * len(real) if scores is None else [float(score) for score in scores[: len(real)]]
    ids = [dataset.item_id(item) for item in real]
    told: Sequence[Why | None] = reasons or [None] * len(real)
    return [Ranked(*row) for row in zip(ids, values, dataset.item_labels(real), told, strict=True)]
