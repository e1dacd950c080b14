"""A Dataset checks itself for leaks, on the files as they were written."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from spfedrec_cli.data.arrays import to_numpy
from spfedrec_cli.data.schema import CLIENT, PURCHASES, SPLITS, TIME, SplitEntry
from spfedrec_cli.data.stored import numbers
from spfedrec_cli.errors import SpfedrecError


def check_leaks(folder: Path, split: SplitEntry, n_clients: int) -> tuple[str, ...]:
    """What was found to hold. Raises SpfedrecError where a split holds what lies in the future of the next."""
    return _check_temporal(folder, split) if split.kind == "temporal" else _check_own(folder, n_clients)


def _check_temporal(folder: Path, split: SplitEntry) -> tuple[str, ...]:
    starts = (split.validation_from_time, split.test_from_time)
    bounds = dict(zip(SPLITS, zip((None, *starts), (*starts, None), strict=True), strict=True))
    for name, (first, end) in bounds.items():
        low, high = _range(folder / f"{name}.parquet")
        if low is not None and ((first is not None and low < first) or (end is not None and high >= end)):
            raise SpfedrecError(f"The split {name} holds purchases of another: this is a mistake in spfedrec")
    return (
        f"no purchase of train on or after {split.validation_from}",
        f"no purchase of validation before that day, or on or after {split.test_from}",
        f"no purchase of test before {split.test_from}",
    )


def _range(path: Path) -> tuple[int | None, int]:
    """The earliest and the latest time, of which the first is None where there are no rows."""
    with pq.ParquetFile(path) as file:
        found = [to_numpy(batch.column(0)) for batch in file.iter_batches(1 << 20, columns=[TIME]) if len(batch)]
    return (int(min(part.min() for part in found)), int(max(part.max() for part in found))) if found else (None, 0)


def _check_own(folder: Path, n_clients: int) -> tuple[str, ...]:
    """Of every client the last moment of each split must not come after the first of the next."""
    latest = np.full(n_clients, np.iinfo(np.int64).min)
    for name in SPLITS:
        client, time = (numbers(folder / f"{name}.parquet", PURCHASES.field(column)) for column in (CLIENT, TIME))
        if (time < latest[client]).any():
            raise SpfedrecError(f"The split {name} holds purchases of another: this is a mistake in spfedrec")
        np.maximum.at(latest, client, time)
    return ("no purchase of a client's train after its validation, none of its validation after its test",)
