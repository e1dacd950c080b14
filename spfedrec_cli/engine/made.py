"""Worlds made up in memory: clients, purchases and features of a stated shape, without a Dataset.

Their customers have no tastes, so that nothing can be learned from them but how long learning takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import torch

from spfedrec_cli.config import validate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.sources.synthetic_facts import (
    APPEARANCES,
    ARTICLES,
    COLOUR_MASTERS,
    COLOURS,
    LEVELS,
    PURCHASES,
    SALES,
)
from spfedrec_cli.dtypes import F64
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.simulation.making import make_world
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.features import ID, Features
from spfedrec_cli.placement import CPU
from spfedrec_cli.rng import uniform, uniform_ragged, uniform_rows

_LEVELS = ("product_type", "product_group", "department", "index", "section", "garment_group")
H_AND_M_ITEM_FIELDS = {name: LEVELS[name] + 1 for name in _LEVELS} | {
    "graphical_appearance": APPEARANCES + 1,
    "colour": COLOURS + 1,
    "perceived_colour": COLOUR_MASTERS + 1,
}
H_AND_M_CLIENT_FIELDS = {"age_bucket": 8, "club_status": 4, "news_frequency": 4, "fn": 2, "active": 2}


@dataclass(frozen=True)
class Shape:
    """`purchases` maps uniform draws to purchases a client, `sales` to what an item sells beside the others.

    Fields go by name with their number of values; the item's own id is a field where it is to have an embedding.
    """

    clients: int
    items: int
    purchases: Callable[[F64], F64]
    sales: Callable[[F64], F64]
    item_fields: Mapping[str, int]
    client_fields: Mapping[str, int]


def log_normal(draws: F64) -> F64:
    """Purchases of mean 23, σ = 1 on the logarithm, 2 to 200."""
    normal = np.array([NormalDist().inv_cdf(draw) for draw in draws])
    return np.asarray(np.clip(np.round(np.exp(np.log(23) - 0.5 + normal)), 2, 200))


def h_and_m(draws: F64) -> F64:
    """Purchases of H&M's customers, of mean 23."""
    return np.asarray(np.maximum(1, np.round(PURCHASES(draws))))


def by_rank(draws: F64) -> F64:
    """Sales proportional to 1 / rank^.8."""
    return np.asarray((1.0 + np.argsort(np.argsort(draws))) ** -0.8)


KERNEL = Shape(
    clients=1000,
    items=10_000,
    purchases=log_normal,
    sales=by_rank,
    item_fields={"type": 50},
    client_fields={f"field{number}": 8 for number in range(6)},
)
SHOP = Shape(
    clients=32_768,
    items=ARTICLES,
    purchases=h_and_m,
    sales=SALES,
    item_fields={ID: ARTICLES, **H_AND_M_ITEM_FIELDS},
    client_fields=H_AND_M_CLIENT_FIELDS,
)


def sized(shape: Shape, clients: int | None = None, items: int | None = None) -> Shape:
    """The same shape at another size."""
    items = items or shape.items
    fields = {name: items if name == ID else count for name, count in shape.item_fields.items()}
    return replace(shape, clients=clients or shape.clients, items=items, item_fields=fields)


def make(
    shape: Shape, settings: Mapping[str, Any], seed: int = 0, team: Team = ALONE, device: torch.device = CPU
) -> World:
    """Raises InputError where the settings do not fit."""
    items = features("items", seed, shape.items, shape.item_fields)
    clients = features("clients", seed, shape.clients, shape.client_fields)
    return make_world(validate(settings), items, clients, purchases(shape, seed), team, device)


def purchases(shape: Shape, seed: int) -> Ragged:
    """Each client's distinct items: as many as it purchases, drawn by what they sell, less those drawn twice."""
    drawn = uniform(seed, "made/purchases", np.arange(shape.clients))
    lengths = np.minimum(shape.purchases(drawn), shape.items).astype(np.int64)
    sales = np.cumsum(shape.sales(uniform(seed, "made/sales", np.arange(shape.items))))
    draws = uniform_ragged(seed, "made/items", np.arange(shape.clients), 0, lengths)
    items = np.searchsorted(sales, draws * sales[-1], side="right")
    rows = np.repeat(np.arange(shape.clients), lengths)
    first = np.sort(np.unique(rows * shape.items + items, return_index=True)[1])
    return Ragged.from_lengths(np.bincount(rows[first], minlength=shape.clients), items[first])


def features(whose: str, seed: int, rows: int, fields: Mapping[str, int]) -> Features:
    """Uniform codes of each field, none of them 0, which is unknown; the field `id` counts the rows."""
    draws = uniform_rows(seed, f"made/{whose}", np.arange(rows), 0, len(fields))
    codes = 1 + (draws * (np.array(list(fields.values())) - 1)).astype(np.int64)
    if ID in fields:
        codes[:, list(fields).index(ID)] = np.arange(rows)
    return Features(tuple(fields), tuple(fields.values()), torch.from_numpy(codes))
