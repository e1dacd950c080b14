"""Why an item stands in a list: how much of its score is public sales, the customer's own fields, and each purchase."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.ranker import Opened
from spfedrec_cli.serving.lists import Why

MOST_PURCHASES = 200  # the newest, of which each is left out once
Queries = Callable[[Ragged], Tensor]  # of one person with each of these histories
NAMED = 3  # purchases for each item


def why(model: Opened, queries: Queries, past: I32, items: I32) -> list[Why]:
    """For each of the items, of somebody who bought `past`, oldest first."""
    newest = past[-MOST_PURCHASES:]
    everything = [past.tolist(), [], *(_without(past, bought) for bought in newest)]
    scores = _scores(model, queries(Ragged.from_rows(everything)), items)
    whole, profile, left_out = scores[0], scores[1], scores[2:]
    prior = _prior(model, items)
    pulls = whole - left_out
    return [
        Why(
            prior=float(prior[at]),
            profile=float(profile[at] - prior[at]),
            history=float(whole[at] - profile[at]),
            purchases=_strongest(model, newest, pulls[:, at]),
        )
        for at in range(len(items))
    ]


def _without(past: I32, bought: int) -> list[int]:
    return [int(item) for item in past if item != bought]


def _scores(model: Opened, queries: Tensor, items: I32) -> F32:
    return np.asarray(queries.numpy() @ model.catalogue[items].T, np.float32)


def _prior(model: Opened, items: I32) -> F32:
    """What every customer's score of these items has alike."""
    dim = model.items.shape[1]
    return model.catalogue[items][:, dim] if model.catalogue.shape[1] > dim else np.zeros(len(items), np.float32)


def _strongest(model: Opened, purchases: I32, pulls: F32) -> tuple[tuple[str, float], ...]:
    order = [place for place in np.argsort(-pulls, kind="stable")[:NAMED] if pulls[place] > 0]
    return tuple((model.dataset.item_id(int(purchases[place])), float(pulls[place])) for place in order)
