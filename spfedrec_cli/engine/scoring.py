"""Scores of a trained model for clients that it knows."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.model.prior import ranked_items, ranked_queries
from spfedrec_cli.model.towers import unflatten
from spfedrec_cli.placement import fetched, placed
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

_TOWERS = 256  # clients whose own towers are taken out of the state at once


def model_scorer(dataset: Dataset, world: World, state: State, split: str) -> Scorer:
    """Scores of the model, with the history that clients have when `split` begins."""
    return scorer(world, state, dataset.history(*history_splits(split)).take)


def scorer(world: World, state: State, recall: Callable[[I32], Ragged]) -> Scorer:
    """Scores of the model, with the histories that `recall` gives for clients (n,), row by row."""
    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    ranked = ranked_items(world.config.model, items, state.sales, state.prior)

    def score(clients: I32) -> F32:
        # By torch, whose threads training holds at one: another number of them could break ties another way.
        queries = client_queries(world, state, clients, recall(clients), items)
        return np.asarray(fetched(queries @ ranked.T).numpy(), np.float32)

    return score


def client_queries(world: World, state: State, clients: npt.ArrayLike, history: Ragged, items: Tensor) -> Tensor:
    """ũ of known clients as lists are ranked by it: (n, d), or with a prior (n, d + 1). `items` (n_items, d) is ṽ, as
    histories pool it."""
    return ranked_queries(world.config.model, _queries(world, state, clients, history, items))


def _queries(world: World, state: State, clients: npt.ArrayLike, history: Ragged, items: Tensor) -> Tensor:
    """ũ (n, d)."""
    rows = torch.from_numpy(np.asarray(clients, np.int64))
    if world.config.client.private_state == "tower":
        return _own_tower_queries(world, state, rows, history, items)
    private = None if state.private is None else placed(state.private.index_select(0, rows), world.known.device)
    codes = placed(world.devices.fields.at(state.round).codes.index_select(0, rows), world.known.device)
    return query_embeddings(world.config.model, state.query, codes, history, items, private)


def _own_tower_queries(world: World, state: State, rows: Tensor, history: Ragged, items: Tensor) -> Tensor:
    """The same, each client by its own tower; a few at a time, since their towers are large."""
    assert state.private is not None
    found = [items.new_empty(0, items.shape[1])]
    for part in torch.split(torch.arange(len(rows)), _TOWERS):
        some = rows.index_select(0, part)
        towers = unflatten(placed(state.private.index_select(0, some), world.known.device), state.query)
        codes = placed(world.devices.fields.at(state.round).codes.index_select(0, some), world.known.device)
        found.append(query_embeddings(world.config.model, towers, codes, history.take(part.numpy()), items))
    return torch.cat(found)
