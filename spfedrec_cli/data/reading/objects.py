"""JSON lines: one object a line. Numbers keep the digits that they have in the file; what is missing is empty."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from spfedrec_cli.data.reading.layout import is_broken

NO_VALUE, NO_TEXT = " is no single value", " is not UTF-8 text"
_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}  # floats may lose digits
_HEAD, _MARGIN = 1 << 15, 1 << 20


def objects_at_once(data: bytes | bytearray, lines: int, columns: Sequence[str]) -> Mapping[str, pa.Array] | None:
    """By column the texts of so many lines; None where it takes `values_of` to say them, or what is wrong."""
    # Arrow takes several objects in a line or one in several lines, and a first line of null ends the process.
    if not data.startswith(b"{") or data.count(b"\n{") != lines - 1:
        return None
    try:
        options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + _MARGIN)
        wanted = pyarrow.json.ParseOptions(explicit_schema=_schema(data, columns), unexpected_field_behavior="ignore")
        table = pyarrow.json.read_json(pa.BufferReader(data), options, wanted)
        found = {name: pc.fill_null(table[name].combine_chunks().cast(pa.string()), "") for name in columns}
        for texts in found.values():
            texts.validate(full=True)
    except (pa.ArrowInvalid, ValueError, AttributeError, KeyError, RecursionError):
        return None
    return found if len(table) == lines else None


def _schema(data: bytes | bytearray, columns: Sequence[str]) -> pa.Schema:
    """By the first lines; what none of them holds is taken for text. Raises KeyError where they hold something else."""
    head = data[:_HEAD].splitlines()
    read = [json.loads(line) for line in head[: len(head) - (len(data) > _HEAD)]]
    first = {name: next((one[name] for one in read if one.get(name) is not None), "") for name in columns}
    return pa.schema([(name, _TYPES[type(value)]) for name, value in first.items()])


def values_of(line: str, columns: Sequence[str]) -> Sequence[str] | str:
    """Of one line the texts of its columns, or what is wrong with it."""
    try:
        read = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        values = [read.get(name) for name in columns]
    except (ValueError, AttributeError, RecursionError):
        return "The line is not one JSON object"
    wrong = next((name for name, value in zip(columns, values, strict=True) if isinstance(value, dict | list)), None)
    if wrong is not None:
        return f"The {wrong}{NO_VALUE}"
    texts = [value if isinstance(value, str) else "" if value is None else json.dumps(value) for value in values]
    broken = next((name for name, text in zip(columns, texts, strict=True) if is_broken(text)), None)
    return texts if broken is None else f"The {broken}{NO_TEXT}"
