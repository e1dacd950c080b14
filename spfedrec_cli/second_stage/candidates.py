"""What a device ranks: its own past items, their siblings, what is popular now, and what the towers retrieve."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.grouping import ascending
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.second_stage.past import Past, found_in

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

MOST = 16  # siblings of an item, the first by number
_BY_ID = "id:"  # and how many signs


def kin_of(dataset: "Dataset", siblings: str) -> I32 | None:
    """(n_items,): items of one number are siblings, below 0 it has none; None where `siblings` names nothing.

    `siblings` is a field of items, of which "unknown" joins nobody, or id:N, the first N signs of ids: those of H&M
    begin with a product code of seven. InputError for anything else.
    """
    if not siblings:
        return None
    names = [field.name for field in dataset.item_fields]
    if siblings in names:
        codes = dataset.item_codes[:, names.index(siblings)]
        return np.where(codes == 0, -1, codes).astype(np.int32)
    signs = siblings.removeprefix(_BY_ID)
    if siblings.startswith(_BY_ID) and signs.isdecimal() and int(signs) > 0:
        return np.unique([id[: int(signs)] for id in dataset.item_ids], return_inverse=True)[1].astype(np.int32)
    near = nearest(siblings, names)
    hint = f"did you mean {near}?" if near else f"name one of {', '.join(names) or 'no field (there is none)'}, or id:N"
    raise InputError(f"second_stage.siblings = {siblings!r} is no field of the Dataset's items", hint=hint)


def families(kin: I32) -> Ragged:
    """The items of each number, MOST at most."""
    known = np.flatnonzero(kin >= 0)
    order = known[np.argsort(kin[known], kind="stable")]
    every = Ragged.from_lengths(np.bincount(kin[known], minlength=int(kin.max(initial=-1)) + 1), order)
    kept = every.position() < MOST
    return Ragged.from_lengths(np.minimum(every.lengths, MOST), every.values[kept])


def candidates_of(
    past: Past, popular: I32, kin: I32 | None, of_kin: Ragged | None, repeats: bool, more: Sequence[I64] = ()
) -> I64:
    """Ascending keys, device · n_items + item, of all that each device ranks. `popular` (n, p): what is for each of
    them; `more`: further keys. Where nothing is bought twice (`repeats` is false), own items are left out."""
    devices = np.repeat(np.arange(len(past.rows)), popular.shape[1])
    parts = [past.keys, devices * past.n_items + popular.reshape(-1), *more]
    if kin is not None and of_kin is not None:
        parts.append(_siblings(past, kin, of_kin))
    every = ascending(np.concatenate(parts))
    return every if repeats else every[~found_in(past.keys, every)[1]]


def _siblings(past: Past, kin: I32, of_kin: Ragged) -> I64:
    known = kin[past.keys % past.n_items]
    pairs = ascending(past.of_keys[known >= 0] * len(of_kin) + known[known >= 0])
    found = of_kin.take(pairs % len(of_kin))
    return np.asarray((pairs // len(of_kin))[found.row_index()] * past.n_items + found.values, np.int64)
