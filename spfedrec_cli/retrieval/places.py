"""Where ground truth stands in ranked lists, when candidates of equal score stand in random order."""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I32, I64, Bool

_CELLS = 1 << 24  # (ground truth × places) compared at once


@dataclass(frozen=True)
class Places:
    """The first places of n lists, best first. A tie is a run of places of one score, mostly one place long.

    Each (n, places): `truth`, the members of the ground truth in the tie that this place belongs to; `size` >= 1, the
    candidates in that tie, those behind the list too; `index`, the places of the tie before this one. With g = size,
    every order of the tie being equally likely, the place is a hit with probability truth / g.
    """

    truth: F64
    size: F64
    index: F64

    @classmethod
    def of_hits(cls, hits: Bool) -> "Places":
        """Lists without ties: `hits` (n, places), true where ground truth stands."""
        return cls(hits.astype(np.float64), np.ones(hits.shape), np.zeros(hits.shape))

    def first(self, k: int) -> "Places":
        return Places(self.truth[:, :k], self.size[:, :k], self.index[:, :k])

    @property
    def chance(self) -> F64:
        """P(hit) of each place."""
        return self.truth / self.size

    @property
    def first_hit(self) -> F64:
        """P(the first hit is at this place): within a tie, drawing without replacement."""
        hit = np.minimum(self.truth / (self.size - self.index), 1.0)
        missed = np.cumprod(1.0 - hit, axis=1)
        before = np.hstack([np.ones((len(missed), 1)), missed[:, :-1]])
        return before * hit

    @property
    def pairs(self) -> F64:
        """E[hit(i) · (hits among places 1..i)]. Only places of one tie depend on each other."""
        chance = self.chance
        ties_before = np.cumsum(chance, axis=1) - chance * (self.index + 1)
        beside = self.index * (self.truth - 1) / np.maximum(self.size - 1, 1)
        return chance * (1 + ties_before + beside)


@dataclass(frozen=True)
class Ranking:
    """The first k places of n lists, as they would be served, and what it takes to see their ties.

    `items` int32 (n, k), best first, equal scores by item id, -1 in a place that nothing could fill; `scores` float32
    (n, k), NaN there; `tied` int64 (n,): the candidates whose score is that of the last place, those behind the list
    too (0 where the last place is empty); `truth_scores`: aligned with the task's ground truth, NaN where an item of it
    is no candidate.
    """

    items: I32
    scores: F32
    tied: I64
    truth_scores: F32

    def first(self, k: int) -> I32:
        return self.items[:, :k]


def places(ranking: Ranking, truth: Ragged, of_interest: Bool | None = None) -> Places:
    """`truth` in `ranking`; of_interest (aligned with its values) leaves the other members out of the ground truth."""
    n, k = ranking.scores.shape
    place = np.arange(k)
    begins = np.ones((n, k), np.bool_)
    begins[:, 1:] = ranking.scores[:, 1:] != ranking.scores[:, :-1]
    ends = np.ones((n, k), np.bool_)
    ends[:, :-1] = begins[:, 1:]
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, k)[:, ::-1], axis=1)[:, ::-1]
    size = (last - first + 1).astype(np.float64)
    open_ended = (last == k - 1) & (ranking.tied > 0)[:, None]
    size = np.where(open_ended, ranking.tied[:, None], size)
    found = _found(ranking, truth, of_interest).astype(np.float64)
    return Places(found, size, (place - first).astype(np.float64))


def _found(ranking: Ranking, truth: Ragged, of_interest: Bool | None) -> I64:
    """(n, k): members of the ground truth whose score is that of the place."""
    n, k = ranking.scores.shape
    rows, scores = truth.row_index(), ranking.truth_scores
    if of_interest is not None:
        rows, scores = rows[of_interest], scores[of_interest]
    counts = np.zeros(n * k, np.int64)
    step = max(1, _CELLS // k)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        which, place = np.nonzero(scores[start : start + step, None] == ranking.scores[some])
        counts += np.bincount(some[which] * k + place, minlength=n * k)
    return counts.reshape(n, k)
