"""Subsets of a source: whole customers, a span of time, what is bought often enough.

A customer is kept or not by a keyed hash of its id: the same customers whatever the order of the rows, and the smaller
of two subsets lies within the larger.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.rows import Mask, Rows
from spfedrec_cli.data.schema import StepEntry, TimeUnit
from spfedrec_cli.data.split import UNITS_A_DAY, WEEK
from spfedrec_cli.errors import InputError

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Subset:
    """What to keep; None keeps all.

    `customers`: so many of the buyers, or as a float such a fraction. `first` and `last`: days, both included.
    `last_weeks`: so many times seven days before the last purchase. `channel`: of this sales channel. `min_purchases`
    and `min_sales`: customers and items with at least so many purchases, counted again until both hold (a core in the
    sense of Seidman, "Network structure and minimum degree", 1983).
    """

    customers: int | float | None = None
    first: date | None = None
    last: date | None = None
    last_weeks: int | None = None
    channel: int | None = None
    min_purchases: int | None = None
    min_sales: int | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())


def keep(rows: Rows, subset: Subset, unit: TimeUnit, seed: int) -> tuple[StepEntry, ...]:
    """Drops what `subset` does not keep, and tells what was left after each step.

    Raises InputError where a step does not fit the source or leaves nothing.
    """
    if not subset:
        return ()
    steps = [_counted("as read", rows)]
    for name, step in _steps(subset, unit, seed).items():
        step(rows)
        steps.append(_counted(name, rows))
        if not len(rows):
            raise InputError(f"No purchases are left after {name}", hint="leave that option out, or keep more")
    return tuple(steps)


def _counted(name: str, rows: Rows) -> StepEntry:
    clients, items = (int((per > 0).sum()) for per in (rows.per_client(), rows.per_item()))
    return StepEntry(step=name, purchases=rows.purchases, clients=clients, items=items)


def _steps(subset: Subset, unit: TimeUnit, seed: int) -> dict[str, Callable[[Rows], None]]:
    """In the order in which they are taken, by the words that the user wrote."""
    one = subset
    days = UNITS_A_DAY.get(unit)
    spans = {"--from": one.first, "--to": one.last, "--last-weeks": one.last_weeks}
    if days is None and any(spans.values()):
        wrong = next(option for option, value in spans.items() if value)
        raise InputError(f"{wrong} needs dates, and this source has none", hint="leave it out")
    steps: dict[str, Callable[[Rows], None]] = {}
    if one.customers is not None:
        steps[f"--customers {one.customers}"] = partial(_customers, wanted=one.customers, seed=seed)
    if one.first is not None:
        steps[f"--from {one.first}"] = partial(_from, first=_day(one.first) * (days or 1))
    if one.last is not None:
        steps[f"--to {one.last}"] = partial(_before, end=(_day(one.last) + 1) * (days or 1))
    if one.last_weeks is not None:
        steps[f"--last-weeks {one.last_weeks}"] = partial(_last_weeks, weeks=one.last_weeks, day=days or 1)
    if one.channel is not None:
        steps[f"--channel {one.channel}"] = partial(_channel, channel=one.channel)
    if one.min_purchases is not None or one.min_sales is not None:
        bounds = {"--min-purchases": one.min_purchases, "--min-sales": one.min_sales}
        name = " ".join(f"{option} {value}" for option, value in bounds.items() if value is not None)
        steps[name] = partial(_core, purchases=one.min_purchases or 0, sales=one.min_sales or 0)
    return steps


def _customers(rows: Rows, wanted: int | float, seed: int) -> None:
    buyers = np.flatnonzero(rows.per_client() > 0)
    size = max(1, round(wanted * len(buyers))) if isinstance(wanted, float) else wanted
    if not 1 <= size <= len(buyers) or wanted <= 0:
        hint = f"give a number from 1 to {len(buyers)}, or a fraction with a dot up to 1.0"
        raise InputError(f"--customers {wanted} does not fit the source's {len(buyers)} buyers", hint=hint)
    hashes = _hashes(rows.client_ids.take(pa.array(buyers)).to_pylist(), seed)
    kept = np.zeros(len(rows.client_ids), bool)
    kept[buyers[np.argpartition(hashes, size - 1)[:size]]] = True
    rows.keep(kept[rows.client])


def _hashes(ids: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    key = f"spfedrec/{seed}/customers".encode()
    digests = b"".join(hashlib.blake2b(one.encode(), digest_size=8, key=key).digest() for one in ids)
    return np.frombuffer(digests, np.uint64)


def _from(rows: Rows, first: int) -> None:
    rows.keep(rows.time >= first)


def _before(rows: Rows, end: int) -> None:
    rows.keep(rows.time < end)


def _last_weeks(rows: Rows, weeks: int, day: int) -> None:
    rows.keep(rows.time // day > int(rows.time.max()) // day - WEEK * weeks)


def _channel(rows: Rows, channel: int) -> None:
    if rows.channel is None:
        raise InputError("--channel needs a source with sales channels, and this one has none", hint="leave it out")
    rows.keep(rows.channel == channel)


def _core(rows: Rows, purchases: int, sales: int) -> None:
    while len(rows):
        kept: Mask = (rows.per_client() >= purchases)[rows.client] & (rows.per_item() >= sales)[rows.item]
        if kept.all():
            return
        rows.keep(kept)


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH
