"""Repeat purchases: a client's own recent items, blended on its device with what another scorer ranks.

What the client bought, when and how often enters its own list and leaves the device nowhere. The four weights are the
same for everybody and fitted on validation. A device can take part in the fit without showing its purchases: it
measures NDCG@10 of its own list for each of the few weights asked about, and a secure sum of these numbers is all that
anybody learns (docs/evaluation.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import TIME
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits, make_task, scored
from spfedrec_cli.retrieval.index import EMPTY, blocks, top_k
from spfedrec_cli.retrieval.metrics import METRICS
from spfedrec_cli.retrieval.places import Places
from spfedrec_cli.retrieval.task import UNITS_PER_DAY, Task
from spfedrec_cli.rng import distinct

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


RECENT = 64  # own items that are raised, those bought last
LIST = 10  # weights are fitted by NDCG@10
FITTERS = 5_000  # clients of validation that they are fitted on, at most
STEPS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
PASSES = 2
FEATURES = 4


@dataclass(frozen=True)
class Weights:
    """What an own item gains, in standard deviations of the client's scores.

    `own` for having been bought; `order` · 1/(1 + own items bought since); `weeks` · 1/(1 + weeks since); `often` ·
    log2 of the number of purchases.
    """

    own: float = 0.0
    order: float = 0.0
    weeks: float = 0.0
    often: float = 0.0


@dataclass(frozen=True)
class Recent:
    """Own items of some clients, newest first, and their features float32 (values, FEATURES), as Weights names them."""

    items: Ragged
    features: F32


Past = Callable[[I32], Recent]


def fit(scorer: Scorer, dataset: "Dataset") -> Weights:
    """The weights that raise NDCG@10 on validation most. `scorer` is that of validation; test is not read.

    InputError where `repeats` is false.
    """
    return best_weights([validation_lists(scorer, dataset)])


def validation_lists(scorer: Scorer, dataset: "Dataset") -> "Lists":
    """What weights are fitted on: of at most FITTERS clients of validation, by its `scorer`. InputError as in `fit`."""
    past = recent_purchases(dataset, "validation")
    task = make_task(dataset, "validation")
    task = task.take(distinct(0, "blend/fitters", len(task.clients), FITTERS).astype(np.int32))
    return _short_lists(scorer, past, task)


def best_weights(several: Sequence["Lists"]) -> Weights:
    """The weights that raise the mean NDCG@10 of all these lists most, at least one.

    One weight after the other is set to the best of STEPS, twice over.
    """
    lists = Lists.joined(several)
    weights, reached = Weights(), lists.value(Weights())
    for name in (*Weights.__dataclass_fields__,) * PASSES:
        for step in STEPS:
            tried = replace(weights, **{name: step})
            value = lists.value(tried)
            if value > reached:
                weights, reached = tried, value
    return weights


def blended(scorer: Scorer, dataset: "Dataset", split: str, weights: Weights) -> Scorer:
    """`scorer`, standardised for each client, plus what its own recent items gain. InputError as in `fit`."""
    past = recent_purchases(dataset, split)

    def score(clients: I32) -> F32:
        scores, recent = _standardised(scorer, clients, dataset.n_items), past(clients)
        gain = recent.features @ np.array(astuple(weights), np.float32)
        scores[recent.items.row_index(), recent.items.values] += gain
        return scores

    return score


def recent_purchases(dataset: "Dataset", split: str) -> Past:
    """What devices know of their own purchases when `split` begins."""
    if not dataset.repeats:
        hint = "evaluate it without the blend"
        problem = "Nothing is bought again in this Dataset, so there is nothing to blend"
        raise InputError(problem, where=str(dataset.path), hint=hint)
    known = history_splits(split)
    items = dataset.bought(*known)
    times = reduce(Ragged.followed_by, (Ragged(dataset.offsets(s), dataset.column(s, TIME)) for s in known))
    week = 7 * UNITS_PER_DAY[dataset.manifest.time_unit] if dataset.manifest.time_unit in UNITS_PER_DAY else None
    now = int(times.values.max())
    return lambda clients: _recent(items.take(clients), times.take(clients), dataset.n_items, now, week)


def _recent(items: Ragged, times: Ragged, n_items: int, now: int, week: int | None) -> Recent:
    keys = (items.row_index() * n_items + items.values)[::-1]  # newest first, so that the first of a key is its last
    distinct_keys, newest, counts = np.unique(keys, return_index=True, return_counts=True)
    last = len(keys) - 1 - newest
    row = distinct_keys // n_items
    order = np.lexsort((-last, row))
    own = Ragged.from_lengths(np.bincount(row, minlength=len(items)), (distinct_keys % n_items)[order])
    place = own.position()
    weeks = np.inf if week is None else (now - times.values[last[order]]) / week
    features = np.column_stack(
        [np.ones(len(place)), 1 / (1 + place), np.broadcast_to(1 / (1 + weeks), place.shape), np.log2(counts[order])]
    )
    kept = place < RECENT
    recent = Ragged.from_lengths(np.minimum(own.lengths, RECENT), own.values[kept])
    return Recent(recent, features[kept].astype(np.float32))


def _standardised(scorer: Scorer, clients: I32, n_items: int) -> F32:
    """A copy of the scores with mean 0 and standard deviation 1 for each client; all 0 where they are constant."""
    scores = np.array(scored(scorer, clients, n_items), np.float32)
    scores -= scores.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.einsum("ij,ij->i", scores, scores) / n_items)
    scores /= np.where(spread > 0, spread, 1)[:, None]
    return scores


@dataclass(frozen=True)
class Lists:
    """All that can be in the first LIST places: the best items of others (n, LIST), then own recent ones (n, RECENT).

    `base` (n, LIST + RECENT): standardised scores, -inf where there is none; `features` (n, RECENT, FEATURES); `hits`
    (n, LIST + RECENT); `truth_sizes` (n,).
    """

    base: F32
    features: F32
    hits: npt.NDArray[np.bool_]
    truth_sizes: npt.NDArray[np.int64]

    @classmethod
    def joined(cls, several: Sequence["Lists"]) -> "Lists":
        """All rows of several, such as of one week after the other."""
        return cls(*(np.concatenate([getattr(each, name) for each in several]) for name in cls.__dataclass_fields__))

    def value(self, weights: Weights) -> float:
        """Their mean NDCG@10 by these weights."""
        scores = self.base.copy()
        scores[:, LIST:] += self.features @ np.array(astuple(weights), np.float32)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :LIST]
        places = Places.of_hits(np.take_along_axis(self.hits, best, axis=1))
        return float(METRICS["ndcg"](places, self.truth_sizes, LIST).mean())


def _short_lists(scorer: Scorer, past: Past, task: Task) -> Lists:
    parts = []
    for block in blocks(task.clients.size, task.n_items):
        recent = past(task.clients[block])
        scores = _standardised(scorer, task.clients[block], task.n_items)
        parts.append(_short_list(scores, recent, task.truth.take(np.arange(block.start, block.stop))))
    base, features, hits = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Lists(base, features, hits, task.truth.lengths)


def _short_list(scores: F32, recent: Recent, truth: Ragged) -> tuple[F32, F32, npt.NDArray[np.bool_]]:
    n, n_items = scores.shape
    row, place = recent.items.row_index(), recent.items.position()
    own = np.zeros(scores.shape, np.bool_)
    own[row, recent.items.values] = True
    items = np.full((n, LIST + RECENT), EMPTY, np.int32)
    base = np.full((n, LIST + RECENT), -np.inf, np.float32)
    items[:, :LIST], base[:, :LIST] = top_k(scores, LIST, own)
    items[row, LIST + place], base[row, LIST + place] = recent.items.values, scores[row, recent.items.values]
    features = np.zeros((n, RECENT, FEATURES), np.float32)
    features[row, place] = recent.features
    wanted = truth.row_index() * n_items + truth.values
    hits = np.isin(np.arange(n)[:, None] * n_items + items, wanted) & (items != EMPTY)
    return base, features, hits
