"""What is ranked, for whom, and what counts as found."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import ITEM, TIME
from spfedrec_cli.dtypes import I32, Bool
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.retrieval.index import EMPTY

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

HISTORY_SPLITS = {"validation": ("train",), "test": ("train", "validation")}
PROTOCOLS = ("full", "sampled")
CANDIDATES = ("all", "active")
ACTIVE_DAYS = 28
UNITS_PER_DAY = {"day": 1, "second": 86_400}


@dataclass(frozen=True)
class Task:
    """What is ranked, for whom, and what counts as found.

    `clients` int32 (n,), ascending, those with ground truth; `truth` their distinct items, row i for client i. `seen`:
    items that row i may not rank. `candidates` bool (n_items,): the items ranked, None for all. `negatives` int32
    (n, 99), -1 for padding, in the sampled protocol only. `skipped` counts the clients without ground truth.
    """

    split: str
    protocol: str
    clients: I32
    truth: Ragged
    seen: Ragged | None
    candidates: Bool | None
    negatives: I32 | None
    skipped: int
    n_items: int

    @property
    def most_candidates(self) -> int:
        """The longest list that any client could get, before its seen items are dropped."""
        if self.negatives is not None:
            return int((self.truth.lengths + (self.negatives != EMPTY).sum(axis=1)).max())
        return self.n_items if self.candidates is None else int(self.candidates.sum())

    @property
    def pool(self) -> str:
        """The name of the candidates."""
        return CANDIDATES[self.candidates is not None]

    @property
    def out_of_reach(self) -> int:
        """How much of the ground truth is an item that its client may not be ranked."""
        if self.seen is None:
            return 0
        truth, seen = (of.row_index() * self.n_items + of.values for of in (self.truth, self.seen))
        return int(np.isin(truth, seen).sum())

    def take(self, rows: I32) -> "Task":
        """The same for some of its clients."""
        return Task(
            self.split,
            self.protocol,
            self.clients[rows],
            self.truth.take(rows),
            None if self.seen is None else self.seen.take(rows),
            self.candidates,
            None if self.negatives is None else self.negatives[rows],
            self.skipped,
            self.n_items,
        )


def history_splits(split: str) -> tuple[str, ...]:
    """The splits that may be known when `split` is predicted. InputError for a name other than validation and test."""
    return HISTORY_SPLITS[_one_of(tuple(HISTORY_SPLITS), split, "split")]


def make_task(dataset: "Dataset", split: str = "test", protocol: str = "full", candidates: str = "all") -> Task:
    """The ranking task of a split; of the splits after `split`, nothing is read.

    Full: every item, or with `candidates` "active" those sold in the last 28 days of train (ground truth that is not
    active then counts as missed), less the client's seen items where the Dataset does not repeat. Sampled: the ground
    truth among the client's 99 fixed negatives, which it never bought. InputError for an unknown name, for "active"
    without dates or in the sampled protocol, and where nobody has ground truth.
    """
    known = history_splits(split)
    sampled = _one_of(PROTOCOLS, protocol, "protocol") == "sampled"
    active = _one_of(CANDIDATES, candidates, "candidates") == "active"
    if sampled and active:
        raise InputError("The sampled protocol has its own candidates", hint="use the full protocol with active")
    truth = dataset.truth(split)
    clients = np.flatnonzero(truth.lengths).astype(np.int32)
    if not clients.size:
        hint = "prepare it again with the option that `spfedrec describe` names below its tables"
        raise InputError(f"No client has ground truth in {split}", where=str(dataset.path), hint=hint)
    drop_seen = not (sampled or dataset.repeats)
    return Task(
        split=split,
        protocol=protocol,
        clients=clients,
        truth=truth.take(clients),
        seen=dataset.history(*known).take(clients) if drop_seen else None,
        candidates=_active(dataset) if active else None,
        negatives=_negatives(dataset, clients) if sampled else None,
        skipped=dataset.n_clients - clients.size,
        n_items=dataset.n_items,
    )


def _one_of(known: tuple[str, ...], word: str, what: str) -> str:
    if word not in known:
        near = nearest(word, list(known))
        advice = f"did you mean {near}" if near else f"choose from {', '.join(known)}"
        raise InputError(f"Unknown {what} '{word}'", hint=advice)
    return word


def _active(dataset: "Dataset") -> Bool:
    """(n_items,): sold in the last 28 days of train."""
    unit = dataset.manifest.time_unit
    if unit not in UNITS_PER_DAY:
        raise InputError("The Dataset has no dates, so no item is active", where=str(dataset.path), hint="use all")
    time = dataset.column("train", TIME)
    since = int(time.max()) - ACTIVE_DAYS * UNITS_PER_DAY[unit]
    active = np.zeros(dataset.n_items, np.bool_)
    active[dataset.column("train", ITEM)[time > since]] = True
    return active


def _negatives(dataset: "Dataset", clients: I32) -> I32:
    """The rows of the Dataset's fixed negatives for `clients`, in their order."""
    owners, items = dataset.negatives
    place = np.full(dataset.n_clients, -1, np.int64)
    place[owners] = np.arange(owners.size)
    rows = place[clients]
    if (rows < 0).any():
        missing = int(clients[np.argmax(rows < 0)])
        raise InputError(
            f"Client {missing} has no negatives", where=str(dataset.path), hint="prepare the Dataset again"
        )
    return items[rows]
