"""How good a guess is: AUC and precision with 95 % intervals by bootstrap over subjects, and what canaries bound."""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli.dtypes import F64, I64, Bool

REPLICATES = 300
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Verdict:
    """Of a guess: `auc`, the chance that a true claim scores above a false one (ties count half), and `precision`, the
    share of true ones among the claims that are named, each with its 95 % interval; `chance`, the share of true ones
    among all."""

    auc: float
    low: float
    high: float
    precision: float
    precision_low: float
    precision_high: float
    chance: float
    subjects: int
    claims: int


def judge(subjects: I64, scores: F64, true: Bool, named: Bool | None = None, seed: int = 0) -> Verdict | None:
    """Of claims (n,); None where all are true, or all are false. Where none is named, of each subject the best scores
    are, as many as there are true ones.

    Claims are compared with those about the same subject, and the AUC is the mean over subjects; where no subject has
    both kinds, claims are compared with all others.
    """
    if not len(true) or true.all() or not true.any():
        return None
    named = most_likely(subjects, scores, true) if named is None else named
    who, place = np.unique(subjects, return_inverse=True)
    weights = np.random.default_rng(seed).multinomial(len(who), np.full(len(who), 1 / len(who)), REPLICATES)
    auc, aucs = _mean_auc(place, scores, true, weights)
    named_of = np.bincount(place, named, len(who))
    right_of = np.bincount(place, named & true, len(who))
    with np.errstate(invalid="ignore"):
        precisions = (weights @ right_of) / (weights @ named_of)
    precision = float(right_of.sum() / max(1, named_of.sum()))
    figures = (auc, *_middle(aucs), precision, *_middle(precisions))
    return Verdict(*figures, float(true.mean()), len(who), len(true))


def _mean_auc(place: I64, scores: F64, true: Bool, weights: I64) -> tuple[float, F64]:
    """The AUC, and that of every replicate, whose subjects weigh so much (r, k)."""
    within = auc_within(place, scores, true)
    judged = np.isfinite(within)
    if not judged.any():
        pooled = auc_within(np.zeros_like(place), scores, true)[0]
        return float(pooled), np.array([_pooled(place, scores, true, each) for each in weights])
    with np.errstate(invalid="ignore"):
        means = weights[:, judged] @ within[judged] / weights[:, judged].sum(1)
    return float(within[judged].mean()), means


def _pooled(place: I64, scores: F64, true: Bool, weight: I64) -> float:
    drawn = np.repeat(np.arange(len(place)), weight[place])
    return float(auc_within(np.zeros(len(drawn), np.int64), scores[drawn], true[drawn])[0])


def auc_within(place: I64, scores: F64, true: Bool) -> F64:
    """Of each subject (k,), to whom the claims (n,) belong by `place`: Mann and Whitney's U over its largest value,
    which is true claims times false ones; nan where one of them is 0."""
    order = np.lexsort((scores, place))
    whose, ordered, right = place[order], scores[order], true[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (whose[1:] != whose[:-1]) | (ordered[1:] != ordered[:-1])
    starts = np.flatnonzero(new)
    rights, wrongs = (np.add.reduceat(each.astype(np.float64), starts) for each in (right, ~right))
    subject, size = whose[starts], int(place.max(initial=-1)) + 1
    of_right, of_wrong = (np.bincount(subject, each, size) for each in (rights, wrongs))
    before = np.cumsum(wrongs) - wrongs
    first = np.searchsorted(subject, np.arange(size))
    below = before - before[np.minimum(first, len(before) - 1)][subject]
    above = np.bincount(subject, rights * (below + wrongs / 2), size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / (of_right * of_wrong), np.float64)


def _middle(values: F64) -> tuple[float, float]:
    found = values[np.isfinite(values)]
    if not len(found):
        return 0.0, 1.0
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def most_likely(subjects: I64, scores: F64, true: Bool) -> Bool:
    """Of each subject the best scores, as many as it has true claims; ties in the order given."""
    order = np.lexsort((-scores, subjects))
    who, starts, counts = np.unique(subjects[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    wanted = np.repeat(np.add.reduceat(true[order].astype(np.int64), starts), counts) if len(who) else rank
    named = np.zeros(len(order), np.bool_)
    named[order] = rank < wanted
    return named


def epsilon_bound(right: int, guesses: int, confidence: float = CONFIDENCE) -> float:
    """The ε that holds at least, where so many of the guesses between two planted halves were right; 0 where nothing
    is shown.

    A pure ε-DP training lets nobody be right more often than e^ε / (1 + e^ε), whatever the canaries (Steinke, Nasr and
    Jagielski, "Privacy auditing with one training run", 2023, theorem 2); the share is bounded from below by Clopper
    and Pearson.
    """
    if right == 0:
        return 0.0
    from scipy import stats  # .5 s, which commands that judge nothing do without

    share = float(stats.beta.ppf(1 - confidence, right, guesses - right + 1))
    return float(max(0.0, np.log(share / (1 - share))))
