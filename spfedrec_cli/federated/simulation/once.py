"""Sums over all who train that are made once, before any round: of purchases, by item or by item and week."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.federated.aggregation.chain.sources import simulated_run
from spfedrec_cli.federated.aggregation.protocol import Aggregation, Opening, Sent, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.simulation.opening import opening_of_vectors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
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

    By the protocol of the rounds, in longer chains. `train.engine = simulation` counts its bytes and takes the sum as
    it is, which masks leave untouched where nobody falls silent; `reference` sends every message.
    """
    protocol, everybody = AGGREGATIONS[world.config.federated.aggregation], world.known.eligible
    here = _opening(world, channel, world.here(everybody), kind, prod(shape), number, most)
    if world.config.train.engine != "simulation":
        total = _executed(protocol.by_messages(here), here, lambda client: kind(channel.round, of_one(client)))
        return world.team.sum(torch.from_numpy(total.reshape(shape)))
    if protocol.account is None:
        protocol.open(here).close()
    else:
        begun = _opening(world, channel, everybody, kind, prod(shape), number, most)
        protocol.account(begun, world.shards.mine(everybody))
    return world.team.sum(torch.from_numpy(of_all()))


def counted_together(world: World) -> list[I64]:
    """The clients that each sum of item popularity is of which somebody learns."""
    clients, nobody_listens = world.known.eligible, Channel(0)
    begun = _opening(world, nobody_listens, clients, messages.PurchaseCounts, world.n_items, 0, 1)
    return AGGREGATIONS[world.config.federated.aggregation].companies(begun)


def _executed(aggregation: Aggregation, opening: Opening, of_one: Callable[[int], messages.Message]) -> I64:
    for place, client in enumerate(opening.clients.tolist()):
        message, read = of_one(client), partial(_alone, place)
        aggregation.add(replace(read(message), sent=Sent(message, read)))
    return np.asarray(aggregation.close().query.numpy(), np.int64)


def _alone(place: int, message: messages.Message) -> Updates:
    """The update of a device that has nothing but counts."""
    assert isinstance(message, messages.PurchaseCounts | messages.WeeklyBuyers)
    none, rows = torch.empty(0, dtype=torch.int64), torch.empty(0, 1, dtype=torch.int32)
    nothing = np.zeros(1, np.int64), none, torch.empty(1, 0, 1, dtype=torch.int32), 0
    return Updates(np.array([place]), torch.tensor(message.counts).reshape(1, -1), none, rows, *nothing)


def _opening(
    world: World, channel: Channel, clients: I64, kind: type[messages.Message], width: int, number: int, most: int
) -> Opening:
    """Of what is counted, in chains that are long: in shards only where there are several such chains in each."""
    length, everybody = max(world.config.federated.chain_length, LENGTH), len(world.known.eligible)
    longer = world.config.federated.model_copy(update={"chain_length": length, "cohort_size": everybody})
    codec = Codec(float(most), most)
    begun = opening_of_vectors(world, longer, FIRST + number, clients, width, codec, kind, channel)
    return replace(begun, run=simulated_run(world.seed, ", once"))
