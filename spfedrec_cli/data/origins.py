"""Earlier weeks of a Dataset in the place of its test week: the rolling origin.

The same clients, items and purchases, cut off behind the week and divided anew: what comes later is not there.
"""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from spfedrec_cli.data import stored
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.folder import check_output, replacing
from spfedrec_cli.data.number import Catalogue
from spfedrec_cli.data.prepared import Made, count
from spfedrec_cli.data.purchases import Purchases, concatenate
from spfedrec_cli.data.raw import Oracle, Request
from spfedrec_cli.data.repeats import Repeated
from spfedrec_cli.data.schema import ORACLE, SPLITS, TIME, Manifest
from spfedrec_cli.data.split import UNITS_A_DAY, WEEK, Division, temporal
from spfedrec_cli.data.write import write
from spfedrec_cli.errors import InputError

_EPOCH = date(1970, 1, 1)


def last_days(dataset: Dataset, weeks: int) -> list[date]:
    """The last day of each of the last `weeks` weeks, the earliest first; the last of them is the Dataset's own.

    InputError for a Dataset that is not divided by weeks, and where one of them leaves nothing to train on.
    """
    where, end = str(dataset.path), dataset.manifest.split.end
    if end is None:
        problem = f"The Dataset is divided by {dataset.manifest.split.kind}, so that it has no test weeks to roll over"
        raise InputError(problem, where=where, hint="use a Dataset that was prepared with --split temporal")
    last, unit = date.fromisoformat(end), UNITS_A_DAY[dataset.manifest.time_unit]
    first = _EPOCH + timedelta(int(dataset.column("train", TIME).min()) // unit)
    most = ((last - first).days - 2 * WEEK) // WEEK + 1
    if not 1 <= weeks <= most:
        problem = f"{weeks} test weeks do not fit: purchases from {first} to {last} leave something to train on"
        raise InputError(f"{problem} before {most} of them at most", where=where, hint=f"choose 1 to {most}")
    return [last - timedelta(weeks=back) for back in reversed(range(weeks))]


def prepare_until(dataset: Dataset, last: date, output: Path) -> Dataset:
    """Writes the Dataset whose test week ends on the day `last`, replacing one that is there, and opens it.

    Clients and items have the numbers that they have in `dataset`, which is divided by weeks. InputError where
    `output` holds something else, or nothing is left to train on.
    """
    check_output(output)
    unit = dataset.manifest.time_unit
    day = (last - _EPOCH).days
    division = temporal(_until(dataset, (day + 1) * UNITS_A_DAY[unit]), unit, day)
    made = _made(dataset, division.purchases)
    with replacing(output) as new:
        write(new, made, division, Request((), dataset.manifest.seed), lambda: _manifest(dataset, made, division, last))
    return Dataset.open(output)


def _until(dataset: Dataset, end: int) -> Purchases:
    """All purchases before the time `end`, sorted by (client, time, order in the file)."""
    parts = [dataset.purchases(split) for split in SPLITS]
    rows = concatenate([part.take(np.flatnonzero(part.time < end)) for part in parts])
    return rows.take(np.argsort(rows.client, kind="stable"))


def _made(dataset: Dataset, purchases: Purchases) -> Made:
    manifest = dataset.manifest
    items, clients = (stored.table(dataset.path / f"{name}.parquet") for name in ("items", "clients"))
    known = Oracle(manifest.oracle, stored.table(dataset.path / f"{ORACLE}.parquet")) if manifest.oracle else None
    return Made(
        notes=(),
        time_unit=manifest.time_unit,
        oracle=known,
        described=(False, False),
        steps=manifest.steps,
        items=Catalogue(items, manifest.item_fields, manifest.counts.unknown_items),
        clients=Catalogue(clients, manifest.client_fields, manifest.counts.unknown_clients),
        purchases=purchases,
        repeated=Repeated(0, 0),  # the manifest says already what follows
    )


def _manifest(dataset: Dataset, made: Made, division: Division, last: date) -> Manifest:
    return replace(
        dataset.manifest,
        name=f"{dataset.name}-until-{last}",
        split=division.entry,
        counts=count(made, division),
        skipped_rows=0,
        notes=(f"the Dataset {dataset.name} until {last}",),
        files={},
        sizes={},
    )
