"""How a world is made of features and purchases."""

from collections.abc import Callable

import numpy as np
import torch

from spfedrec_cli.config import Config, Settings
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.device.cost import Shapes
from spfedrec_cli.federated.processes import ALONE, Shards, Team
from spfedrec_cli.federated.refusals import DatasetSizes, refuse_placement
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.simulation.compilable import check_towers
from spfedrec_cli.federated.simulation.devices import Devices, Held
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import flatten, init_query_tower
from spfedrec_cli.placement import CPU


def check(config: Settings) -> None:
    """Raises InputError where settings do not go together, whatever the Dataset."""
    refusals.check(config)
    check_towers(config)


def make_world(
    config: Config,
    items: Features,
    clients: Features,
    purchased: Ragged | Held,
    team: Team = ALONE,
    device: torch.device = CPU,
    given_popularity: Callable[[], I64] | None = None,
    decayed: Callable[[], Ragged] | None = None,
) -> World:
    """`items` have their id first, and nothing else counts where settings leave their fields out. `given_popularity` is
    asked before the first round that needs item popularity, in place of the clients; `decayed` what purchases count in
    a prior that decays, row by row as `purchased`.

    Raises InputError where nobody can train, or the settings do not go together or with these sizes.
    """
    check(config)
    refuse_placement(config, device.type)
    bought = purchased if isinstance(purchased, Held) else Held.of(purchased)
    eligible = bought.eligible
    items = items if config.model.item_fields else items.first(1)
    shapes = Shapes.of(items, clients)
    refusals.check_sizes(config, DatasetSizes(shapes, len(clients), len(eligible), bought.most, team.size))
    width = flatten(init_query_tower(config.model, clients, config.train.seed)).numel()
    shards = Shards(config.train.shards, team)
    of_server = items.on(device), clients.without_rows(), eligible, width, team, device, given_popularity
    weights = None if decayed is None else lambda: _living_here(decayed(), shards)
    root = f"{config.simulation.root}/{config.train.seed}"  # so that seeds draw apart on devices too
    devices = Devices(lambda: _living_here(bought.read(), shards), clients, root, weights)
    return World(Known(config.known_to_all(), *of_server), devices, shards)


def _living_here(purchased: Ragged, shards: Shards) -> Ragged:
    """The same rows, but nothing in those of clients that live in another process."""
    if shards.team.size == 1:
        return purchased
    mine, lengths = shards.mine(np.arange(len(purchased))), purchased.lengths
    return Ragged.from_lengths(np.where(mine, lengths, 0), purchased.values[np.repeat(mine, lengths)])
