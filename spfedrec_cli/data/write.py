"""A Dataset's files."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from spfedrec_cli import files
from spfedrec_cli.data import negatives, schema
from spfedrec_cli.data.arrays import to_arrow, where
from spfedrec_cli.data.check import check_leaks
from spfedrec_cli.data.folder import NewFolder
from spfedrec_cli.data.grouping import distinct, first_of
from spfedrec_cli.data.parallel import both, each
from spfedrec_cli.data.prepared import Made
from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.raw import Progress, Request
from spfedrec_cli.data.schema import SPLITS, Manifest
from spfedrec_cli.data.split import Division

_SLICE = 1 << 20
_ASCENDING = dict.fromkeys((schema.CLIENT, schema.ITEM, schema.TIME), "DELTA_BINARY_PACKED")
_REPEATING = [schema.COUNT, schema.PIECES, schema.PRICE]
_BYTES_A_ROW, _BYTES_A_NEGATIVE = 14, 3


def write(
    new: NewFolder, made: Made, division: Division, request: Request, describe: Callable[[], Manifest]
) -> Manifest:
    """All tables, and the manifest last, which is returned complete. Raises SpfedrecError where the disk refuses.

    What `describe` makes is all of the manifest but what is known of the files alone.
    """
    request.tell(Progress("writing"))
    new.need(_room(made, division))
    train = partial(_write_split, new.path, "train", division)
    manifest, *_ = both(describe, train, partial(_write_rest, new.path, made, division, request))
    if request.rejects.listed:
        pyarrow.csv.write_csv(request.rejects.to_table(), new.path / schema.SKIPPED)
    request.tell(Progress("checking"))
    signed, checks = both(partial(_signed, new.path), partial(check_leaks, new.path, division.entry, len(made.clients)))
    complete: Manifest = replace(manifest, checks=checks, **signed)
    files.write_json(new.path / schema.MANIFEST, files.sealed(asdict(complete)))
    return complete


def _room(made: Made, division: Division) -> int:
    """About as many bytes as the files will take, rather too many."""
    held_out = min(len(made.clients), int(np.count_nonzero(division.part)))
    catalogues = made.items.table.nbytes + made.clients.table.nbytes
    return int(_BYTES_A_ROW * len(division.part) + _BYTES_A_NEGATIVE * schema.NEGATIVES * held_out + catalogues)


def _write_rest(folder: Path, made: Made, division: Division, request: Request) -> None:
    for split in SPLITS[1:]:
        _write_split(folder, split, division)
    for name, table in _tables(made, division, request).items():
        # Ids and negatives take a third of the time to write and to read unpacked, and hardly more room.
        pq.write_table(table, folder / f"{name}.parquet", use_dictionary=_repeating(table), compression="none")


def _repeating(table: pa.Table) -> list[str]:
    """Columns of which a dictionary makes a smaller file: ids and negatives hardly repeat."""
    return [name for name in table.column_names if name.startswith(schema.FIELD) or name in schema.DISPLAY]


def _tables(made: Made, division: Division, request: Request) -> dict[str, pa.Table]:
    tables = {
        "items": made.items.table,
        "clients": made.clients.table,
        "negatives": _negatives(division, len(made.clients), len(made.items), request.seed),
    }
    if made.oracle and division.entry.kind == "temporal":
        tables[schema.ORACLE] = made.oracle.table
    return tables


def _negatives(division: Division, n_clients: int, n_items: int, seed: int) -> pa.Table:
    """For every client with something held out."""
    purchases = division.purchases
    held_out = purchases.client[division.part > 0]
    clients = held_out[first_of(held_out)]
    rows = Ragged.from_lengths(np.bincount(purchases.client, minlength=n_clients), purchases.item).take(clients)
    drawn = negatives.draw(clients, distinct(rows, n_items), n_items, seed)
    flat = pa.FixedSizeListArray.from_arrays(to_arrow(drawn.ravel()), schema.NEGATIVES)
    return pa.table({schema.CLIENT: to_arrow(clients), schema.ITEMS: flat})


def _purchase_table(part: Purchases) -> pa.Table:
    columns = {field.name: to_arrow(getattr(part, field.name)).cast(field.type) for field in schema.PURCHASES}
    price = columns[schema.PRICE]
    return pa.table({**columns, schema.PRICE: where(pc.invert(pc.is_nan(price)), price)}, schema.PURCHASES)


def _write_split(folder: Path, split: str, division: Division) -> None:
    """The few rows held out in one row group, and the many of train in slices."""
    form = {"use_dictionary": _REPEATING, "column_encoding": _ASCENDING}
    with pq.ParquetWriter(folder / f"{split}.parquet", schema.PURCHASES, **form) as writer:
        for part in division.slices(split, _SLICE) if split == SPLITS[0] else [division.rows(split)]:
            writer.write_table(_purchase_table(part))


def _signed(folder: Path) -> dict[str, dict[str, int] | dict[str, str]]:
    paths = sorted(folder.iterdir())
    return {
        "files": dict(each(lambda path: (path.name, files.hash_of(path)), paths)),
        "sizes": {path.name: path.stat().st_size for path in paths},
    }
