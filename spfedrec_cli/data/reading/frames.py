"""Tables in memory, of pandas or whatever Arrow knows, as tables of Arrow."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def as_table(frame: "pa.Table | pd.DataFrame") -> pa.Table:
    """With those levels of an index that have a name; values of several kinds as text. InputError for what is none."""
    if isinstance(frame, pa.Table):
        return frame
    try:
        named = [level for level, name in enumerate(frame.index.names) if name not in (None, *frame.columns)]
        frame = frame.reset_index(named, allow_duplicates=True) if named else frame
        names = [str(name) for name in frame.columns]
        return pa.Table.from_arrays([_column(frame.iloc[:, place]) for place in range(len(names))], names)
    except AttributeError:
        if hasattr(frame, "__arrow_c_stream__") and (hasattr(frame, "columns") or hasattr(frame, "schema")):
            return pa.table(frame)
        hint = "give a path, a pandas.DataFrame or a pyarrow.Table"
        raise InputError(f"{type(frame).__name__} is no table", hint=hint) from None


def _column(values: "pd.Series[Any]") -> pa.Array | pa.ChunkedArray:
    kind = getattr(getattr(values.dtype, "categories", None), "dtype", None)
    values = values.astype(kind) if str(kind).startswith("period") else values  # else Arrow takes their numbers
    try:
        column = pa.Array.from_pandas(values)
        if not pa.types.is_temporal(column.type) or values.dtype != object or _are_of_one_kind(values):
            return column
    except (ValueError, TypeError, NotImplementedError, OverflowError):
        if any(isinstance(one, list | tuple | dict | set | np.ndarray) for one in values):
            return pa.nulls(len(values), pa.list_(pa.string()))  # refused where it is asked for
    return pa.array([None if gone else _text(one) for one, gone in zip(values, values.isna(), strict=True)])


def _are_of_one_kind(times: "pd.Series[Any]") -> bool:
    """Neither days among moments nor moments of which some have a zone: Arrow would make one of both."""
    return len({(type(one), getattr(one, "tzinfo", None) is None) for one in times[times.notna()]}) < 2


def _text(value: object) -> bytes:
    """In UTF-8; half a letter is found where the column is asked for."""
    if isinstance(value, bytes):
        return value
    whole = isinstance(value, float | np.floating) and value.is_integer()
    return str(int(value) if whole else value).encode("utf-8", "surrogatepass")  # type: ignore[call-overload]
