"""Rows that several inputs have in common: two exports of one shop that share some days."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def seen_before(columns: Mapping[str, Any], source: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which rows (n,) an earlier input holds already, given the input that each is of (n,), ascending.

    A row is the same as another that agrees in all columns. Where one input has it m times and a later one n, only
    what it has beyond m is new: twice the same in one input are two purchases.
    """
    import pandas as pd

    rows = pd.DataFrame(
        {role: one.indices.to_numpy() if isinstance(one, pa.DictionaryArray) else one for role, one in columns.items()}
    )
    again: npt.NDArray[np.bool_] = rows.duplicated(keep=False).to_numpy(copy=True)
    repeated = rows[again]
    nth = repeated.groupby([*repeated, source[again]], dropna=False, sort=False).cumcount()
    again[again] = repeated.assign(nth_of_its_input=nth).duplicated()
    return again
