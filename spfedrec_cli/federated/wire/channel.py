"""The one way between two parties of a round: what crosses is counted because it crosses.

The plain engine sends messages. The compiled one builds none that a single client's update would need, and hands over
kinds and sizes instead. A recorder, or a transmitter to another machine, is another end of the same channel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.wire.ledger import Entry, Ledger
from spfedrec_cli.federated.wire.messages import IN_ORDER, Message, check_shapes, parse, serialise


class Role(Enum):
    """The two roles of the paper's servers, which share no data."""

    SERVER = "server"
    AGGREGATOR = "aggregator"


Party = Role | int  # a client by its id
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True)
class Crossing:
    """One message on its way."""

    sender: Party
    receiver: Party
    message: Message


class End(Protocol):
    """Something else that happens to what crosses; `data` are the bytes of the message. What it returns, where that is
    not None, arrives in their place: a party that does not follow the protocol sends something else."""

    def __call__(self, crossing: Crossing, data: bytes) -> bytes | None: ...


@dataclass
class Recorder:
    """Keeps all that crosses, in its order."""

    crossings: list[Crossing] = field(default_factory=list)

    def __call__(self, crossing: Crossing, data: bytes) -> None:
        self.crossings.append(crossing)

    def view(self, *parties: Party) -> list[Crossing]:
        """All that these parties saw together: what they were sent, and what they sent."""
        return [each for each in self.crossings if each.receiver in parties or each.sender in parties]


@dataclass(frozen=True)
class Transmitter:
    """Hands the bytes of every message to a network."""

    transmit: Callable[[Party, Party, bytes], None]

    def __call__(self, crossing: Crossing, data: bytes) -> None:
        self.transmit(crossing.sender, crossing.receiver, data)


@dataclass
class _Counted:
    count: int = 0
    bytes: int = 0
    largest: int = 0

    def add(self, count: int, total: int, largest: int) -> None:
        self.count, self.bytes, self.largest = self.count + count, self.bytes + total, max(self.largest, largest)


class Channel:
    """Of one round, and of the clients that live in this process. `most` bounds sizes of arrays by the letters of
    `wire.messages`; what has other shapes or ranks than its kind declares, or goes beyond them, is refused."""

    def __init__(self, round_: int, most: Mapping[str, int] | None = None, ends: Sequence[End] = ()) -> None:
        self.round, self._most, self._ends = round_, most or {}, tuple(ends)
        self._counted = {kind: _Counted() for kind in IN_ORDER}

    def send(self, message: _M, sender: Party, receiver: Party) -> _M:
        """The message as its receiver parses it. Raises SpfedrecError where it is none that may cross."""
        return self._cross(message, sender, [receiver])

    def tell(self, message: _M, receivers: npt.NDArray[np.integer]) -> _M:
        """The same from the server to many clients, as each of them parses it."""
        return self._cross(message, Role.SERVER, receivers.tolist())

    def _cross(self, message: _M, sender: Party, receivers: Sequence[Party]) -> _M:
        check_shapes(message, self._most)
        data = serialise(message)
        self._counted[type(message)].add(len(receivers), len(receivers) * len(data), len(data) if receivers else 0)
        for receiver in receivers[: None if self._ends else 1]:
            _check_way(message, sender, receiver)
            for end in self._ends:
                data = end(Crossing(sender, receiver, message), data) or data
        return parse(data)  # type: ignore[return-value]

    def account(self, kind: type[Message], sizes: npt.ArrayLike) -> None:
        """Messages that cross without being built: their sizes in bytes, 0 for none.

        Raises KeyError for an undeclared kind, and ValueError where somebody listens at the other end.
        """
        counted, each = self._counted[kind], np.atleast_1d(np.asarray(sizes, np.int64))
        each = each[each > 0]
        if len(each) and self._ends:
            raise ValueError("only train.engine = reference sends messages that can be recorded")
        counted.add(len(each), int(each.sum()), int(each.max(initial=0)))

    def ledger(self, team: Team = ALONE) -> Ledger:
        """What has crossed so far, of the clients of all processes."""
        counted = list(self._counted.values())
        sums = team.sum(torch.tensor([[each.count, each.bytes] for each in counted]))
        largest = torch.zeros(len(counted), team.size, dtype=torch.int64)
        largest[:, team.rank] = torch.tensor([each.largest for each in counted])
        most = team.sum(largest).amax(1)
        rows = zip(IN_ORDER, sums.tolist(), most.tolist(), strict=True)
        entries = [
            Entry(self.round, kind.kind, kind.direction, count, total, big)
            for kind, (count, total), big in rows
            if count
        ]
        return Ledger(self.round, entries)


def _check_way(message: Message, sender: Party, receiver: Party) -> None:
    """Raises ValueError where a message goes the wrong way: from clients up to roles, from roles down to clients."""
    up = isinstance(receiver, Role) and not isinstance(sender, Role)
    down = isinstance(sender, Role) and not isinstance(receiver, Role)
    if not (up if message.direction == "up" else down):
        raise ValueError(f"a message {message.kind} goes {message.direction}, not from {sender} to {receiver}")
