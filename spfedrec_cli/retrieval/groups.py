"""Who is served how well: an evaluation by kinds of clients, and of what they bought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64, I64, Bool
from spfedrec_cli.retrieval.evaluate import accuracy
from spfedrec_cli.retrieval.intervals import Interval, intervals
from spfedrec_cli.retrieval.places import Ranking, places
from spfedrec_cli.retrieval.popularity import BANDS, bands
from spfedrec_cli.retrieval.task import Task, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


CUSTOMERS = ("warm", "cold")
PURCHASES = ("new", "repeat")
ACTIVITY = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))  # distinct items in the history, from and to
BY = ("customer", "purchase", "item", "activity")


@dataclass(frozen=True)
class Group:
    """Means over the `clients` of one kind, or over those with ground truth of one kind, of that ground truth alone."""

    clients: int
    metrics: dict[str, float]
    intervals: dict[str, Interval]


Groups = dict[str, dict[str, Group]]  # "customer" -> "cold" -> Group


@dataclass(frozen=True)
class Kinds:
    """`history` (n,): the distinct items that each client of a task knows. Aligned with the ground truth: `again`,
    whether the client had bought the item before; `band`, the place of its item in BANDS."""

    history: I64
    again: Bool
    band: npt.NDArray[np.int8]


def make_kinds(dataset: "Dataset", task: Task, buyers: I64) -> Kinds:
    """Of the clients and the ground truth of `task`. `buyers` (n_items,): the clients who bought each item in train."""
    history = dataset.history(*history_splits(task.split)).take(task.clients)
    owned = history.row_index() * task.n_items + history.values
    wanted = task.truth.row_index() * task.n_items + task.truth.values
    return Kinds(history.lengths, np.isin(wanted, owned), bands(buyers)[task.truth.values])


def by_group(ranking: Ranking, task: Task, per_client: Mapping[str, F64], ks: Sequence[int], kinds: Kinds) -> Groups:
    """The evaluation broken down in every way of BY; kinds that nobody is of are left out."""
    cold = kinds.history == 0
    customer = {name: _of_clients(per_client, rows) for name, rows in zip(CUSTOMERS, (~cold, cold), strict=True)}
    purchase = {
        name: _of_truth(ranking, task, ks, members)
        for name, members in zip(PURCHASES, (~kinds.again, kinds.again), strict=True)
    }
    item = {name: _of_truth(ranking, task, ks, kinds.band == place) for place, name in enumerate(BANDS)}
    activity = {
        _span(low, high): _of_clients(per_client, (kinds.history >= low) & (kinds.history <= (high or np.inf)))
        for low, high in ACTIVITY[1:]
    }
    activity = {_span(0, 0): customer["cold"]} | activity
    every = zip(BY, (customer, purchase, item, activity), strict=True)
    return {by: {name: group for name, group in found.items() if group.clients} for by, found in every}


def across(per_client: Mapping[str, F64]) -> dict[str, dict[str, float]]:
    """For each metric the value that a tenth of the clients do not exceed (p10), and the median."""
    return {
        name: {"p10": float(np.quantile(values, 0.1)), "median": float(np.median(values))}
        for name, values in per_client.items()
    }


def _of_clients(per_client: Mapping[str, F64], rows: Bool) -> Group:
    return _group({name: values[rows] for name, values in per_client.items()}, int(rows.sum()))


def _of_truth(ranking: Ranking, task: Task, ks: Sequence[int], members: Bool) -> Group:
    """The same lists against some of the ground truth: the clients who have any of it take part."""
    sizes = np.bincount(task.truth.row_index()[members], minlength=len(task.truth))
    some = sizes > 0
    if not some.any():
        return Group(0, {}, {})
    values = accuracy(places(ranking, task.truth, members), np.maximum(sizes, 1), ks)
    return _of_clients(values, some)


def _group(per_client: Mapping[str, F64], clients: int) -> Group:
    if not clients:
        return Group(0, {}, {})
    return Group(clients, {name: float(v.mean()) for name, v in per_client.items()}, intervals(per_client))


def _span(low: int, high: int | None) -> str:
    """The name of a band of activity: 0, 1-4, 100+."""
    if high is None:
        return f"{low}+"
    return f"{low}" if low == high else f"{low}-{high}"
