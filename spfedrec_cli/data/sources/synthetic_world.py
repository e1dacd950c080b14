"""The articles of the synthetic shop: clusters, popularity, seasons and prices."""

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.schema import OracleEntry
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.rng import uniform, uniform_rows

I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

WEEKS = -(-facts.DAYS // 7)
_FIRST_WEEK = facts.LAST_DAY - 7 * WEEKS + 1
_FEWEST_IN_CLUSTER, _MOST_IN_CLUSTER, _SMALL_CLUSTERS = 10, 799, 50
_PURITY, _PURE_CLUSTER, _DILUTION = 0.8, 20, 0.4
_REPEAT, _AGAIN, _SEASON = 0.0325, 1 / 38, 0.5


def make_world(seed: int, n_items: int) -> World:
    """Articles whose sales have H&M's distribution; each cluster gets its part of every level of popularity.

    The weeks end with the last day, so that the week of a temporal split's test is one of them.
    """
    clusters = _clusters(n_items)
    entry = OracleEntry(
        clusters=clusters,
        purity=purity(n_items / clusters),
        repeat=_REPEAT,
        again=_AGAIN,
        season=_SEASON,
        first_day=_FIRST_WEEK,
        weeks=WEEKS,
    )
    items = np.arange(n_items)
    rank = _ranks(uniform(seed, "synthetic/rank", items))
    place = np.empty(n_items, np.int64)
    place[np.lexsort((uniform(seed, "synthetic/cluster", items), rank // clusters))] = items
    popularity = facts.SALES(1 - (rank + 0.5) / n_items)
    return World(entry, (place % clusters).astype(np.int32), popularity, uniform(seed, "synthetic/phase", items))


def _clusters(n_items: int) -> int:
    """50 of at least ten articles; in a large catalogue more, as many as H&M has product types at its size."""
    few = min(_SMALL_CLUSTERS, n_items // _FEWEST_IN_CLUSTER)
    return max(few, min(facts.LEVELS["product_type"], n_items // _MOST_IN_CLUSTER))


def purity(cluster_size: float) -> float:
    """Weaker for larger clusters: see docs/synthetic.md, `the same article again`."""
    return float(_PURITY * min(1.0, _PURE_CLUSTER / cluster_size) ** _DILUTION)


def cents(seed: int, n_items: int) -> I16:
    """(n_items, weeks): the price in hundredths of each article in each week, with its discount."""
    items = np.arange(n_items)
    base = np.array(facts.PRICES.values, np.int32)[facts.PRICES(uniform(seed, "synthetic/price", items))]
    level = facts.PERCENT(uniform_rows(seed, "synthetic/discount", items, 0, WEEKS))
    return np.asarray(base[:, None] * np.array(facts.PERCENT.values, np.int32)[level] // 100, np.int16)


def _ranks(keys: F64) -> I64:
    """The place of each key among all in ascending order."""
    ranks = np.empty(len(keys), np.int64)
    ranks[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    return ranks
