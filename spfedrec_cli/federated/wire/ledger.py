"""Bytes counted where messages cross: per round and kind the number of messages, their bytes, and the largest."""

from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Entry:
    """Messages of one kind in one round. `bytes` is their sum, `largest` the biggest single one."""

    round: int
    kind: str
    direction: str
    count: int
    bytes: int
    largest: int

    def as_dict(self) -> dict[str, int | str]:
        return asdict(self)


@dataclass
class Ledger:
    """The entries of one round."""

    round: int
    entries: list[Entry] = field(default_factory=list)

    def count(self, kind: str, direction: str, sizes: npt.ArrayLike) -> None:
        """Enter the messages of one kind, one size (in bytes) each; 0 for none."""
        each = np.atleast_1d(np.asarray(sizes, np.int64))
        each = each[each > 0]
        if each.size:
            row = Entry(self.round, kind, direction, each.size, int(each.sum()), int(each.max()))
            self.entries.append(row)

    def total(self, direction: str) -> int:
        """Bytes in one direction: `up` from clients, `down` to them."""
        return sum(entry.bytes for entry in self.entries if entry.direction == direction)
