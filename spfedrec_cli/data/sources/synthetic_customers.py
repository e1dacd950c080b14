"""The customers of the synthetic shop: how much they buy, on which days, through which channel.

A customer's purchases fall into visits: each after the first opens a new one with a probability of the customer's own.
The gaps between visits are log-normal, so that there are bursts and long silences; they are wound once around the
whole period, from a start at random, and so every day of the period is equally likely, but for the yearly season.
Visits of a customer that fall on the same day become one.
"""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.dtypes import F64, I8, I32, I64
from spfedrec_cli.rng import quads, uniform

_BASKET, _BASKET_SPREAD = 1.72, 0.8
_GAP_SPREAD = 1.0
_UNIT = 2.0**20


@dataclass(frozen=True)
class Rows:
    """The purchases of some customers, sorted by (client, day): each (n,) but `start`, where a client's rows begin.

    `client` counts from 0 within these customers; `nth` is the place among the purchases of the client.
    """

    client: I64
    nth: I64
    start: I64
    day: I32
    channel: I8


def sizes(seed: int, customers: I64) -> I64:
    """Purchases of each customer; 0 for the few that never bought."""
    size = np.clip(np.rint(facts.PURCHASES(uniform(seed, "synthetic/size", customers))), 1, facts.MOST_PURCHASES)
    return np.where(uniform(seed, "synthetic/never", customers) < facts.NEVER_BOUGHT, 0, size).astype(np.int64)


def tastes(seed: int, world: World, customers: I64) -> I32:
    """The cluster of each customer."""
    return (uniform(seed, "synthetic/taste", customers) * world.entry.clusters).astype(np.int32)


def make_rows(seed: int, customers: I64) -> Rows:
    """When and where the customers (numbers in the whole shop) make their purchases."""
    each = Ragged.from_lengths(sizes(seed, customers), np.empty(0, np.int32))
    client, nth = each.row_index(), each.position()
    opens = quads(seed, "synthetic/visit", customers[client], nth)
    new = (nth == 0) | (opens[0] < _restlessness(seed, customers)[client])
    day = _days(seed, customers, client[new], _normal(opens[1, new], opens[2, new]))
    channel = np.where(opens[3, new] < _online(seed, customers)[client[new]], 2, 1).astype(np.int8)
    visit = np.cumsum(new) - 1
    return Rows(client, nth, each.offsets[:-1][client], day[visit], channel[visit])


def _restlessness(seed: int, customers: I64) -> F64:
    """The probability that a customer's next purchase opens a new visit: one over a log-normal size of basket."""
    normal = _normal(uniform(seed, "synthetic/basket", customers), uniform(seed, "synthetic/basket", customers, 0, 1))
    return np.asarray(np.minimum(np.exp(-_BASKET - _BASKET_SPREAD * normal), 1))


def _online(seed: int, customers: I64) -> F64:
    draw = uniform(seed, "synthetic/online", customers)
    return np.asarray(np.interp(draw, facts.ONLINE_PLACES, facts.ONLINE_SHARES))


def _days(seed: int, customers: I64, client: I64, normal: F64) -> I32:
    """The day of each visit, ascending for each client; visits are sorted by `client`.

    Gaps are whole numbers, so that their sums are exact and do not depend on who else is in the block.
    """
    gap = np.rint(_UNIT * np.exp(_GAP_SPREAD * normal)).astype(np.int64) + 1
    first = np.searchsorted(client, np.arange(len(customers) + 1))
    ends = np.append(0, np.cumsum(gap))
    total = np.diff(ends[first])
    turn = uniform(seed, "synthetic/turn", customers)
    moment = (turn[client] + (ends[1:] - ends[first[client]]) / total[client]) % 1
    day = facts.FIRST_DAY + np.searchsorted(_calendar(), moment, side="right")
    return np.asarray(day[np.lexsort((day, client))], np.int32)


def _calendar() -> F64:
    """The part of the whole volume sold by the end of each day but the last: a year has one season."""
    days = np.arange(facts.FIRST_DAY, facts.LAST_DAY + 1)
    volume = 1 + facts.VOLUME_SEASON * np.cos(2 * np.pi * (days - facts.VOLUME_PEAK) / facts.YEAR)
    return np.asarray(np.cumsum(volume)[:-1] / volume.sum())


def _normal(radius: F64, angle: F64) -> F64:
    """Standard normal draws of two uniform ones, by Box and Muller."""
    return np.asarray(np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle))
