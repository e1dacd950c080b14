"""A store: what lists of known customers need, read without torch. engine.store writes it.

store.json               what it is of, and the sizes and hashes of the files
items.npy, clients.npy   what ranks: their dot product; items.ids.npy, clients.ids.npy: ids as UTF-8
bought.npy, ends.npy     distinct purchases of all customers, oldest first, and where those of each end
labels.jsonl             a line for each item: name, type, colour
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli import files
from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.serving.first import best, length
from spfedrec_cli.serving.lists import Given, Ranked

LAYOUT = 1
ABOUT, LABELS = "store.json", "labels.jsonl"
ITEMS, ITEM_IDS, CLIENTS, CLIENT_IDS = "items.npy", "items.ids.npy", "clients.npy", "clients.ids.npy"
BOUGHT, ENDS = "bought.npy", "ends.npy"
OF_CUSTOMERS = (CLIENTS, CLIENT_IDS, BOUGHT, ENDS)  # of which a list reads a row: their sizes alone are checked
FILES = (ITEMS, ITEM_IDS, LABELS, *OF_CUSTOMERS)
SHOWN = 5  # of the last purchases
NAMES = ("name", "type", "colour")
NEIGHBOURS = 1000
_MAKE = "export it again with `spfedrec export RUN --format store --output FOLDER`"


@dataclass(frozen=True)
class Store:
    """One that was checked; of its arrays only what a list needs is read."""

    folder: Path
    about: dict[str, Any]

    def row_of(self, customer: str) -> int:
        """Raises InputError for an unknown customer, naming a near one."""
        known = self.array(CLIENT_IDS)
        for id in dict.fromkeys([customer, customer.strip()]):
            places = np.flatnonzero(known == id.encode())
            if len(places):
                return int(places[0])
        near = nearest(customer, _neighbours(known, customer.strip()))
        hint = f"did you mean {near}?" if near else "check the id"
        raise InputError(f"The store has no customer {customer!r}", hint=hint)

    def bought(self, row: int) -> I64:
        """Distinct items, oldest first."""
        ends = self.array(ENDS)
        start = int(ends[row - 1]) if row else 0
        return np.asarray(self.array(BOUGHT)[start : int(ends[row])], np.int64)

    @cached_property
    def items(self) -> F32:
        return np.asarray(np.load(self.folder / ITEMS, allow_pickle=False), np.float32)

    def array(self, name: str) -> npt.NDArray[Any]:
        """On disk; what is looked at is read."""
        found: npt.NDArray[Any] = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        return found

    @cached_property
    def _labels(self) -> tuple[bytes, I64]:
        """The file, and where its lines end."""
        text = (self.folder / LABELS).read_bytes()
        return text, np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))

    def ranked(self, item: int, score: float = 0.0) -> Ranked:
        text, ends = self._labels
        line = text[int(ends[item - 1]) + 1 if item else 0 : int(ends[item])]
        texts = dict(zip(NAMES, json.loads(line), strict=True))
        id = self.array(ITEM_IDS)[item].decode()
        return Ranked(id, score, {name: text for name, text in texts.items() if text is not None})


def _neighbours(known: npt.NDArray[Any], id: str) -> list[str]:
    """Ids that share the longest beginning with it, some of them."""
    for size in range(min(len(id), 6), -1, -1):
        places = np.flatnonzero(np.char.startswith(known, id[:size].encode()))[:NEIGHBOURS]
        if len(places):
            return [one.decode() for one in known[places].tolist()]
    return []


def is_store(folder: Path | str) -> bool:
    return (Path(folder) / ABOUT).is_file()


def opened(folder: Path | str) -> Store:
    """Raises InputError where it is no store, one of another layout, or a file is not as it was written.

    Of files that grow with the customers the size is checked, and of the others the hash.
    """
    folder = Path(folder)
    file = folder / ABOUT
    if not file.is_file():
        raise InputError("The folder is no store", where=str(folder), hint=_MAKE)
    about = files.read_json(file)
    if about.get("layout") != LAYOUT:
        problem = f"The store has layout {about.get('layout')}, and this version reads {LAYOUT}"
        raise InputError(problem, where=str(file), hint=_MAKE)
    about = files.unsealed(about, file)
    for name, entry in about["files"].items():
        if not _same(folder / name, entry, name in OF_CUSTOMERS):
            raise InputError("A file of the store is not as it was written", where=str(folder / name), hint=_MAKE)
    return Store(folder, about)


def _same(file: Path, entry: dict[str, Any], by_size: bool) -> bool:
    try:
        found: object = file.stat().st_size if by_size else files.hash_of(file)
    except (OSError, InputError):
        return False
    return bool(found == entry["bytes" if by_size else "sha256"])


def recommend(
    store: Store, customers: Sequence[str], k: int | None = None, exclude_seen: bool | None = None
) -> list[Given]:
    """The k best items (12, or as many as there are) of each of these customers, as the run's towers rank them.

    `exclude_seen`: None leaves out what was bought where bought items do not stay ranked (`repeats`). Raises InputError
    for unknown customers, and for more items than there are.
    """
    places = length(k, len(store.items))
    excluded = not store.about["repeats"] if exclude_seen is None else exclude_seen
    return [_one(store, customer, places, excluded) for customer in dict.fromkeys(customers)]


def _one(store: Store, customer: str, places: int, excluded: bool) -> Given:
    row = store.row_of(customer)
    past = store.bought(row)
    scores = np.asarray(store.items @ np.asarray(store.array(CLIENTS)[row], np.float32), np.float32)
    listed = best(scores, places, past if excluded else past[:0])
    history = [store.ranked(int(item)) for item in past[::-1][:SHOWN]]
    items = [store.ranked(int(item), float(scores[item])) for item in listed]
    return Given(customer.strip(), history, items, len(past) if excluded else 0)
