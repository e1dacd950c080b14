"""The wanted columns of a Parquet file, a batch at a time."""

from collections.abc import Mapping

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


def scan_parquet(file: RawFile, wanted: Wanted, rejects: Rejects, tell: Tell) -> Scanned:
    with refusals(file), pq.ParquetFile(file.path) as source:
        names = tuple(source.schema_arrow.names)
        kinds = present(wanted, names, file)
        gathered, rows = Gathered(kinds), 0
        columns = list(dict.fromkeys(wanted.columns[role][0] for role in kinds))
        for batch in source.iter_batches(_BATCH, columns=columns):
            table = {role: batch.column(wanted.columns[role][0]) for role in kinds}
            _take_batch(table, rows, gathered, wanted, file, rejects)
            rows += len(batch)
            tell(Progress(f"reading {file.name}", file.size * rows // source.metadata.num_rows, file.size, rows))
    return Scanned(gathered.columns(), names, gathered.rows)


def _take_batch(
    table: dict[str, pa.Array], rows: int, gathered: Gathered, wanted: Wanted, file: RawFile, rejects: Rejects
) -> None:
    try:
        if gathered.take({role: as_arrow(column, gathered.kinds[role]) for role, column in table.items()}):
            return
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    texts = {role: as_text(column) for role, column in table.items()}
    bad = _bad_rows(texts, rows, gathered.kinds, wanted, file, rejects)
    good = pa.array(np.setdiff1d(np.arange(len(next(iter(table.values())))), bad))
    if not gathered.take({role: as_arrow(column.take(good), gathered.kinds[role]) for role, column in texts.items()}):
        raise unreadable(file, "its values are in no known form")


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
            if not kinds[role].fits(value or ""):
                bad.setdefault(place, f"The {wanted.columns[role][0]} {value or ''!r} is not {kinds[role].described}")
    for place in sorted(bad):
        row = ",".join(str(column[place].as_py() or "") for column in texts.values())
        rejects.add(file, rows + place + 1, bad[place], row)
    return sorted(bad)
