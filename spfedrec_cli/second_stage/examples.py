"""The lists that devices learn from: of each of the last label weeks, what was bought in it among the candidates.

A label week sees what lies before it, and nothing later: purchases, public sums, and what is popular. Where a Dataset
is not divided by weeks (leave-one-out), a device's own last purchases are its labels, one after another, and what is
public is of all training.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.grouping import ascending
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32, I64, Bool
from spfedrec_cli.second_stage.candidates import candidates_of
from spfedrec_cli.second_stage.features import Columns, Pairs, features_of
from spfedrec_cli.second_stage.past import Past, found_in
from spfedrec_cli.second_stage.public import WEEK, Public
from spfedrec_cli.second_stage.rows import Rows


@dataclass(frozen=True)
class Catalogue:
    """What everybody knows of items whatever the moment: how many, the columns of features, who is whose sibling
    (`kin` (n_items,), with its `families`), and whether clients buy the same item again."""

    n_items: int
    columns: Columns
    repeats: bool
    kin: I32 | None = None
    families: Ragged | None = None


@dataclass(frozen=True)
class Moments:
    """The `starts` of label weeks (M,), days since 1970, latest first; or, where there are no weeks, how many of a
    device's last purchases are labels."""

    starts: tuple[int, ...]
    by_order: int = 0

    @property
    def count(self) -> int:
        return len(self.starts) or self.by_order

    def spans(self, rows: Rows, which: npt.NDArray[np.integer], moment: int) -> tuple[I64, I64, I64]:
        """Of these devices (n,): how many purchases lie before the moment, how many before the end of its labels, and
        the moment's day."""
        if self.by_order:
            end = np.maximum(rows.items.lengths[which] - moment, 0)
            first = np.maximum(end - 1, 0)
            return first, end, last_days(rows, which, first)
        start = self.starts[moment]
        first, end = (rows.number_before(which, day) for day in (start, start + WEEK))
        return first, end, np.full(len(which), start)


def moments_before(day: int, count: int, spacing: int, weeks: int) -> tuple[Moments, tuple[int, ...]]:
    """The last label weeks before a day, latest first, and how many of the last so many `weeks` lie before each."""
    back = [number * spacing for number in range(count)]
    return Moments(tuple(day - WEEK * (1 + each) for each in back)), tuple(weeks - 1 - each for each in back)


def last_days(rows: Rows, which: npt.NDArray[np.integer], first: I64) -> I64:
    """(n,): the day of the last of the `first` (n,) purchases of each of these devices; 0 of those without one."""
    places = rows.items.offsets[:-1][which] + first - 1
    return np.where(first > 0, rows.day[np.maximum(places, 0)], 0).astype(np.int64) if len(rows.day) else 0 * first


@dataclass(frozen=True)
class Lists:
    """Candidates of `lists` that devices rank: `x` (p, F) and `bought` (p,) of all, list after list; list i is
    `offsets[i]` to `offsets[i + 1]` and belongs to the device number `owner[i]`, ascending."""

    x: F32
    bought: Bool
    offsets: I64
    owner: I64


def examples(rows: Rows, which: npt.NDArray[np.integer], moments: Moments, public: Public, shop: Catalogue) -> Lists:
    """Of the devices `which` (n,) all label weeks in which they bought one of their candidates."""
    device, moment = np.repeat(np.arange(len(which)), moments.count), np.tile(np.arange(moments.count), len(which))
    spans = [moments.spans(rows, which, each) for each in range(moments.count)]
    first, end, day = (np.stack(part, 1).reshape(-1) for part in zip(*spans, strict=True))
    known = np.flatnonzero(end > first)
    device, moment, first, end, day = (part[known] for part in (device, moment, first, end, day))
    labels = rows.cut(np.asarray(which)[device], first, end).items
    past = Past(rows.cut(np.asarray(which)[device], np.zeros_like(first), first), day, shop.n_items)
    of_public = np.zeros_like(moment) if moments.by_order else moment
    pairs = pairs_of(past, public, of_public, shop)
    wanted = ascending(labels.row_index() * shop.n_items + labels.values)
    bought = found_in(wanted, pairs.keys)[1]
    return _kept(pairs, bought, device, shop.columns)


def pairs_of(past: Past, public: Public, moment: I64, shop: Catalogue, more: tuple[I64, ...] = ()) -> Pairs:
    """All candidates of devices at their moments; `more`: further keys."""
    popular = public.popular[moment]
    keys = candidates_of(past, popular, shop.kin, shop.families, shop.repeats, more)
    return Pairs(past, keys, public, moment)


def _kept(pairs: Pairs, bought: Bool, device: I64, columns: Columns) -> Lists:
    """The lists in which anything was bought."""
    found = np.bincount(pairs.device[bought], minlength=len(device)) > 0
    kept = found[pairs.device]
    some = Pairs(pairs.past, pairs.keys[kept], pairs.public, pairs.moment)
    lengths = np.bincount(some.device, minlength=len(device))[found]
    return Lists(features_of(some, columns), bought[kept], np.append(0, np.cumsum(lengths)), device[found])


Examples = Callable[[npt.NDArray[np.integer]], Lists]
