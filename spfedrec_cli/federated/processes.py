"""Several processes that simulate one training together, on one machine or on many.

Each holds the same public state (towers, moments) and the devices of some clients. What crosses between them is summed
as integers: the aggregate itself, and values of which each process has filled in a part and left the rest zero, whose
bits therefore come out as they went in. A team of one sends nothing.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.placement import CPU, placed

_INTEGERS = {1: torch.int8, 4: torch.int32, 8: torch.int64}  # by bytes
PATIENCE = timedelta(hours=2)  # that the others have while one of them validates or saves


class TeamLost(SpfedrecError):
    """Another process of the team has stopped."""


@dataclass(frozen=True)
class Team:
    """This process as number `rank` of `size`. `device` is where messages must lie for the transport that is used."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes, validates and speaks."""
        return self.rank == 0

    def mine(self, count: int) -> range:
        """Which of `count` pieces of work this process does."""
        return range(self.rank, count, self.size)

    def sum(self, integers: Tensor) -> Tensor:
        """The sum over all processes, modulo the width of the type, in place. Raises TeamLost."""
        if self.size > 1:
            self._reduce(integers)
        return integers

    def merge(self, values: Tensor) -> Tensor:
        """What the processes have filled in together, each entry by at most one of them, in place. Raises TeamLost."""
        if self.size > 1:
            self._reduce(values.view(_INTEGERS[values.element_size()]))
        return values

    def told(self, text: str) -> str:
        """What the chief says. Raises TeamLost."""
        if self.size == 1:
            return text
        data = text.encode() if self.is_chief else b""
        length = self.sum(torch.tensor([len(data)]))
        letters = torch.zeros(int(length), dtype=torch.int32)
        letters[: len(data)] = torch.from_numpy(np.frombuffer(data, np.uint8).astype(np.int32))
        return bytes(self.sum(letters).tolist()).decode()

    def _reduce(self, integers: Tensor) -> None:
        there = placed(integers, self.device)
        try:
            torch.distributed.all_reduce(there)
        except RuntimeError as error:
            hint = "see what it said last; the run goes on from its last checkpoint with --resume"
            raise TeamLost(f"Another process of this training has stopped ({_first_line(error)})", hint=hint) from None
        if there is not integers:
            integers.copy_(placed(there, integers.device))


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]


ALONE = Team()


@dataclass(frozen=True)
class Shards:
    """How clients are dealt to processes: client c belongs to shard c mod `count`, and whole shards to a process.

    Chains, and the batches of `full` and `central`, are cut within a shard, so that they are the same whoever holds it.
    """

    count: int
    team: Team = ALONE

    def of(self, clients: I64) -> I64:
        return clients % self.count

    def mine(self, clients: I64) -> npt.NDArray[np.bool_]:
        """Which of the clients live in this process."""
        return np.asarray(self.of(clients) % self.team.size == self.team.rank)

    def seats(self, clients: I64) -> I64:
        """The rows of clients that live here among all that do, in the order of their ids."""
        if self.team.size == 1:
            return clients
        before = np.cumsum(np.append(0, self.mine(np.arange(self.count))))
        return np.asarray(clients // self.count * before[-1] + before[self.of(clients)])
