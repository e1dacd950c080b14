"""Subsets of a source: whole customers, a span of time, what is bought often enough.

A customer is kept or not by a keyed hash of its id: the same customers whatever the order of the rows, and the smaller
of two subsets lies within the larger.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.arrays import to_arrow
from spfedrec_cli.data.rows import Mask, Rows
from spfedrec_cli.data.schema import StepEntry, TimeUnit
from spfedrec_cli.data.split import UNITS_A_DAY, WEEK
from spfedrec_cli.errors import InputError

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Subset:
    """What to keep; None keeps all.

    `customers`: so many of the buyers, or as a float such a fraction. `first` and `last`: days, both included, as a
    date, as ISO text or as a moment of that day (a datetime, a pandas.Timestamp); InputError for anything else.
    `last_weeks`: so many times seven days before the last purchase. `channel`: of this sales channel. `min_purchases`
    and `min_sales`: customers and items with at least so many purchases, counted again until both hold (a core in the
    sense of Seidman, "Network structure and minimum degree", 1983).
    """

    customers: int | float | None = None
    first: date | str | None = None
    last: date | str | None = None
    last_weeks: int | None = None
    channel: int | None = None
    min_purchases: int | None = None
    min_sales: int | None = None

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            object.__setattr__(self, name, _date(getattr(self, name), name))

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
    return StepEntry(step=name, purchases=len(rows), clients=clients, items=items)


def _steps(subset: Subset, unit: TimeUnit, seed: int) -> dict[str, Callable[[Rows], None]]:
    """In the order in which they are taken, by the words that the user wrote."""
    day = UNITS_A_DAY.get(unit, 0)
    asked: dict[str, tuple[Any, Callable[[Any, Rows], None]]] = {
        "--customers": (subset.customers, partial(_customers, seed)),
        "--from": (subset.first, lambda first, rows: rows.select(rows.time >= _day(first) * day)),
        "--to": (subset.last, lambda last, rows: rows.select(rows.time < (_day(last) + 1) * day)),
        "--last-weeks": (subset.last_weeks, partial(_last_weeks, day)),
        "--channel": (subset.channel, _channel),
    }
    given = {option: step for option, step in asked.items() if step[0] is not None}
    wrong = next((option for option in ("--from", "--to", "--last-weeks") if option in given and not day), None)
    if wrong:
        raise InputError(f"{wrong} needs dates, and this source has none", hint="leave it out")
    steps = {f"{option} {value}": partial(step, value) for option, (value, step) in given.items()}
    bounds = {"--min-purchases": subset.min_purchases, "--min-sales": subset.min_sales}
    core = " ".join(f"{option} {value}" for option, value in bounds.items() if value is not None)
    least = partial(_core, subset.min_purchases or 0, subset.min_sales or 0)
    return {**steps, core: least} if core else dict(steps)


def _customers(seed: int, wanted: int | float, rows: Rows) -> None:
    buyers = np.flatnonzero(rows.per_client() > 0)
    size = max(1, round(wanted * len(buyers))) if isinstance(wanted, float) and 0 < wanted <= 1 else wanted
    if isinstance(size, float) or not 1 <= size <= len(buyers):
        hint = f"give a number from 1 to {len(buyers)}, or a fraction with a dot up to 1.0"
        raise InputError(f"--customers {wanted} does not fit the source's {len(buyers)} buyers", hint=hint)
    hashes = _hashes(rows.client_ids.take(to_arrow(buyers)).to_pylist(), seed)
    kept = np.zeros(len(rows.client_ids), bool)
    kept[buyers[np.argpartition(hashes, size - 1)[:size]]] = True
    rows.select(kept[rows.client])


def _hashes(ids: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    key = f"spfedrec/{seed}/customers".encode()
    digests = b"".join(hashlib.blake2b(one.encode(), digest_size=8, key=key).digest() for one in ids)
    return np.frombuffer(digests, np.uint64)


def _last_weeks(day: int, weeks: int, rows: Rows) -> None:
    rows.select(rows.time // day > int(rows.time.max()) // day - WEEK * weeks)


def _channel(channel: int, rows: Rows) -> None:
    if rows.channel is None:
        raise InputError("--channel needs a source with sales channels, and this one has none", hint="leave it out")
    rows.select(rows.channel == channel)


def _core(purchases: int, sales: int, rows: Rows) -> None:
    while len(rows):
        kept: Mask = (rows.per_client() >= purchases)[rows.client] & (rows.per_item() >= sales)[rows.item]
        if kept.all():
            return
        rows.select(kept)


def _date(said: date | str | None, name: str) -> date | None:
    if said is None:
        return None
    try:
        return datetime.fromisoformat(said.isoformat() if isinstance(said, date) else str(said)).date()
    except ValueError:
        raise InputError(f"{said!r} is not a date", where=f"{name}=", hint="write it as '2020-09-22'") from None


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH
