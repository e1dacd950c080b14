"""EASE: the linear item-item model in closed form."""

from typing import TYPE_CHECKING, Any

import numpy as np

from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.retrieval.baselines.choice import Unavailable, best_of, matrix
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

LARGEST = 10_000  # items: the matrix to invert is 800 MB then
PENALTIES = (500.0, 100.0, 200.0, 1000.0, 2000.0)  # λ; the first where it is not chosen


def ease(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer:
    """Score x B of a client's items x, where B minimises |X - X B|² + λ |B|² with a diagonal of zeros.

    Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019): with P = (XᵀX + λ I)⁻¹,
    B_ij = -P_ij / P_jj. Unavailable above LARGEST items.
    """
    if dataset.n_items > LARGEST:
        problem = f"EASE inverts a matrix of items × items, up to {LARGEST:,} of them, and here are {dataset.n_items:,}"
        raise Unavailable(problem, hint="item_knn and ials have no such limit")
    bought = matrix(dataset.truth("train"), dataset.n_items)
    gram = (bought.T @ bought).toarray()
    return best_of(dataset, split, protocol, PENALTIES, lambda penalty: _fitted(dataset, item_weights(gram, penalty)))


def item_weights(gram: F32, penalty: float) -> F32:
    """B float32 (n_items, n_items)."""
    from scipy.linalg.lapack import dpotrf, dpotri

    precision = gram.astype(np.float64, order="F")
    np.fill_diagonal(precision, precision.diagonal() + penalty)
    factor, _ = dpotrf(precision, lower=0, overwrite_a=1)
    inverse, _ = dpotri(factor, lower=0, overwrite_c=1)  # the upper triangle
    diagonal = inverse.diagonal().copy()
    upper = np.triu(inverse, 1).astype(np.float32)
    del inverse, factor, precision
    return np.asarray(-(upper + upper.T) / diagonal.astype(np.float32), np.float32)


def _fitted(dataset: "Dataset", weights: F32) -> Any:
    def of_split(split: str) -> Scorer:
        history = dataset.history(*history_splits(split))

        def score(clients: I32) -> F32:
            return np.asarray(matrix(history.take(clients), dataset.n_items) @ weights, np.float32)

        return score

    return of_split
