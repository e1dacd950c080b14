"""Categorical feature fields: text values to vocabulary codes."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

I32 = npt.NDArray[np.int32]

UNKNOWN = ("", "NONE", "None")
_AGES = (0, 20, 25, 30, 40, 50, 60)
AGE_BUCKETS = ("0-19", "20-24", "25-29", "30-39", "40-49", "50-59", "60+")


def encode(values: pa.Array) -> tuple[I32, tuple[str, ...]]:
    """Codes and vocabulary of text values: code 0 for unknown, code i for `vocabulary[i - 1]`.

    The vocabulary is sorted as numbers where all its values are whole numbers, else as text.
    """
    known = pc.if_else(pc.is_in(values, value_set=pa.array(UNKNOWN)), None, values.cast(pa.string()))
    vocabulary = _sorted([value for value in pc.unique(known).to_pylist() if value is not None])
    codes = pc.fill_null(pc.index_in(known, value_set=pa.array(vocabulary, pa.string())), -1)
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.int32) + np.int32(1), tuple(vocabulary)


def _sorted(values: list[str]) -> list[str]:
    try:
        return sorted(values, key=lambda value: (int(value), value))
    except ValueError:
        return sorted(values)


def age_buckets(ages: Iterable[str | None]) -> pa.Array:
    """Ages in years, as text ("33", "33.0"), to buckets; null where missing or not a number."""
    return pa.array([_age_bucket(age) for age in ages], pa.string())


def _age_bucket(age: str | None) -> str | None:
    try:
        years = float(age or "")
    except ValueError:
        return None
    if not 0 <= years < 150:
        return None
    return AGE_BUCKETS[int(np.searchsorted(_AGES, years, side="right")) - 1]
