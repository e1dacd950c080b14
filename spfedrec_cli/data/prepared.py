"""What `prepare` has made of a source before it is written, and its description."""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli import __version__
from spfedrec_cli.data import span
from spfedrec_cli.data.grouping import first_of
from spfedrec_cli.data.number import Catalogue
from spfedrec_cli.data.purchases import Purchases
from spfedrec_cli.data.raw import Oracle, Request
from spfedrec_cli.data.repeats import Repeated, told
from spfedrec_cli.data.schema import SPLITS, Counts, Manifest, StepEntry, TimeUnit
from spfedrec_cli.data.sources import Source
from spfedrec_cli.data.split import FEWEST_ITEMS, Division
from spfedrec_cli.dtypes import I32, I64

SOME_ROWS = 20  # of which it is no chance that each stands for several purchases
FEWEST_CLIENTS = 3  # in validation and in test, without a warning


@dataclass(frozen=True)
class Made:
    """Both catalogues and all purchases, sorted; the steps of the subset; what the source has to say besides.

    `described` says whether the source has tables of items and of clients. For `repeated` see data/repeats.py.
    """

    notes: tuple[str, ...]
    time_unit: TimeUnit
    oracle: Oracle | None
    described: tuple[bool, bool]
    steps: tuple[StepEntry, ...]
    items: Catalogue
    clients: Catalogue
    purchases: Purchases
    repeated: Repeated


def describe(
    name: str, source: str, row: Source, made: Made, division: Division, request: Request, repeats: bool | None
) -> Manifest:
    """The manifest but for what is known of the files alone. `repeats` is what the user says."""
    counts = count(made, division)
    stay = made.repeated.stay if repeats is None else repeats
    facts = span.notes(made.purchases, made.time_unit, division.entry.kind, counts)
    facts.append(told(made.repeated, stay, repeats is not None))
    return Manifest(
        name=name,
        source=source,
        seed=request.seed,
        version=__version__,
        time_unit=made.time_unit,
        repeats=stay,
        repeats_said=repeats is not None,
        repeated_pairs=made.repeated.share,
        client_form=row.client_form,
        item_form=row.item_form,
        split=division.entry,
        counts=counts,
        item_fields=made.items.fields,
        client_fields=made.clients.fields,
        steps=made.steps,
        skipped_rows=request.rejects.count,
        notes=(*made.notes, *facts, *_notes(made.described, division, counts)),
        oracle=made.oracle.entry if made.oracle and division.entry.kind == "temporal" else None,
        files={},
        sizes={},
    )


def count(made: Made, division: Division) -> Counts:
    """What the manifest counts."""
    purchases, test = made.purchases, np.flatnonzero(division.part == SPLITS.index("test"))
    held = {split: division.rows(split).total for split in SPLITS[1:]}
    return Counts(
        purchases=purchases.total,
        pieces=int(purchases.pieces.sum(dtype=np.int64)),
        rows=len(purchases),
        clients=len(made.clients),
        items=len(made.items),
        cold_clients=_cold(purchases.client, test, len(made.clients)),
        cold_items=_cold(purchases.item, test, len(made.items)),
        unknown_items=made.items.unknown,
        unknown_clients=made.clients.unknown,
        train=purchases.total - sum(held.values()),
        **held,
    )


def _cold(column: I32, test: I64, n: int) -> int:
    """How many of `n` numbers come in the rows `test` alone."""
    before, after = np.zeros(n, bool), np.zeros(n, bool)
    before[np.delete(column, test)], after[column[test]] = True, True
    return int((after & ~before).sum())


def _notes(described: tuple[bool, bool], division: Division, counts: Counts) -> list[str]:
    """Sentences on what was kept though something about it is missing, and on what to be wary of."""
    train_only = division.entry.clients_train_only
    unknown_items, unknown_clients = counts.unknown_items * described[0], counts.unknown_clients * described[1]
    held = {split: int(first_of(division.rows(split).client).sum()) for split in SPLITS[1:]}
    notes = [
        (unknown_items, "item", "sold but not in the catalogue: kept, features unknown"),
        (unknown_clients, "client", "not in the table of customers: kept, features unknown"),
        (counts.cold_clients, "client", f"of {held['test']:,} in the test split without history: kept, marked cold"),
        (train_only, "client", f"with fewer than {FEWEST_ITEMS} different items: for training only"),
    ]
    counted = [f"{n:,} {what}{'s' if n > 1 else ''} {fate}" for n, what, fate in notes if n]
    few = [
        f"{split} is of {n} client{'s' * (n > 1)}, too few to tell models apart: prepare more customers or more time"
        for split, n in held.items()
        if 0 < n < FEWEST_CLIENTS  # of none data/span.py tells
    ]
    times = int(division.purchases.purchases.min())
    twice = f"every purchase is there {times} times or more: where the source was put together twice, keep half of it"
    return [*counted, *division.warnings, *few, *[twice] * (times > 1 and len(division.part) >= SOME_ROWS)]
