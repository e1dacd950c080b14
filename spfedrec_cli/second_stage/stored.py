"""What the second stage takes from a Dataset: purchases of every client with their days, and who is whose sibling."""

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import COUNT, TIME
from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.dtypes import I32
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.second_stage.rows import Rows

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

_BY_ID = "id:"  # and how many signs


def rows_of(dataset: "Dataset", *splits: str) -> Rows:
    """Of every client, from these splits."""
    items = dataset.bought(*splits)
    time, counts = (
        reduce(Ragged.followed_by, (Ragged(dataset.offsets(split), dataset.column(split, name)) for split in splits))
        for name in (TIME, COUNT)
    )
    unit = UNITS_A_DAY.get(dataset.manifest.time_unit)
    day = items.position() if unit is None else time.values // unit
    return Rows(items, day.astype(np.int32), counts.values)


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
