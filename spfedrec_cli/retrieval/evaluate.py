"""Rank the catalogue, or a client's ground truth among its fixed negatives, and measure where the ground truth lies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I32, Bool
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval.index import EMPTY, blocks, exclusions, refuse_nan, top_k
from spfedrec_cli.retrieval.metrics import APART, CATALOGUE_METRICS, LIST_METRICS, METRICS, Lists, recall
from spfedrec_cli.retrieval.places import Places, Ranking, places
from spfedrec_cli.retrieval.task import Task, history_splits, make_task

__all__ = ["Evaluation", "Scorer", "Task", "evaluate", "history_splits", "make_task", "measure", "rank"]

Scorer = Callable[[I32], F32]  # dense client ids (n,) -> a score for every item (n, n_items), larger is better


@dataclass(frozen=True)
class Evaluation:
    """`per_client`: "ndcg@10" -> float64 aligned with `clients` (n,), NaN where a client has no such value; `metrics`:
    their means, and those of all lists together, such as coverage@k."""

    split: str
    protocol: str
    candidates: str
    clients: I32
    skipped: int
    per_client: dict[str, F64]
    metrics: dict[str, float]


def evaluate(
    scorer: Scorer, task: Task, ks: Sequence[int], surprise: F64 | None = None, again: Bool | None = None
) -> Evaluation:
    """`rank`, then `measure`."""
    cutoffs = checked(ks, task)
    return measure(rank(scorer, task, cutoffs[-1]), task, cutoffs, surprise, again)


def measure(
    ranking: Ranking, task: Task, ks: Sequence[int], surprise: F64 | None = None, again: Bool | None = None
) -> Evaluation:
    """Every metric at every k, for each client and on average.

    METRICS always; APART where `again` is given, aligned with the ground truth: whether the client had bought the item
    before. LIST_METRICS and CATALOGUE_METRICS in the full protocol, where the lists are not given; of these
    LIST_METRICS where the self-information of items, `surprise` (n_items,), is given.
    """
    per_client = accuracy(places(ranking, task.truth), task.truth.lengths, ks)
    if again is not None:
        per_client |= apart(ranking, task.truth, again, ks)
    overall: dict[str, float] = {}
    if task.protocol == "full":
        overall = {
            f"{name}@{k}": metric(ranking.items, task.n_items, k)
            for name, metric in CATALOGUE_METRICS.items()
            for k in ks
        }
        if surprise is not None:
            lists = Lists(ranking.items, surprise, _means(task.truth, surprise))
            per_client |= {f"{name}@{k}": metric(lists, k) for name, metric in LIST_METRICS.items() for k in ks}
    metrics = means(per_client) | overall
    return Evaluation(task.split, task.protocol, task.pool, task.clients, task.skipped, per_client, metrics)


def means(per_client: Mapping[str, F64]) -> dict[str, float]:
    """Of each metric over the clients who have a value."""
    return {name: float(np.nanmean(values)) for name, values in per_client.items()}


def accuracy(found: Places, truth_sizes: npt.NDArray[np.int64], ks: Sequence[int]) -> dict[str, F64]:
    """METRICS at every k for each client."""
    return {f"{name}@{k}": metric(found, truth_sizes, k) for name, metric in METRICS.items() for k in ks}


def apart(ranking: Ranking, truth: Ragged, again: Bool, ks: Sequence[int]) -> dict[str, F64]:
    """APART at every k: recall of the ground truth that is new to the client, and of what it buys `again`, each for the
    clients who have any; NaN for the others. Left out where nobody has any."""
    found: dict[str, F64] = {}
    for name, members in zip(APART, (~again, again), strict=True):
        sizes = np.bincount(truth.row_index()[members], minlength=len(truth))
        if sizes.any():
            hits = places(ranking, truth, members)
            values = ((k, recall(hits, np.maximum(sizes, 1), k)) for k in ks)
            found |= {f"{name}@{k}": np.where(sizes > 0, of, np.nan) for k, of in values}
    return found


def rank(scorer: Scorer, task: Task, k: int) -> Ranking:
    """The first k places for each client. Scores are held a block at a time; SpfedrecError where one is NaN."""
    n = task.clients.size
    ranking = Ranking(
        np.empty((n, k), np.int32),
        np.empty((n, k), np.float32),
        np.zeros(n, np.int64),
        np.empty(len(task.truth.values), np.float32),
    )
    for block in blocks(n, task.n_items):
        rows = np.arange(block.start, block.stop)
        scores = scored(scorer, task.clients[block], task.n_items)
        truth = task.truth.take(rows)
        own = slice(int(task.truth.offsets[block.start]), int(task.truth.offsets[block.stop]))
        part = _rank_block(scores, task, rows, truth, k)
        ranking.items[block], ranking.scores[block], ranking.tied[block] = part.items, part.scores, part.tied
        ranking.truth_scores[own] = part.truth_scores
    return ranking


def checked(ks: Sequence[int], task: Task) -> list[int]:
    """Distinct, ascending. InputError where a k is below 1 or above the number of candidates."""
    most = task.most_candidates
    if not ks or min(ks) < 1:
        raise InputError("k must be 1 or more", hint="for example -k 10")
    if max(ks) > most:
        raise InputError(f"k = {max(ks)} is more than the {most} candidates", hint="choose a smaller k")
    return sorted(set(ks))


def scored(scorer: Scorer, clients: I32, n_items: int) -> F32:
    """The scorer's answer, (n, n_items). SpfedrecError where it has another shape or holds a NaN."""
    scores = np.asarray(scorer(clients), np.float32)
    if scores.shape != (clients.size, n_items):
        raise SpfedrecError(f"A scorer gave scores of shape {scores.shape}, not {(clients.size, n_items)}")
    refuse_nan(scores, clients)
    return scores


def _rank_block(scores: F32, task: Task, rows: npt.NDArray[np.int64], truth: Ragged, k: int) -> Ranking:
    """Some clients' places: of all items, or of the ground truth and negatives alone."""
    row = truth.row_index()
    truth_scores = scores[row, truth.values]
    if task.negatives is None:
        seen = None if task.seen is None else task.seen.take(rows)
        excluded = exclusions(task.n_items, len(rows), seen, task.candidates)
        items, best, tied = _top(scores, k, excluded)
        if excluded is not None:
            truth_scores[excluded[row, truth.values]] = np.nan
        return Ranking(items, best, tied, truth_scores)
    # Ids ascend along a list, so that equal scores go by id.
    lists = np.sort(np.hstack([truth.padded(EMPTY), task.negatives[rows]]), axis=1)
    at, best, tied = _top(np.take_along_axis(scores, lists, axis=1), k, lists == EMPTY)
    items = np.where(at == EMPTY, np.int32(EMPTY), np.take_along_axis(lists, at, axis=1))
    return Ranking(items, best, tied, truth_scores)


def _top(scores: F32, k: int, excluded: Bool | None) -> tuple[I32, F32, npt.NDArray[np.int64]]:
    """Items, scores (NaN in an empty place), and how many candidates have the score of the last place."""
    items, best = top_k(scores, k + 1, excluded)
    last, filled = best[:, k - 1], items[:, k - 1] != EMPTY
    tied = np.where(filled, (best[:, :k] == last[:, None]).sum(axis=1), 0)
    for row in np.flatnonzero((items[:, k] != EMPTY) & (best[:, k] == last)):
        equal = scores[row] == last[row]
        tied[row] = equal.sum() if excluded is None else (equal & ~excluded[row]).sum()
    empty = items[:, :k] == EMPTY
    return items[:, :k], np.where(empty, np.float32(np.nan), best[:, :k]), tied


def _means(truth: Ragged, values: F64) -> F64:
    """(n,): the mean of `values` (n_items,) over each row's items."""
    sums = np.bincount(truth.row_index(), weights=values[truth.values], minlength=len(truth))
    return np.asarray(sums / truth.lengths, np.float64)
