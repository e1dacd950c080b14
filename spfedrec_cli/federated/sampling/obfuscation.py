"""What a client asks the server for: its purchased items V+ hidden among obfuscating items V−.

V− are draws with replacement from a public distribution, of which the first ceil(P·|V+|) that are distinct and not the
client's own are kept. Where almost the whole catalogue is wanted, the same law is drawn as a race instead (item j
arrives after an exponential time of rate q_j; the first ones win), which costs one draw an item and always ends.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.config import RequestConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F64, I64, U64
from spfedrec_cli.kernels.tries import Law, Wanted, draw
from spfedrec_cli.rng import uniform_own
from spfedrec_cli.threads import shared

TRIES, RACE = 0, 1  # streams of a device's own draws
RACE_SHARE = 8  # race where more than one in so many of the available items is wanted
_PATIENCE = 32  # times the draws that are likely to do, before the race takes over
_RACE_CELLS = 1 << 22  # (clients × items) of one block of races


@dataclass(frozen=True)
class Obfuscation:
    """V− of some clients: `items` ragged, and the probability with which each was drawn in, aligned with its values."""

    items: Ragged
    inclusion: F64

    def take(self, rows: I64) -> "Obfuscation":
        """Those of the named rows."""
        places = Ragged(self.items.offsets, np.arange(len(self.inclusion), dtype=np.int32)).take(rows)
        return Obfuscation(Ragged(places.offsets, self.items.values[places.values]), self.inclusion[places.values])


def popularity_weights(request: RequestConfig, counts: npt.NDArray[np.integer]) -> F64:
    """q: the public distribution (n_items,) that obfuscating items come from, summing to 1."""
    weights = counts.astype(np.float64) if request.negatives == "popularity" else np.ones(len(counts))
    return np.asarray(weights / max(weights.sum(), 1e-300), np.float64)


def draw_obfuscating(
    request: RequestConfig, q: F64, keys: U64, purchased: Ragged, round_: int, threads: int = 1
) -> Obfuscation:
    """V− of each of some clients (K,), whose keys (K, 2) go with the rows of `purchased`, their distinct purchases.

    A client's items depend on its own key and purchases alone; memoised (redraw = false) they stay the same in all
    rounds. Fewer than ceil(P·|V+|) come where the distribution has no more items to give.
    """
    epoch = round_ if request.redraw else 0
    wanted = np.ceil(request.rate * purchased.lengths).astype(np.int64)
    drawable = q > 0
    own = np.bincount(purchased.row_index(), weights=drawable[purchased.values], minlength=len(keys))
    available = int(drawable.sum()) - own.astype(np.int64)
    wanted = np.minimum(wanted, np.maximum(available, 0))
    racing = wanted * RACE_SHARE > available
    items = np.zeros(int(wanted.sum()), np.int32)
    inclusion = np.empty(len(items))
    slots = Ragged.from_lengths(wanted, items)
    tries = (wanted + wanted // 4 + 8) * _PATIENCE * (~racing & (wanted > 0))
    racing |= (_by_tries(q, keys, purchased, epoch, slots, inclusion, tries, threads) == 0) & (wanted > 0)
    _by_race(q, keys, purchased, epoch, slots, inclusion, np.flatnonzero(racing & (wanted > 0)))
    return Obfuscation(slots, inclusion)


def _by_tries(
    q: F64,
    keys: U64,
    purchased: Ragged,
    epoch: int,
    slots: Ragged,
    inclusion: F64,
    tries: I64,
    threads: int,
) -> I64:
    """Fill the slots of those who have any tries (K,); returns how many they took (K,), 0 where they did not suffice.

    The inclusion probability of item j is 1 − (1 − q_j / (1 − q(V+)))^T, T being the draws made that hit no item of V+.
    """
    made = np.zeros(len(keys), np.int64)
    if not tries.any():
        return made
    law = Law.of(q)

    def fill(rows: slice) -> None:
        bounds = slice(rows.start, rows.stop + 1)
        own_starts, starts, mine = purchased.offsets[bounds], slots.offsets[bounds], made[rows]
        wanted = Wanted(keys[rows], own_starts, purchased.values, starts, slots.values, tries[rows])
        draw(law, np.uint64(TRIES), np.uint64(epoch), wanted, np.zeros(len(q), np.int32), mine)
        own, filled = (slice(each[0], each[-1]) for each in (own_starts, starts))
        of_own = np.repeat(np.arange(len(mine)), np.diff(own_starts))
        left = 1.0 - np.bincount(of_own, weights=q[purchased.values[own]], minlength=len(mine))
        each = np.diff(starts)
        chance = (q[slots.values[filled]] / np.repeat(np.maximum(left, 1e-300), each)).clip(max=1 - 1e-15)
        inclusion[filled] = -np.expm1(np.repeat(mine, each) * np.log1p(-chance))

    cuts = np.linspace(0, len(keys), threads + 1).astype(int)
    shared(fill, [slice(begin, end) for begin, end in itertools.pairwise(cuts)], threads)
    return made


def _by_race(q: F64, keys: U64, purchased: Ragged, epoch: int, slots: Ragged, inclusion: F64, rows: I64) -> None:
    """Fill the slots of `rows` with the first arrivals.

    Given the time τ of the first item left out, item j was in with probability 1 − exp(−q_j τ): priority sampling
    without replacement, unbiased (Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).
    """
    step = max(1, _RACE_CELLS // len(q))
    for block in (rows[start : start + step] for start in range(0, len(rows), step)):
        u = uniform_own(keys[block], RACE, epoch, len(q))
        with np.errstate(divide="ignore"):
            arrival = -np.log(u) / q
        own = purchased.take(block)
        arrival[own.row_index(), own.values] = np.inf
        order = np.argsort(arrival, axis=1, kind="stable")
        for place, row in enumerate(block):
            need = int(slots.lengths[row])
            winners = order[place, :need]
            end = arrival[place, order[place, need]] if need < len(q) else np.inf
            slots.values[slots.offsets[row] : slots.offsets[row + 1]] = winners
            inclusion[slots.offsets[row] : slots.offsets[row + 1]] = -np.expm1(-q[winners] * end)
