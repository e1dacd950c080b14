"""What a model must beat. A baseline is a function (dataset, split, protocol) -> Scorer, and a row of
BASELINES.

A function returns None where its baseline says nothing about the Dataset, and raises Unavailable where it would but
cannot be had. What is learned comes from train alone; histories are what a model may know at the time of the split
(`history_splits`); settings are chosen on validation under the same protocol, where that is not what is predicted.
"""

from collections.abc import Sequence

from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.retrieval.baselines.choice import Baseline, Chosen, Seconds, Unavailable
from spfedrec_cli.retrieval.baselines.factors import ials, ials_seconds
from spfedrec_cli.retrieval.baselines.linear import ease
from spfedrec_cli.retrieval.baselines.neighbours import item_knn, item_knn_seconds
from spfedrec_cli.retrieval.baselines.oracle import best_possible
from spfedrec_cli.retrieval.baselines.popular import popularity, popularity_7_days
from spfedrec_cli.retrieval.baselines.repeat import repeat_last, repeat_often

__all__ = ["ALL", "BASELINES", "SECONDS", "Baseline", "Chosen", "Unavailable", "known"]

BASELINES: dict[str, Baseline] = {
    "popularity": popularity,
    "popularity_7_days": popularity_7_days,
    "repeat_last": repeat_last,
    "repeat_often": repeat_often,
    "item_knn": item_knn,
    "ease": ease,
    "ials": ials,
    "best_possible": best_possible,
}

ALL = "all"  # names every one of them

# About how many seconds those take that take minutes on a large Dataset.
SECONDS: dict[str, Seconds] = {"item_knn": item_knn_seconds, "ials": ials_seconds}


def known(names: Sequence[str], also: Sequence[str] = (ALL,)) -> list[str]:
    """`names` in the order of BASELINES, each once; all where ALL is among them. InputError for one that is neither a
    baseline nor in `also`."""
    for name in names:
        if name not in (*BASELINES, *also):
            near = nearest(name, list(BASELINES))
            advice = f"did you mean {near}?" if near else f"choose from {', '.join((*BASELINES, *also))}"
            raise InputError(f"There is no baseline '{name}'", hint=advice)
    return [name for name in BASELINES if name in names or ALL in names]
