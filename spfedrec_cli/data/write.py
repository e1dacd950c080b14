"""A Dataset's files."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from spfedrec_cli.data import negatives, schema
from spfedrec_cli.data.check import check_leaks
from spfedrec_cli.data.folder import NewFolder
from spfedrec_cli.data.made import Made
from spfedrec_cli.data.packing import sort_by
from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.raw import Progress, Request
from spfedrec_cli.data.schema import SPLITS, Manifest
from spfedrec_cli.data.split import Division

I32 = npt.NDArray[np.int32]

_SLICE = 1 << 20
_BYTES_A_ROW, _BYTES_A_NEGATIVE = 14, 3


def write(new: NewFolder, made: Made, division: Division, manifest: Manifest, request: Request) -> Manifest:
    """All tables, and the manifest last, which is returned complete. Raises SpfedrecError where the disk refuses."""
    request.tell(Progress("drawing negatives"))
    others = _tables(made, division, request)
    request.tell(Progress("writing"))
    new.need(_BYTES_A_ROW * manifest.counts.rows + sum(table.nbytes for table in others.values()))
    for name, table in others.items():
        pq.write_table(table, new.path / f"{name}.parquet")
    for split in SPLITS:
        _write_slices(new.path / f"{split}.parquet", map(_purchase_table, division.slices(split, _SLICE)))
    if request.rejects.listed:
        pyarrow.csv.write_csv(request.rejects.to_table(), new.path / schema.SKIPPED)
    request.tell(Progress("checking"))
    complete = manifest.model_copy(
        update={"checks": check_leaks(new.path, division.entry, len(made.clients)), **_signed(new.path)}
    )
    (new.path / schema.MANIFEST).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return complete


def _tables(made: Made, division: Division, request: Request) -> dict[str, pa.Table]:
    tables = {
        "items": made.items.table,
        "clients": made.clients.table,
        "negatives": _negatives(division, len(made.clients), len(made.items), request.seed),
    }
    if made.raw.oracle and division.entry.kind == "temporal":
        tables[schema.ORACLE] = made.raw.oracle.table
    return tables


def _negatives(division: Division, n_clients: int, n_items: int, seed: int) -> pa.Table:
    """For every client with something held out."""
    held = np.zeros(n_clients, bool)
    held[division.purchases.client[division.part > 0]] = True
    clients = np.flatnonzero(held).astype(np.int32)
    rows = held[division.purchases.client]
    bought = _distinct(clients, division.purchases.client[rows], division.purchases.item[rows])
    flat = pa.FixedSizeListArray.from_arrays(
        pa.array(negatives.draw(clients, bought, n_items, seed).ravel()), schema.NEGATIVES
    )
    return pa.table({schema.CLIENT: clients, schema.ITEMS: flat})


def _distinct(clients: I32, client: I32, item: I32) -> Ragged:
    """The distinct items of each of `clients`, ascending."""
    client, item = sort_by([client, item])
    new = np.append(True, (client[1:] != client[:-1]) | (item[1:] != item[:-1]))
    lengths = np.bincount(np.searchsorted(clients, client[new]), minlength=len(clients))
    return Ragged.from_lengths(lengths, item[new])


def _purchase_table(part: Purchases) -> pa.Table:
    columns = [part.client, part.item, part.time, part.quantity, pa.array(part.price, from_pandas=True)]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=schema.PURCHASES)


def _write_slices(path: Path, tables: Iterable[pa.Table]) -> None:
    """Small slices are gathered until they fill a row group."""
    with pq.ParquetWriter(path, schema.PURCHASES) as writer:
        for group in _groups(tables):
            writer.write_table(group)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= _SLICE // 2:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _signed(folder: Path) -> dict[str, dict[str, int] | dict[str, str]]:
    paths = sorted(folder.iterdir())
    return {
        "files": {path.name: _sha256(path) for path in paths},
        "sizes": {path.name: path.stat().st_size for path in paths},
    }


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
