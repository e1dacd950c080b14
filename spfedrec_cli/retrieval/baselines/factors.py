"""iALS: matrix factorisation of who bought what, by the library `implicit`."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.retrieval.baselines.choice import Fitted, Unavailable, best_of, matrix
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset


@dataclass(frozen=True)
class Setting:
    """`alpha`: the weight of a purchase beside 1 of a non-purchase; `penalty`: of squared weights."""

    factors: int
    alpha: float
    penalty: float


ITERATIONS = 15
WEIGHTS = ((5.0, 10.0), (2.0, 10.0), (10.0, 50.0))  # alpha, penalty
GRID = tuple(Setting(factors, *weights) for factors in (64, 32, 128) for weights in WEIGHTS)  # the first if not chosen
LARGE = 5_000_000  # pairs of client and item from which on it is not: the best on a made-up shop of 4 million
SECONDS_A_FACTOR = 3e-8  # of one pair in one iteration


def ials(dataset: "Dataset", split: str, protocol: str = "full") -> Scorer:
    """Inner products of client and item factors; a client's are solved for anew from its history at that time.

    Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008). Unavailable without
    `implicit`.
    """
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError:
        hint = "install it with `pip install 'spfedrec[baselines]'`"
        raise Unavailable("iALS needs the library implicit", hint=hint) from None
    bought = matrix(dataset.truth("train"), dataset.n_items)
    factorise = partial(_model, AlternatingLeastSquares, bought)
    return best_of(dataset, split, protocol, _grid(bought.nnz), lambda setting: _fitted(dataset, factorise(setting)))


def ials_seconds(dataset: "Dataset") -> float:
    """About how long all its fits take."""
    pairs = len(dataset.truth("train").values)
    return SECONDS_A_FACTOR * ITERATIONS * pairs * sum(setting.factors for setting in _grid(pairs))


def _grid(pairs: int) -> tuple[Setting, ...]:
    return GRID if pairs < LARGE else GRID[:1]


def _model(factorisation: Any, bought: Any, setting: Setting) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that BLAS has threads of its own: it costs time, not bits
        model = factorisation(
            factors=setting.factors,
            alpha=setting.alpha,
            regularization=setting.penalty,
            iterations=ITERATIONS,
            random_state=0,
        )
    model.fit(bought, show_progress=False)
    return model


def _fitted(dataset: "Dataset", model: Any) -> Fitted:
    def of_split(split: str) -> Scorer:
        history = dataset.history(*history_splits(split))

        def score(clients: I32) -> F32:
            bought = matrix(history.take(clients), dataset.n_items)
            factors = model.recalculate_user(np.arange(len(clients)), bought)
            return np.asarray(factors.reshape(len(clients), -1) @ model.item_factors.T, np.float32)

        return score

    return of_split
