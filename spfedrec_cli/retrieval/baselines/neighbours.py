"""Item-kNN: what is bought by those who bought what the client bought."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.retrieval.baselines.choice import best_of, matrix
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits
from spfedrec_cli.retrieval.index import F32, I32, blocks, top_k

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

NEIGHBOURS = (100, 20, 50, 200, 400)  # the first where they are not chosen


def item_knn(dataset: "Dataset", split: str) -> Scorer:
    """Score of an item: the sum of its similarities to the client's items that are among its k nearest ones.

    Similarity: the cosine of two items as vectors over the clients of train, each client weighted by
    ln(n_items / (1 + its distinct items)), so that those who buy everything count less (TF-IDF, items as documents).
    Sarwar et al., "Item-based collaborative filtering recommendation algorithms" (WWW 2001).
    """
    nearest = _nearest(_weighted(dataset), max(NEIGHBOURS))
    return best_of(dataset, split, NEIGHBOURS, lambda k: lambda to: _scorer(dataset, to, _similarities(*nearest, k)))


def _weighted(dataset: "Dataset") -> Any:
    """(clients, n_items), sparse: TF-IDF, columns of length one."""
    from scipy.sparse import diags

    bought = matrix(dataset.truth("train"), dataset.n_items)
    each = np.diff(bought.indptr)
    weighted = diags(np.log(np.maximum(dataset.n_items / (1 + each), 1)).astype(np.float32)) @ bought
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=0)).ravel())
    return (weighted @ diags(1 / np.maximum(lengths, 1e-12).astype(np.float32))).tocsr()


def _nearest(weighted: Any, k: int) -> tuple[I32, F32]:
    """For each item its k most similar others and their similarity, -1 behind them: (n_items, k) each."""
    n_items, by_item = weighted.shape[1], weighted.T.tocsr()
    k = min(k, n_items)
    items, scores = np.empty((n_items, k), np.int32), np.empty((n_items, k), np.float32)
    for block in blocks(n_items, n_items):
        dense = (by_item[block] @ weighted).toarray()
        rows = np.arange(block.start, block.stop)
        dense[rows - block.start, rows] = 0
        items[block], scores[block] = top_k(dense, k)
    items[scores <= 0] = -1
    return items, scores


def _similarities(items: I32, scores: F32, k: int) -> Any:
    """(n_items, n_items), sparse: column i holds the similarities of item i's k nearest."""
    from scipy.sparse import csr_matrix

    kept = items[:, :k] >= 0
    offsets: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    shape = (len(items), len(items))
    return csr_matrix((scores[:, :k][kept], items[:, :k][kept], offsets), shape=shape).T.tocsr()


def _scorer(dataset: "Dataset", split: str, similarities: Any) -> Scorer:
    history = dataset.history(*history_splits(split))

    def score(clients: I32) -> F32:
        return np.asarray((matrix(history.take(clients), dataset.n_items) @ similarities).toarray(), np.float32)

    return score
