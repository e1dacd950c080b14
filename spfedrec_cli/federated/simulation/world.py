"""The world that a simulation runs in."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from spfedrec_cli.config import Config
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.device.cost import Shapes
from spfedrec_cli.federated.processes import ALONE, Shards, Team
from spfedrec_cli.federated.sampling.cohort import largest_cohort
from spfedrec_cli.federated.sampling.obfuscation import Memory
from spfedrec_cli.federated.sampling.slate import Rotation
from spfedrec_cli.federated.server.catalogue import Holders
from spfedrec_cli.federated.wire.fixed_point import Codec, quantum_limit
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import flatten, init_query_tower
from spfedrec_cli.placement import CPU


@dataclass(frozen=True)
class World:
    """Everything that does not change: settings, features, and what lies on the devices.

    `purchased` holds the distinct training items of every client that lives in this process, by last purchase, oldest
    first; `eligible` the ids of all clients that have any, ascending.
    """

    config: Config
    items: Features
    clients: Features
    purchased: Ragged
    eligible: I64
    width: int  # P, the number of weights in θ_u
    shards: Shards
    device: torch.device = CPU  # where the server computes: towers, moments and the fields of items lie there
    given_popularity: Callable[[], I64] | None = field(default=None, compare=False, repr=False)  # (n_items,)
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)
    rotation: Rotation = field(default_factory=Rotation, compare=False, repr=False)
    holders: Holders = field(default_factory=Holders, compare=False, repr=False)

    @property
    def seed(self) -> int:
        return self.config.train.seed

    @property
    def team(self) -> Team:
        return self.shards.team

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def shapes(self) -> Shapes:
        return Shapes.of(self.items, self.clients)

    @property
    def shared_width(self) -> int:
        """Weights of θ_u that cross: none where every client keeps a tower of its own."""
        return 0 if self.config.client.private_state == "tower" else self.width

    def codecs(self) -> tuple[Codec, Codec]:
        """For Δθ_u and for g_v; their scales differ."""
        federated = self.config.federated
        qmax = quantum_limit(largest_cohort(federated, len(self.eligible)))
        return Codec(federated.range_query, qmax), Codec(federated.range_item, qmax)


def make_world(
    config: Config,
    items: Features,
    clients: Features,
    purchased: Ragged,
    team: Team = ALONE,
    device: torch.device = CPU,
    given_popularity: Callable[[], I64] | None = None,
) -> World:
    """`items` have their id first, and nothing else counts where settings leave their fields out. `given_popularity` is
    asked before the first round that needs item popularity, in place of the clients.

    Raises InputError where nobody can train, or the settings do not go together or with these sizes.
    """
    refusals.check(config)
    refusals.refuse_placement(config, device.type)
    eligible = np.flatnonzero(purchased.lengths > 0)
    items = items if config.model.item_fields else items.first(1)
    shapes = Shapes.of(items, clients)
    most = int(purchased.lengths.max(initial=0))
    refusals.check_sizes(config, refusals.DatasetSizes(shapes, len(clients), len(eligible), lambda: most, team.size))
    width = flatten(init_query_tower(config.model, clients, config.train.seed)).numel()
    shards = Shards(config.train.shards, team)
    held = _living_here(purchased, shards)
    return World(config, items.on(device), clients, held, eligible, width, shards, device, given_popularity)


def _living_here(purchased: Ragged, shards: Shards) -> Ragged:
    """The same rows, but nothing in those of clients that live in another process."""
    if shards.team.size == 1:
        return purchased
    mine, lengths = shards.mine(np.arange(len(purchased))), purchased.lengths
    return Ragged.from_lengths(np.where(mine, lengths, 0), purchased.values[np.repeat(mine, lengths)])
