"""Who is served how well: an evaluation by kinds of clients, and of what they bought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F64, I32, I64, Bool
from spfedrec_cli.retrieval.evaluate import accuracy, means
from spfedrec_cli.retrieval.intervals import Interval, intervals
from spfedrec_cli.retrieval.places import Ranking, places
from spfedrec_cli.retrieval.popularity import BANDS, bands
from spfedrec_cli.retrieval.task import Task, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


NEVER_TRAINED = "never trained"
PURCHASES = ("new", "repeat")
ACTIVITY = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))  # distinct items in the history, from and to
BY = ("customer", "purchase", "item", "activity")


@dataclass(frozen=True)
class Group:
    """Means over the `clients` of one kind, or over those with ground truth of one kind, of that ground truth alone."""

    clients: int
    metrics: dict[str, float]
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Part:
    """The values behind a Group: those of each of its `clients` (n,)."""

    clients: I32
    per_client: dict[str, F64]


Groups = dict[str, dict[str, Group]]  # "customer" -> "cold" -> Group
Parts = dict[str, dict[str, Part]]


@dataclass(frozen=True)
class Kinds:
    """`history` (n,): the distinct items that each client of a task knows. `trained` (n,): whether it was ever in a
    cohort, None where that is not known. Aligned with the ground truth: `again`, whether the client had bought the item
    before; `band`, the place of its item in BANDS."""

    history: I64
    again: Bool
    band: npt.NDArray[np.int8]
    trained: Bool | None = None


def make_kinds(dataset: "Dataset", task: Task, buyers: I64, trained: Bool | None = None) -> Kinds:
    """Of the clients and the ground truth of `task`. `buyers` (n_items,): the clients who bought each item in train;
    `trained` (n_clients,): those who were ever in a cohort."""
    history = dataset.history(*history_splits(task.split)).take(task.clients)
    of_task = None if trained is None else trained[task.clients]
    return Kinds(history.lengths, is_among(task, history), bands(buyers)[task.truth.values], of_task)


def is_among(task: Task, history: Ragged) -> Bool:
    """Whether each item of the ground truth is in its client's row of `history`, which is aligned with the task's."""
    owned = history.row_index() * task.n_items + history.values
    wanted = task.truth.row_index() * task.n_items + task.truth.values
    return np.isin(wanted, owned)


def by_group(ranking: Ranking, task: Task, per_client: Mapping[str, F64], ks: Sequence[int], kinds: Kinds) -> Groups:
    """The evaluation broken down in every way of BY; kinds that nobody is of are left out."""
    return groups_of(by_part(ranking, task, per_client, ks, kinds))


def by_part(ranking: Ranking, task: Task, per_client: Mapping[str, F64], ks: Sequence[int], kinds: Kinds) -> Parts:
    """The same, with the values of every client."""
    cold, whole = kinds.history == 0, {name: v for name, v in per_client.items() if not np.isnan(v).any()}
    customers = {"warm": ~cold, "cold": cold}
    if kinds.trained is not None:
        customers[NEVER_TRAINED] = ~cold & ~kinds.trained
    customer = {name: _of_clients(task.clients, whole, rows) for name, rows in customers.items()}
    purchase = {
        name: _of_truth(ranking, task, ks, members)
        for name, members in zip(PURCHASES, (~kinds.again, kinds.again), strict=True)
    }
    item = {name: _of_truth(ranking, task, ks, kinds.band == place) for place, name in enumerate(BANDS)}
    activity = {
        _span(low, high): _of_clients(
            task.clients, whole, (kinds.history >= low) & (kinds.history <= (np.inf if high is None else high))
        )
        for low, high in ACTIVITY
    }
    every = zip(BY, (customer, purchase, item, activity), strict=True)
    return {by: {name: part for name, part in found.items() if len(part.clients)} for by, found in every}


def groups_of(parts: Parts) -> Groups:
    """Means and intervals; a client that comes in several weeks is drawn with all of them."""
    return {by: {name: _group(part) for name, part in found.items()} for by, found in parts.items()}


def across(per_client: Mapping[str, F64]) -> dict[str, dict[str, float]]:
    """For each metric the value that a tenth of the clients do not exceed (p10), and the median."""
    return {
        name: {"p10": float(np.nanquantile(values, 0.1)), "median": float(np.nanmedian(values))}
        for name, values in per_client.items()
    }


def _of_clients(clients: I32, per_client: Mapping[str, F64], rows: Bool) -> Part:
    return Part(clients[rows], {name: values[rows] for name, values in per_client.items()})


def _of_truth(ranking: Ranking, task: Task, ks: Sequence[int], members: Bool) -> Part:
    """The same lists against some of the ground truth: the clients who have any of it take part."""
    sizes = np.bincount(task.truth.row_index()[members], minlength=len(task.truth))
    some = sizes > 0
    if not some.any():
        return Part(task.clients[:0], {})
    values = accuracy(places(ranking, task.truth, members), np.maximum(sizes, 1), ks)
    return _of_clients(task.clients, values, some)


def _group(part: Part) -> Group:
    return Group(len(part.clients), means(part.per_client), intervals(part.per_client, part.clients))


def _span(low: int, high: int | None) -> str:
    """The name of a band of activity: 0, 1-4, 100+."""
    if high is None:
        return f"{low}+"
    return f"{low}" if low == high else f"{low}-{high}"
