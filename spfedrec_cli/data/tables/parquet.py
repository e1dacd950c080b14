"""The wanted columns of a Parquet file, a batch at a time."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.raw import Progress, Tell
from spfedrec_cli.data.tables.arrows import as_arrow, as_text
from spfedrec_cli.data.tables.files import RawFile, refusals
from spfedrec_cli.data.tables.gather import Gathered, Scanned, Wanted, present, unreadable
from spfedrec_cli.data.tables.kinds import Kind
from spfedrec_cli.data.tables.rejects import Rejects

_BATCH = 1 << 17
_REFUSALS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)


def scan_parquet(file: RawFile, wanted: Wanted, rejects: Rejects, tell: Tell) -> Scanned:
    with refusals(file), pq.ParquetFile(file.path) as source:
        names = tuple(source.schema_arrow.names)
        kinds = present(wanted, names, file)
        gathered, rows = Gathered(kinds), 0
        skipped: list[int] = []
        columns = list(dict.fromkeys(wanted.columns[role][0] for role in kinds))
        for batch in source.iter_batches(_BATCH, columns=columns):
            table = {role: batch.column(wanted.columns[role][0]) for role in kinds}
            skipped += _take_batch(table, rows, gathered, wanted, file, rejects)
            rows += len(batch)
            done = file.size * rows // max(source.metadata.num_rows, rows)
            tell(Progress(f"reading {file.name}", done, file.size, rows))
    return Scanned(gathered.columns(), names, gathered.rows, tuple(skipped))


def parquet_rows(table: Scanned, rows: Sequence[int]) -> list[int]:
    """The number in the file, from 1, of each of `rows` that were kept."""
    skipped = np.array(table.skipped, np.int64)
    kept = np.setdiff1d(np.arange(table.rows + len(skipped)), skipped)
    return [int(kept[row]) + 1 for row in rows]


def _take_batch(
    table: dict[str, pa.Array], rows: int, gathered: Gathered, wanted: Wanted, file: RawFile, rejects: Rejects
) -> list[int]:
    """The rows of the file, counted from 0, that were skipped."""
    try:
        if gathered.take({role: as_arrow(column, gathered.kinds[role]) for role, column in table.items()}):
            return []
    except _REFUSALS:
        pass
    texts = {role: _told(column, gathered.kinds[role], wanted.columns[role][0]) for role, column in table.items()}
    bad = _bad_rows(texts, rows, gathered.kinds, wanted, file, rejects)
    good = pa.array(np.setdiff1d(np.arange(len(next(iter(texts.values())))), bad), pa.int64())
    if not gathered.take({role: as_arrow(column.take(good), gathered.kinds[role]) for role, column in texts.items()}):
        raise unreadable(file, "its values are in no known form")
    return [rows + place for place in bad]


def _told(column: pa.Array, kind: Kind, name: str) -> pa.Array:
    """The values as text, after they were read as their kind where they can be: a moment as its day."""
    try:
        return as_text(as_arrow(column, kind))
    except _REFUSALS:
        pass
    try:
        return as_text(column)
    except pa.ArrowNotImplementedError:
        raise pa.ArrowInvalid(f"the column {name} holds {column.type}") from None


def _bad_rows(
    texts: dict[str, pa.Array],
    rows: int,
    kinds: Mapping[str, Kind],
    wanted: Wanted,
    file: RawFile,
    rejects: Rejects,
) -> list[int]:
    """Row numbers within the batch; hands them to `rejects`, which may raise InputError."""
    bad: dict[int, str] = {}
    for role, column in texts.items():
        for place, value in enumerate(column.to_pylist()):
            if not kinds[role].holds(value or ""):
                shown = (value or "")[:100]
                bad.setdefault(place, f"The {wanted.columns[role][0]} {shown!r} is not {kinds[role].described}")
    for place in sorted(bad):
        row = ",".join(str(column[place].as_py() or "") for column in texts.values())
        rejects.add(file, rows + place + 1, bad[place], row)
    return sorted(bad)
