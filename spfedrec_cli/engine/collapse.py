"""Whether embeddings have collapsed: then nothing is told apart, and a loss no longer falls."""

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings

NEAR = 0.02  # at most; of the temperature a fifth
LOOKED_AT = 1000  # clients

ITEMS = (
    "The embeddings of all items have collapsed to nearly one direction, so the loss stays near the log of the "
    "candidates; lower server.item_lr and server.lr"
)
QUERIES = (
    "The embeddings of all clients have collapsed to nearly one direction, so that all get the same list; "
    "lower server.lr and client.lr"
)


def collapsed(world: World, state: State, clients: I32, history: Ragged) -> str | None:
    """What to tell of the model at a validation with these clients (n,) and their histories; None where nothing has
    collapsed.

    Embeddings have collapsed where their spread is below a fifth of the temperature, and below .02 (towers start at .14
    or more): scores of items then differ by about .2 in the exponent of the softmax. Clients are looked at where the
    model takes a history, of those who have one: without, they may be equal by design.
    """
    items = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    near = nearness(world.config.model)
    if spread(items) < near:
        return ITEMS
    known = np.flatnonzero(history.lengths > 0)[:LOOKED_AT]
    if world.config.model.history == "none" or len(known) < 2:
        return None
    queries = client_queries(world, state, clients[known], history.take(known), items)
    return QUERIES if spread(queries) < near else None


def nearness(model: ModelConfig) -> float:
    """Below this spread embeddings have collapsed."""
    return min(NEAR, model.temperature / 5)


def spread(embeddings: Tensor) -> float:
    """The root of the mean squared distance of rows (n, d) from their mean: 0 where all are one, at most 1 for rows of
    length 1."""
    distances = (embeddings - embeddings.mean(0)).square().sum(1)
    return float(torch.sqrt(distances.mean()))
