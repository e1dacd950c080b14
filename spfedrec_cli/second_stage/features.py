"""The features of the second stage: a row each, with what it needs and who knows it.

What only a device knows is a function of its `Past` (`own.py`), what everybody knows one of what is `Public`
(`shown.py`). The towers' score stands beside them: it is not used in label weeks, since towers have learned from what
was bought later, and its weight is fitted on validation (`retrieval/second_stage.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from spfedrec_cli.dtypes import F32, F64, I32, I64
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.second_stage import own, shown
from spfedrec_cli.second_stage.past import Past, found_in
from spfedrec_cli.second_stage.public import Public

OfOwn = Callable[[Past], F64]
OfPublic = Callable[[Public], F64]
OfField = Callable[[Past, I32, I64, I64], F64]


@dataclass(frozen=True)
class Feature:
    """`of` gives the values, as `known_by` says of whom: a device's `Past`, or what is `Public`. `needs`: days, or
    fields of items, each of which has a column of its own."""

    known_by: Literal["device", "everybody"]
    needs: Literal["", "days", "fields"]
    of: Callable[..., F64]


FEATURES: dict[str, Feature] = {
    "bought": Feature("device", "", own.bought),
    "count": Feature("device", "", own.count),
    "count_7": Feature("device", "days", partial(own.decayed, half_life=7.0)),
    "count_21": Feature("device", "days", partial(own.decayed, half_life=21.0)),
    "count_62": Feature("device", "days", partial(own.decayed, half_life=62.0)),
    "count_180": Feature("device", "days", partial(own.decayed, half_life=180.0)),
    "recency": Feature("device", "days", own.recency),
    "last_basket": Feature("device", "", own.last_basket),
    "overdue": Feature("device", "days", own.overdue),
    "due": Feature("device", "days", own.due),
    "basket_share": Feature("device", "", own.basket_share),
    "basket_rate": Feature("device", "", own.basket_rate),
    "habit": Feature("device", "", own.habit),
    "share": Feature("device", "fields", own.share_of_codes),
    "sales_week": Feature("everybody", "days", shown.sales_week),
    "sales_month": Feature("everybody", "days", shown.sales_month),
    "sales_ever": Feature("everybody", "", shown.sales_ever),
    "trend": Feature("everybody", "days", shown.trend),
    "new": Feature("everybody", "days", shown.new),
}


@dataclass(frozen=True)
class Columns:
    """Which features there are in a training: `names` of rows of FEATURES, and of item fields `fields` by their place
    among `codes` (n_items, fields)."""

    names: tuple[str, ...]
    fields: tuple[str, ...]
    codes: I32

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """A name each column; share_FIELD for those of fields."""
        return tuple(label for _, label in self.rows)

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Of each column the name of its row in FEATURES, and its own."""
        return tuple((name, label) for name in self.names for label in self._labels(name))

    def _labels(self, name: str) -> Iterator[str]:
        of_fields = FEATURES[name].needs == "fields"
        yield from (f"{name}_{field}" for field in self.fields) if of_fields else (name,)


def columns(fields: Sequence[str], codes: I32, days: bool, without: Sequence[str] = ()) -> Columns:
    """Of a Dataset with these item fields and their `codes` (n_items, fields), that knows days or does not; `without`
    those that are left out. InputError for a name that no row has, and where none is left."""
    for name in without:
        if name not in FEATURES:
            near = nearest(name, list(FEATURES))
            hint = f"did you mean {near}?" if near else f"the features are {', '.join(FEATURES)}"
            raise InputError(f"second_stage.without names {name!r}, and there is no such feature", hint=hint)
    names = [name for name, row in FEATURES.items() if name not in without and (days or row.needs != "days")]
    if not names:
        raise InputError("second_stage.without leaves no feature out of which to rank", hint="name fewer of them")
    return Columns(tuple(names), tuple(fields), codes)


@dataclass(frozen=True)
class Pairs:
    """Candidates of devices: `keys` ascending (p,), device · n_items + item; `moment` (n,): which of the moments of
    `public` is each device's."""

    past: Past
    keys: I64
    public: Public
    moment: I64

    @property
    def device(self) -> I64:
        return np.asarray(self.keys // self.past.n_items, np.int64)

    @property
    def item(self) -> I64:
        return np.asarray(self.keys % self.past.n_items, np.int64)


def features_of(pairs: Pairs, columns: Columns) -> F32:
    """(p, F): a column for each label."""
    device, item, past = pairs.device, pairs.item, pairs.past
    place, is_own = found_in(past.keys, pairs.keys)
    public, found = pairs.public.of(pairs.moment[device], item), np.empty((len(pairs.keys), len(columns)), np.float32)
    column = 0
    for name in columns.names:
        row = FEATURES[name]
        if row.known_by == "everybody":
            found[:, column] = row.of(public)
        elif row.needs != "fields":
            values = row.of(past)
            found[:, column] = np.where(is_own, values[place], 0.0) if len(values) else 0.0
        else:
            for of_field in range(len(columns.fields)):
                found[:, column + of_field] = row.of(past, columns.codes[:, of_field], device, item)
        column += len(columns.fields) if row.needs == "fields" else 1
    return found
