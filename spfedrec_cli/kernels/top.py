"""The best items of every row, kept while scores come by, a piece of the catalogue at a time."""

import numpy as np

from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.kernels.compiling import called, inlined_as_written

_CHUNK = 256  # scores that are passed over at once, where none of them is good enough


@called
def keep_best(scores: F32, first: int, items: I32, best: F32) -> None:
    """Take the scores (n, w) of the items first … first + w − 1 into the lists of every row, items and best (n, k).

    A list is ordered by score, descending, then by item, as long as pieces come in the order of their items. A place
    that nothing has filled yet has the score NaN, and an item whose score is NaN is not ranked.
    """
    width = scores.shape[1]
    for row in range(len(scores)):
        for start in range(0, width, _CHUNK):
            chunk = scores[row, start : min(start + _CHUNK, width)]
            if _any_enters(chunk, best[row, -1]):
                for place in range(len(chunk)):
                    if _enters(chunk[place], best[row, -1]):
                        _insert(items[row], best[row], first + start + place, chunk[place])


@inlined_as_written
def _enters(score: np.float32, last: np.float32) -> bool:
    return bool(score == score) and not bool(score <= last)


@inlined_as_written
def _any_enters(scores: F32, last: np.float32) -> bool:
    """Whether any may; counted, since a loop without an exit is done in vectors."""
    count = np.int32(0)
    for place in range(len(scores)):
        count = np.int32(count + (np.int32(0) if scores[place] <= last else np.int32(1)))
    return bool(count > 0)


@inlined_as_written
def _insert(items: I32, best: F32, item: int, score: np.float32) -> None:
    """In front of the first that is worse, or of the first empty place."""
    place = len(best) - 1
    while place > 0 and not best[place - 1] >= score:
        best[place], items[place] = best[place - 1], items[place - 1]
        place -= 1
    best[place], items[place] = score, item
