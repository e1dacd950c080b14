"""Sums over all who train that are made once, before any round: of purchases, by item or by item and week."""

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.federated.aggregation.chain.ring import account_chains, companies
from spfedrec_cli.federated.aggregation.chain.sources import simulated_run
from spfedrec_cli.federated.aggregation.protocol import Opening, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.simulation.opening import opening_of_vectors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel, Role
from spfedrec_cli.federated.wire.fixed_point import Codec

# Of a chain at least: what ten bought together would say which entries of a request of theirs are purchases.
LENGTH = 1000
FIRST = 1 << 29  # numbers of the rounds of such sums: no keys are those of any other round


def summed_once(
    world: World,
    channel: Channel,
    kind: type[messages.PurchaseCounts | messages.WeeklyBuyers],
    of_one: Callable[[int], I32],
    of_all: Callable[[], I64],
    shape: tuple[int, ...],
    number: int,
    most: int = 1,
) -> Tensor:
    """The sum (shape) over all clients who train, in this process and all others. `of_one` gives what one device sends,
    none of it beyond `most`, `of_all` the sum over the clients that live here; `number` tells such sums of a run apart.

    Where rounds execute a protocol, so does this, in longer chains. `train.engine = simulation` counts its bytes and
    takes the sum as it is, which the masks of a whole chain leave untouched; `reference` sends every message.
    """
    clients, fast = world.here(world.known.eligible), world.config.train.engine == "simulation"
    is_ideal = world.config.federated.aggregation == "sum"
    if fast and is_ideal:
        channel.account(kind, np.full(len(clients), messages.size([prod(shape)])))
    elif fast:
        everybody = world.known.eligible
        begun = _opening(world, channel, everybody, kind, prod(shape), number, most)
        account_chains(begun, world.shards.mine(everybody))
    if fast:
        return world.team.sum(torch.from_numpy(of_all()))
    if is_ideal:
        sent = (
            channel.send(kind(channel.round, of_one(client)), client, Role.AGGREGATOR) for client in clients.tolist()
        )
        total = sum((each.counts.astype(np.int64) for each in sent), np.zeros(shape, np.int64))
    else:
        total = _executed(_opening(world, channel, clients, kind, prod(shape), number, most), of_one).reshape(shape)
    return world.team.sum(torch.from_numpy(total))


def counted_together(world: World) -> list[I64]:
    """The clients that each sum of item popularity is of which somebody learns."""
    clients = world.known.eligible
    if world.config.federated.aggregation == "sum":
        return [clients]
    nobody_listens = Channel(0)
    begun = _opening(world, nobody_listens, clients, messages.PurchaseCounts, world.n_items, 0, 1)
    return [members for members, _ in companies(begun)]


def _executed(opening: Opening, of_one: Callable[[int], I32]) -> I64:
    aggregation = AGGREGATIONS[opening.federated.aggregation].by_messages(opening)
    none, rows = torch.empty(0, dtype=torch.int64), torch.empty(0, 1, dtype=torch.int32)
    for place, client in enumerate(opening.clients.tolist()):
        mine = torch.from_numpy(of_one(client).reshape(1, -1))
        nothing = np.zeros(1, np.int64), none, torch.empty(1, 0, 1, dtype=torch.int32), 0
        aggregation.add(Updates(np.array([place]), mine, none, rows, *nothing))
    return np.asarray(aggregation.close().query.numpy(), np.int64)


def _opening(
    world: World, channel: Channel, clients: I64, kind: type[messages.Message], width: int, number: int, most: int
) -> Opening:
    """Of what is counted, in chains that are long: in shards only where there are several such chains in each."""
    length, everybody = max(world.config.federated.chain_length, LENGTH), len(world.known.eligible)
    longer = world.config.federated.model_copy(update={"chain_length": length, "cohort_size": everybody})
    codec = Codec(float(most), most)
    begun = opening_of_vectors(world, longer, FIRST + number, clients, width, codec, kind, channel)
    return replace(begun, run=simulated_run(world.seed, ", once"))
