"""Item-kNN: what is bought by those who bought what the client bought."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.retrieval.baselines.choice import Fitted, best_of, matrix
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

NEIGHBOURS = (100, 20, 50, 200)  # k; the first where it is not chosen
SECONDS_A_PAIR = 2.4e-7  # of two items of one client
ROWS = 512  # items whose similarities to all are held at once


def item_knn(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer:
    """Score of an item: the sum of its similarities to the client's items that are among its k nearest ones.

    Similarity: the cosine of two items as vectors over the clients of train, each client weighted by
    ln(n_items / (1 + its distinct items)), so that those who buy everything count less (TF-IDF, items as documents).
    Sarwar et al., "Item-based collaborative filtering recommendation algorithms" (WWW 2001).
    """
    nearest = _nearest(_weighted(dataset), max(NEIGHBOURS))

    def fit(k: int) -> Fitted:
        return partial(_scorer, dataset, _of_nearest(nearest, k))

    return best_of(dataset, split, protocol, NEIGHBOURS, fit)


def item_knn_seconds(dataset: "Dataset") -> float:
    """About how long it takes to find the nearest items."""
    return SECONDS_A_PAIR * float((dataset.truth("train").lengths.astype(np.float64) ** 2).sum())


def _weighted(dataset: "Dataset") -> Any:
    """(clients, n_items), sparse: TF-IDF, columns of length one."""
    from scipy.sparse import diags

    bought = matrix(dataset.truth("train"), dataset.n_items)
    each = np.diff(bought.indptr)
    weighted = diags(np.log(np.maximum(dataset.n_items / (1 + each), 1)).astype(np.float32)) @ bought
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=0)).ravel())
    return (weighted @ diags(1 / np.maximum(lengths, 1e-12).astype(np.float32))).tocsr()


def _nearest(weighted: Any, k: int) -> Any:
    """For each item its k most similar others: sparse (n_items, n_items), each row by falling similarity, then id."""
    from scipy.sparse import csr_matrix

    n_items, by_item = weighted.shape[1], weighted.T.tocsr()
    rows = [
        _largest(similar, row, k)
        for start in range(0, n_items, ROWS)
        for row, similar in enumerate(_rows(by_item[start : start + ROWS] @ weighted), start)
    ]
    items, scores = (np.concatenate(column) for column in zip(*rows, strict=True))
    offsets = np.concatenate([[0], np.cumsum([len(items) for items, _ in rows])])
    return csr_matrix((scores, items, offsets), shape=(n_items, n_items))


def _rows(similar: Any) -> Iterator[tuple[I32, F32]]:
    similar.sort_indices()
    ends = similar.indptr
    return ((similar.indices[a:b], similar.data[a:b]) for a, b in pairwise(ends))


def _largest(similar: tuple[I32, F32], own: int, k: int) -> tuple[I32, F32]:
    items, scores = (values[(similar[0] != own) & (similar[1] > 0)] for values in similar)
    best = np.argsort(-scores, kind="stable")[:k]
    return items[best], scores[best]


def _of_nearest(nearest: Any, k: int) -> Any:
    """(n_items, n_items), sparse: column i holds the similarities of item i's k nearest."""
    from scipy.sparse import csr_matrix

    place = np.arange(nearest.nnz) - np.repeat(nearest.indptr[:-1], np.diff(nearest.indptr))
    offsets = np.concatenate([[0], np.cumsum(np.minimum(np.diff(nearest.indptr), k))])
    kept = place < k
    return csr_matrix((nearest.data[kept], nearest.indices[kept], offsets), shape=nearest.shape).T.tocsr()


def _scorer(dataset: "Dataset", similarities: Any, split: str) -> Scorer:
    history = dataset.history(*history_splits(split))

    def score(clients: I32) -> F32:
        return np.asarray((matrix(history.take(clients), dataset.n_items) @ similarities).toarray(), np.float32)

    return score
