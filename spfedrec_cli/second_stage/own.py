"""Features that only a device can compute: they are of its own purchases. The server's rooms may not import this.

Every function takes a `Past` and gives a number for each of its keys, its distinct (device, item); an item that a
device never bought has 0. Scales are fixed and public, so that nobody's purchases are needed to standardise.
"""

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64, I64, Bool
from spfedrec_cli.second_stage.past import Past, found_in

_COUNTERS = 1 << 24  # that are held at once, before what there is to count is sorted instead
_LONG = 4.0  # usual gaps beyond which an item counts as given up


def bought(past: Past) -> F64:
    return np.ones(len(past.keys))


def count(past: Past) -> F64:
    """log(1 + purchases)."""
    return np.log1p(past.counts)


def decayed(past: Past, half_life: float) -> F64:
    """log(1 + Σ 2^(−age/half-life)) over the purchases of the item."""
    return np.log1p(past.sums(past.rows.counts * np.exp2(-past.age / half_life)))


def recency(past: Past) -> F64:
    """2^(−days since the last purchase/30)."""
    return np.exp2(-past.youngest / 30.0)


def last_basket(past: Past) -> F64:
    """1 where the device's last basket held the item."""
    return past.in_last_basket.astype(np.float64)


def overdue(past: Past) -> F64:
    """Days since the last purchase ÷ the usual gap between two, up to 4, over 4; 0 without a gap."""
    ratio, known = _gaps(past)
    return np.where(known, np.minimum(ratio, _LONG) / _LONG, 0.0)


def due(past: Past) -> F64:
    """e^(−log2(days since ÷ usual gap)²): 1 where the usual gap is over today; 0 without a gap."""
    ratio, known = _gaps(past)
    return np.where(known, np.exp(-(np.log2(np.maximum(ratio, 1e-3)) ** 2)), 0.0)


def basket_share(past: Past) -> F64:
    """The share of the device's baskets that held the item."""
    return past.baskets_with / past.baskets[past.of_keys]


def basket_rate(past: Past) -> F64:
    """The same of the baskets since its first purchase, two more thought of that did not."""
    return past.baskets_with / (past.baskets_since_first + 2.0)


def habit(past: Past) -> F64:
    """The share of the device's purchases that were of something bought before, at each of its items."""
    share = 1.0 - past.distinct / np.maximum(past.purchases, 1)
    return np.asarray(share[past.of_keys], np.float64)


def share_of_codes(past: Past, codes: npt.NDArray[np.integer], device: I64, item: I64) -> F64:
    """(p,): for each pair of device and item the share of the device's purchases that have the item's code. `codes`
    (n_items,), of which 0 is unknown and shares with nobody."""
    of_past, of_item = codes[past.rows.items.values], codes[item]
    width = int(max(of_past.max(initial=0), of_item.max(initial=0))) + 1
    have, wanted = past.device * width + of_past, device * width + of_item
    found = _how_often(have, wanted, len(past.rows) * width) / np.maximum(past.purchases, 1)[device]
    return np.where(of_item > 0, found, 0.0)


def _how_often(have: I64, wanted: I64, below: int) -> I64:
    """(p,): how many of `have` are each of the `wanted` (p,), all below a number."""
    if below <= _COUNTERS:
        return np.bincount(have, minlength=below)[wanted]
    keys, counts = np.unique(have, return_counts=True)
    place, known = found_in(keys, wanted)
    return np.where(known, counts[place], 0) if len(keys) else np.zeros(len(wanted), np.int64)


def _gaps(past: Past) -> tuple[F64, Bool]:
    """Days since the last purchase ÷ the mean days between two baskets with the item; and where there are two."""
    span = (past.oldest - past.youngest).astype(np.float64)
    known = (past.baskets_with > 1) & (span > 0)
    gap = np.where(known, span / np.maximum(past.baskets_with - 1, 1), 1.0)
    return past.youngest / gap, np.asarray(known, np.bool_)
