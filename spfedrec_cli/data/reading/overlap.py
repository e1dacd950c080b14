"""Rows that several inputs have in common: two exports of one shop that share some days."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.ragged import firsts
from spfedrec_cli.dtypes import I64


def seen_before(columns: Mapping[str, Any], source: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which rows (n,) an earlier input holds already, given the input that each is of (n,), ascending.

    A row is the same as another that agrees in all columns. Where one input has it m times and a later one n, only
    what it has beyond m is new: twice the same in one input are two purchases.
    """
    rows = np.zeros(len(source), np.int64)
    for column in columns.values():
        rows = _numbered(rows, column.indices.to_numpy() if isinstance(column, pa.DictionaryArray) else column)
    nth = _place_in_group(_numbered(rows, source))
    again = np.ones(len(source), bool)
    again[np.unique(_numbered(rows, nth), return_index=True)[1]] = False
    return again


def _numbered(one: I64, other: npt.NDArray[np.generic]) -> I64:
    """A number for each distinct pair of values."""
    places = np.unique(other, return_inverse=True)[1]
    pairs = one * (int(places.max(initial=0)) + 1) + places
    return np.unique(pairs, return_inverse=True)[1].astype(np.int64)


def _place_in_group(group: I64) -> I64:
    """How many of its group come before each."""
    order = np.argsort(group, kind="stable")
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - firsts(group[order])
    return place
