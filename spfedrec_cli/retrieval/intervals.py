"""How sure a mean over clients is: bootstrap intervals, and paired tests of differences.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile intervals. Clients are drawn again, not
purchases: those of one client depend on each other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64
from spfedrec_cli.rng import uniform, uniform_rows

Interval = tuple[float, float]

REPLICATES = 1000
HANDS = 1024  # clients are drawn in so many hands, one by one where they are no more
LEVEL = 0.95
FEW = 50  # differences, of which SciPy may ask all signs
_SEED = 0


def intervals(per_client: Mapping[str, F64], clients: npt.NDArray[np.integer] | None = None) -> dict[str, Interval]:
    """The 95 % bootstrap interval of the mean of each metric; all arrays (n,) are of the same n >= 1 rows.

    A row is a client, or where `clients` (n,) says whose it is, one week of it: then clients are drawn, each with all
    its weeks, which depend on each other. A replicate is the sum of the values of those drawn ÷ how many values they
    have. A value that is NaN is none.
    """
    if not per_client:
        return {}
    values = np.column_stack(list(per_client.values()))
    counted = ~np.isnan(values)
    columns = np.hstack([np.where(counted, values, 0.0), counted])
    drawn = replicates(columns if clients is None else _by_client(columns, clients))
    sums, counts = np.split(drawn, 2, axis=1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    low, high = np.nanquantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(per_client)}


def _by_client(columns: F64, clients: npt.NDArray[np.integer]) -> F64:
    """The sums of `columns` (n, m) over the rows of each client."""
    _, of = np.unique(clients, return_inverse=True)
    order = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.diff(of[order], prepend=-1))
    return np.asarray(np.add.reduceat(columns[order], starts, axis=0), np.float64)


def replicates(values: F64) -> F64:
    """(REPLICATES, columns): the means of `values` (n, columns) over n clients drawn with replacement.

    Of more than HANDS clients, as many hands are dealt at random, as equal in size as can be, and hands are drawn with
    replacement: the spread of the mean is the same, at a cost that does not grow. The draws depend on n alone, so that
    two runs on the same clients are resampled alike.
    """
    n = len(values)
    if n <= HANDS:
        return np.asarray(_draws(n) @ values / n, np.float64)
    order, starts = _deal(n)
    sums = np.add.reduceat(values[order], starts, axis=0)
    sizes = np.diff(np.append(starts, n)).astype(np.float64)
    return np.asarray((_draws(HANDS) @ sums) / (_draws(HANDS) @ sizes)[:, None], np.float64)


@lru_cache(maxsize=4)
def _draws(n: int) -> F64:
    """(REPLICATES, n): how often each of n was drawn, n draws a replicate."""
    drawn = (uniform_rows(_SEED, "bootstrap", np.arange(REPLICATES), 0, n) * n).astype(np.int64)
    flat = (drawn + n * np.arange(REPLICATES)[:, None]).ravel()
    return np.bincount(flat, minlength=REPLICATES * n).reshape(REPLICATES, n).astype(np.float64)


@lru_cache(maxsize=4)
def _deal(n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """An order of n clients, and where in it each hand begins."""
    order = np.argsort(uniform(_SEED, "bootstrap/hands", np.arange(n)), kind="stable")
    return order, np.arange(HANDS) * n // HANDS


@dataclass(frozen=True)
class Difference:
    """One metric of one run less that of another, paired by client. `p` of the Wilcoxon signed-rank test."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Paired:
    """The first less this one, by metric; `p_holm`: p of the signed-rank tests, corrected for all those made."""

    name: str
    differences: dict[str, Difference]
    p_holm: dict[str, float]


def differences(first: Mapping[str, F64], second: Mapping[str, F64]) -> dict[str, Difference]:
    """first - second for each metric of both; arrays (n,) aligned by client, NaN where neither has a value."""
    paired = {name: first[name] - second[name] for name in first if name in second}
    spread = intervals(paired)
    return {
        name: Difference(float(np.nanmean(values)), *spread[name], signed_rank(values))
        for name, values in paired.items()
    }


def signed_rank(values: F64) -> float:
    """p of Wilcoxon's signed-rank test, two-sided, without the clients who differ in nothing; 1 where all are such.

    Wilcoxon, "Individual comparisons by ranking methods" (Biometrics Bulletin 1, 1945), as SciPy has it: exact for few
    clients without ties, else by the normal approximation.
    """
    differing = values[(values != 0) & ~np.isnan(values)]
    if len(differing) > FEW:
        return _by_normal(differing)
    if not len(differing):
        return 1.0
    from scipy.stats import wilcoxon  # half a second to a second, which tests of many do without

    return float(wilcoxon(differing).pvalue)


def _by_normal(differing: F64) -> float:
    """Of the sum of ranks of what is positive; equal ones share their mean rank, which narrows its spread."""
    _, group, sizes = np.unique(np.abs(differing), return_inverse=True, return_counts=True)
    ranks = np.cumsum(sizes) - (sizes - 1) / 2
    n, ties = float(len(differing)), sizes.astype(np.float64)
    spread = (n * (n + 1) * (2 * n + 1) - (ties**3 - ties).sum() / 2) / 24
    z = (ranks[group][differing > 0].sum() - n * (n + 1) / 4) / math.sqrt(spread)
    return math.erfc(abs(z) / math.sqrt(2))


def holm(p: npt.NDArray[np.float64]) -> F64:
    """Adjusted p-values (m,), which hold together: Holm, "A simple sequentially rejective multiple test procedure"
    (Scandinavian Journal of Statistics 6, 1979). max over j <= i of (m - j + 1) p_(j), at most 1."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
