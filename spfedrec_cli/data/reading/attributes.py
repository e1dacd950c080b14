"""A table with one row for each item or customer: its id, and what describes it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from spfedrec_cli.data.arrays import to_arrow, to_numpy
from spfedrec_cli.data.raw import Reading, Request
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import CATEGORY, Kind
from spfedrec_cli.data.reading.layout import Shape
from spfedrec_cli.data.reading.rules import rules
from spfedrec_cli.data.reading.scan import Wanted, scan
from spfedrec_cli.dtypes import I64


@dataclass(frozen=True)
class Described:
    """Distinct ids (n,), the columns that the file has, aligned with them, and sentences for the user."""

    ids: pa.Array
    columns: dict[str, pa.DictionaryArray]
    notes: list[str]


def read_attributes(
    file: RawFile,
    key: tuple[str, Kind],
    columns: tuple[str, ...],
    request: Request,
    shape: Shape | None = None,
    needed: bool = False,
) -> Described:
    """The `columns` by the `key`, of which those that the file lacks are noted, or where they are `needed` refused.

    A second row of one id is folded into the first where it says the same; else it is a bad row.
    """
    name = key[0]
    by_name = {**{column: (column, CATEGORY) for column in columns}, name: key}
    optional = () if needed else tuple(column for column in columns if column != name)
    kept = rules(Reading(drop_missing=request.reading.drop_missing), {"item": name})
    wanted = Wanted(by_name, optional, kept, shape or Shape(encoding=request.reading.encoding), with_lines=True)
    table = scan(file, wanted, request)
    keys, notes = table.texts(name), table.notes
    texts = {column: table.texts(column) for column in dict.fromkeys(columns) if column in table}
    if len(keys.dictionary) < len(keys):
        first = np.unique(to_numpy(keys.indices), return_index=True)[1]
        same, differing = _seconds(keys, first, texts)
        for row in differing.tolist():
            problem = f"The {name} {keys[row]} has a second row that says something else"
            request.rejects.add(file, table.unit, int(table.lines[row]), problem, str(keys[row]))
        notes = [*notes, *_folded(same, file)]
        texts = {column: values.take(to_arrow(first)) for column, values in texts.items()}
    missing = [column for column in dict.fromkeys(columns) if column not in table]
    lacking = [f"{file.name} lacks {', '.join(missing)}: left out"] if missing else []
    nothing = [] if len(keys) else [f"{file.name} holds no rows: ids only, no features"]
    return Described(keys.dictionary, texts, [*notes, *lacking, *nothing])


def _seconds(keys: pa.DictionaryArray, first: I64, texts: Mapping[str, pa.DictionaryArray]) -> tuple[int, I64]:
    """How many rows say the same of an id a second time, and which say something else."""
    seconds = np.setdiff1d(np.arange(len(keys)), first)
    source = first[to_numpy(keys.indices)[seconds]]
    differs = np.zeros(len(seconds), bool)
    for values in texts.values():
        codes = to_numpy(values.indices)
        differs |= codes[seconds] != codes[source]
    return int((~differs).sum()), seconds[differs]


def _folded(same: int, file: RawFile) -> list[str]:
    rows, say = ("1 row", "says") if same == 1 else (f"{same:,} rows", "say")
    return [f"{rows} of {file.name} {say} the same of an id a second time: left out"] if same else []
