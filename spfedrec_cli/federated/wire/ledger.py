"""Bytes counted where messages cross: per round and kind the number of messages, their bytes, and the largest."""

from dataclasses import asdict, dataclass


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


@dataclass(frozen=True)
class Ledger:
    """The entries of one round."""

    round: int
    entries: list[Entry]

    def total(self, direction: str) -> int:
        """Bytes in one direction: `up` from clients, `down` to them."""
        return sum(entry.bytes for entry in self.entries if entry.direction == direction)
