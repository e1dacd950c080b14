"""The articles of the synthetic shop: clusters, popularity, seasons and prices."""

import numpy as np

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.schema import OracleEntry
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.dtypes import F64, I16, I32, I64
from spfedrec_cli.rng import uniform, uniform_rows

WEEKS = -(-facts.DAYS // 7)
_FIRST_WEEK = facts.LAST_DAY - 7 * WEEKS + 1
_FEWEST_IN_CLUSTER, _MOST_IN_CLUSTER, _SMALL_CLUSTERS = 10, 799, 50
_PURITY, _PURE_CLUSTER, _DILUTION = 0.8, 20, 0.4
_AGAIN, _SEASON = 1 / 38, 0.5
# Fitted: the share of repeats by chance is 28 times the chance that two purchases of a customer are the same article,
# and five purchases in six are made on a later day than the customer's first.
_REPEATS, _FEWEST_REPEATS, _MEETINGS, _LATER = 0.038, 0.005, 28, 5 / 6


def make_world(seed: int, n_items: int) -> World:
    """Articles whose sales have H&M's distribution; each cluster gets its part of every level of popularity.

    The weeks end with the last day, so that the week of a temporal split's test is one of them.
    """
    clusters, items = _clusters(n_items), np.arange(n_items)
    rank = _ranks(uniform(seed, "synthetic/rank", items))
    popularity = facts.SALES(1 - (rank + 0.5) / n_items)
    place = np.empty(n_items, np.int64)
    place[np.lexsort((uniform(seed, "synthetic/cluster", items), rank // clusters))] = items
    cluster = (place % clusters).astype(np.int32)
    pure = purity(n_items / clusters)
    entry = OracleEntry(
        clusters=clusters,
        purity=pure,
        repeat=repeat(popularity, cluster, pure),
        again=_AGAIN,
        season=_SEASON,
        first_day=_FIRST_WEEK,
        weeks=WEEKS,
    )
    return World(entry, cluster, popularity, uniform(seed, "synthetic/phase", items))


def _clusters(n_items: int) -> int:
    """50 of at least ten articles; in a large catalogue more, as many as H&M has product types at its size."""
    few = min(_SMALL_CLUSTERS, n_items // _FEWEST_IN_CLUSTER)
    return max(few, min(facts.LEVELS["product_type"], n_items // _MOST_IN_CLUSTER))


def purity(cluster_size: float) -> float:
    """Weaker for larger clusters: see docs/synthetic.md, `the same article again`."""
    return float(_PURITY * min(1.0, _PURE_CLUSTER / cluster_size) ** _DILUTION)


def repeat(popularity: F64, cluster: I32, pure: float) -> float:
    """What chance leaves of H&M's share of purchases that repeat an earlier day's; in a small catalogue hardly any."""
    own = popularity / np.bincount(cluster, popularity)[cluster]
    any_ = popularity / popularity.sum()
    meet = pure**2 * (own**2).sum() / (cluster.max() + 1) + (1 - pure**2) * (any_**2).sum()
    return float(max(_FEWEST_REPEATS, (_REPEATS - _MEETINGS * meet) / _LATER))


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
