"""The world that a simulation runs in."""

from dataclasses import dataclass, field

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.device.cost import Shapes
from spfedrec_cli.federated.processes import Shards, Team
from spfedrec_cli.federated.sampling.slate import Rotation
from spfedrec_cli.federated.server.catalogue import Holders
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.simulation.devices import Devices
from spfedrec_cli.federated.simulation.memory import Memory
from spfedrec_cli.federated.wire.channel import Channel, End


@dataclass(frozen=True)
class Kept:
    """What a simulation remembers for speed alone: forgetting it changes no bit."""

    memory: Memory = field(default_factory=Memory)
    rotation: Rotation = field(default_factory=Rotation)
    holders: Holders = field(default_factory=Holders)


@dataclass(frozen=True)
class World:
    """Everything that does not change: what the server knows, what lies on the devices, and what only a simulation has,
    which processes its clients live in and what it keeps for speed."""

    known: Known
    devices: Devices
    shards: Shards
    kept: Kept = field(default_factory=Kept, compare=False, repr=False)
    ends: tuple[End, ...] = ()  # what else listens to all that crosses

    @property
    def config(self) -> Settings:
        return self.known.config

    @property
    def seed(self) -> int:
        return self.known.seed

    @property
    def team(self) -> Team:
        return self.shards.team

    @property
    def n_items(self) -> int:
        return self.known.n_items

    @property
    def shapes(self) -> Shapes:
        return Shapes.of(self.known.items, self.devices.fields)

    def channel(self, round_: int) -> Channel:
        """The one way between the parties of a round."""
        items, clients, width = self.n_items, len(self.known.eligible), self.known.width
        most = {"I": items, "M": items, "n": items, "U": items, "R": 2 * items, "C": clients, "P": width}
        return Channel(round_, most, self.ends)

    def here(self, clients: I64) -> I64:
        """Those of the clients that live in this process."""
        return clients[self.shards.mine(clients)]
