"""The world that a simulation runs in."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
import torch

from spfedrec_cli.config import Settings, FederatedConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.chain.ring import stays_in_shards
from spfedrec_cli.federated.aggregation.chain.terms import FEWEST
from spfedrec_cli.federated.device.cost import Shapes, client_floats
from spfedrec_cli.federated.processes import ALONE, Shards, Team
from spfedrec_cli.federated.sampling.cohort import largest_cohort
from spfedrec_cli.federated.sampling.obfuscation import Memory
from spfedrec_cli.federated.sampling.slate import Rotation
from spfedrec_cli.federated.server.catalogue import Holders
from spfedrec_cli.federated.simulation.compilable import check_towers
from spfedrec_cli.federated.wire.fixed_point import Codec, quantum_limit
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import flatten, init_query_tower
from spfedrec_cli.placement import CPU

LARGEST_PRIVATE = 2 << 30  # bytes of private state that a simulation holds for all clients
LARGEST_CLIENT = 2 << 30  # bytes that a simulation of `full` holds for a single client
LARGEST_SLATE = 4 << 20  # bytes of item gradients that every client uploads for all rows of a slate


@dataclass(frozen=True)
class World:
    """Everything that does not change: settings, features, and what lies on the devices.

    `purchased` holds the distinct training items of every client that lives in this process, by last purchase, oldest
    first; `eligible` the ids of all clients that have any, ascending.
    """

    config: Settings
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
    config: Settings,
    items: Features,
    clients: Features,
    purchased: Ragged,
    team: Team = ALONE,
    device: torch.device = CPU,
    given_popularity: Callable[[], I64] | None = None,
) -> World:
    """`items` have their id first, and nothing else counts where settings leave their fields out. `given_popularity` is
    asked before the first round that needs item popularity, in place of the clients.

    Raises InputError where nobody can train or the settings leave nothing to learn from.
    """
    eligible = np.flatnonzero(purchased.lengths > 0)
    if not len(eligible):
        raise InputError("No client of the Dataset has a training purchase", hint="prepare it with a longer period")
    if config.client.negatives == "request" and config.request.rate == 0:
        hint = "set request.rate above 0 or client.negatives=public"
        raise InputError("client.negatives = request has no negatives at request.rate = 0", hint=hint)
    check_towers(config)
    width = flatten(init_query_tower(config.model, clients, config.train.seed)).numel()
    items = items if config.model.item_fields else items.first(1)
    _check_strategy(config, device)
    _check_pool(config)
    if config.request.mode != "paper":
        _check_slate(config, len(items))
    if config.federated.strategy == "full":
        _check_candidates(config, Shapes.of(items, clients), int(purchased.lengths.max()))
    if config.client.private_state == "tower":
        _check_towers(len(clients), width)
    shards = Shards(config.train.shards, team)
    if config.federated.aggregation == "ring":
        _check_chains(config.federated, len(eligible), shards)
    held = _living_here(purchased, shards)
    return World(config, items.on(device), clients, held, eligible, width, shards, device, given_popularity)


def _check_chains(federated: FederatedConfig, eligible: int, shards: Shards) -> None:
    """Raises InputError where there are too few clients for a chain, or a chain would cross processes."""
    cohort = min(federated.cohort_size, eligible)
    if cohort < FEWEST:
        hint = f"set federated.cohort_size to {FEWEST} or more"
        raise InputError(f"A cohort of {cohort} cannot form a secret-sharing chain", hint=hint)
    if shards.team.size > 1 and not stays_in_shards(federated, eligible, shards.count):
        raise InputError(
            f"Chains of {federated.chain_length} from {cohort} clients in {shards.count} shards would cross processes",
            hint="train with one worker, raise federated.cohort_size or lower train.shards",
        )


def _living_here(purchased: Ragged, shards: Shards) -> Ragged:
    """The same rows, but nothing in those of clients that live in another process."""
    if shards.team.size == 1:
        return purchased
    mine, lengths = shards.mine(np.arange(len(purchased))), purchased.lengths
    return Ragged.from_lengths(np.where(mine, lengths, 0), purchased.values[np.repeat(mine, lengths)])


def _check_strategy(config: Settings, device: torch.device) -> None:
    strategy = config.federated.strategy
    if strategy != "split" and device.type != "cpu":
        raise InputError(f"federated.strategy = {strategy} computes on the CPU only", hint="use --device cpu")
    if config.client.private_state == "tower" and strategy != "split":
        raise InputError(
            f"client.private_state = tower has no meaning under federated.strategy = {strategy}, "
            "which trains one query tower for all",
            hint="keep an embedding or nothing, or take strategy = split",
        )
    if config.federated.aggregation != "sum" and strategy != "split":
        raise InputError(
            f"federated.aggregation = {config.federated.aggregation} sums what split uploads, not {strategy}",
            hint="set federated.aggregation = sum, or take strategy = split",
        )
    if config.request.mode != "paper" and strategy != "split":
        raise InputError(
            f"request.mode = {config.request.mode} has no meaning under federated.strategy = {strategy}, "
            "where nobody requests anything anyhow",
            hint="set request.mode = paper, or take strategy = split",
        )
    if config.federated.dropout and strategy == "central":
        hint = "set federated.dropout = 0"
        raise InputError("federated.dropout has no meaning under federated.strategy = central", hint=hint)


def _check_candidates(config: Settings, shapes: Shapes, purchases: int) -> None:
    """Under `full` a client runs the item tower over all of its candidates at once."""
    pool = min(config.client.pool_size, shapes.items[0]) * config.client.uses_pool
    own = ceil(config.request.rate * purchases) * config.client.uses_own
    negatives = own + pool

    def size(more: int) -> int:
        return 4 * client_floats(config, shapes, purchases + more)

    if size(negatives) > LARGEST_CLIENT:
        fitting = bisect_right(range(negatives), LARGEST_CLIENT, key=size) - 1
        setting = f"request.rate={floor(100 * fitting / purchases) / 100}"
        if pool:
            alone = f"client.negatives=public and client.pool_size={fitting}"
            setting = f"client.pool_size={fitting - own}" if fitting > own else alone
        raise InputError(
            f"federated.strategy = full would hold {purchases + negatives:,} candidates of a single client, "
            f"{size(negatives) / 2**30:.1f} GiB of at most {LARGEST_CLIENT / 2**30:.0f} GiB",
            hint=f"set {setting}" if fitting > 0 else "prepare without the customers who bought most, or take split",
        )


def _check_pool(config: Settings) -> None:
    if config.client.pools_by_popularity and config.request.negatives != "popularity":
        raise InputError(
            "client.pool = popularity goes by what only request.negatives = popularity makes known",
            hint="set request.negatives=popularity, or client.pool=uniform",
        )


def _check_slate(config: Settings, n_items: int) -> None:
    mode, whole = config.request.mode, config.request.mode == "catalogue"
    if config.client.uses_own:
        raise InputError(
            f"client.negatives = {config.client.negatives} has no meaning under request.mode = {mode}, "
            "where nobody requests anything",
            hint="set client.negatives=public: the negatives are the slate's other items",
        )
    items = n_items if whole else min(n_items, config.request.slate_size)
    size, fitting = 4 * items * config.model.dim, LARGEST_SLATE // (4 * config.model.dim)
    if size > LARGEST_SLATE:
        raise InputError(
            f"request.mode = {mode} would make every client upload the gradients of {items:,} items in every round, "
            f"{size / 2**20:.1f} MiB of at most {LARGEST_SLATE / 2**20:.0f} MiB",
            hint=f"set {'request.mode=slate' if whole else f'request.slate_size={fitting}'}",
        )


def _check_towers(clients: int, width: int) -> None:
    size = 4 * clients * width
    if size > LARGEST_PRIVATE:
        raise InputError(
            f"client.private_state = tower would keep {clients:,} query towers of {width:,} weights, "
            f"{size / 2**30:.1f} GiB of at most {LARGEST_PRIVATE / 2**30:.0f} GiB",
            hint="prepare fewer customers, make model.hidden or model.field_dim smaller, or keep an embedding",
        )
