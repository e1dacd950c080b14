"""Categorical feature fields: text values to vocabulary codes."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.arrays import scalar, texts, to_numpy, where
from spfedrec_cli.dtypes import I32

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
UNKNOWN = ("", "NONE", "None", "nan", "NaN", "NULL", "null", "<NA>", r"\N")
_AGES = (0, 20, 25, 30, 40, 50, 60)
AGE_BUCKETS = ("0-19", "20-24", "25-29", "30-39", "40-49", "50-59", "60+")


def encode(values: pa.Array) -> tuple[I32, tuple[str, ...]]:
    """Codes and vocabulary of text values: code 0 for unknown, code i for `vocabulary[i - 1]`.

    The vocabulary is sorted as numbers where all its values are whole numbers, else as text. Where all are numbers and
    some are written as 7, `36.0` is 36: a part of the table with gaps made a detour through floats.
    """
    encoded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    known = {text: text for text in texts if text is not None and text not in UNKNOWN}
    if all(map(_NUMBER.fullmatch, known)) and not all("." in text for text in known):
        known = {text: re.sub(r"\.0+$", "", text) for text in known}
    vocabulary = _sorted(list(set(known.values())))
    code = {text: place for place, text in enumerate(vocabulary, 1)}
    by_text = np.array([*(code.get(known.get(text, ""), 0) for text in texts), 0], np.int32)
    return by_text[to_numpy(pc.coalesce(encoded.indices, scalar(np.int32(-1))))], tuple(vocabulary)


def _sorted(values: list[str]) -> list[str]:
    try:
        return sorted(values, key=lambda value: (int(value), value))
    except ValueError:
        return sorted(values)


def age_buckets(ages: pa.DictionaryArray) -> pa.DictionaryArray:
    """Ages in years, as text ("33", "33.0"), to buckets; null where missing or not a number."""
    buckets = texts([_age_bucket(age) for age in ages.dictionary.to_pylist()])
    known = where(pc.not_equal(buckets, scalar("")), buckets)
    return pa.DictionaryArray.from_arrays(ages.indices, known)


def _age_bucket(age: str | None) -> str:
    try:
        years = float(age or "")
    except ValueError:
        return ""
    if not 0 <= years < 150:
        return ""
    return AGE_BUCKETS[int(np.searchsorted(_AGES, years, side="right")) - 1]
