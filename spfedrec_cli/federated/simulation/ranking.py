"""A cohort of the second stage: at once by a compiled loop over lists, or one device after another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from spfedrec_cli.config import FederatedConfig, SecondStageConfig
from spfedrec_cli.dtypes import F64, I64, Bool
from spfedrec_cli.federated.aggregation.protocol import Opening, Sent, Sums, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device import ranking as device
from spfedrec_cli.federated.sampling.cohort import fall_silent
from spfedrec_cli.federated.simulation.labelled import Labelled
from spfedrec_cli.federated.simulation.opening import opening_of_vectors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import Message, PublishedWeeks, Ranker, RankerUpdate
from spfedrec_cli.kernels import lists as kernel
from spfedrec_cli.second_stage.examples import Lists
from spfedrec_cli.threads import shared

_PIECES = 8  # of the devices of each thread, so that none waits long for the last one


@dataclass(frozen=True)
class RankingRound:
    """What the server has for a round of the second stage: who takes part and when each falls silent (K,), those that
    live in this process alone; what they are told; `weeks`, what they were told before; the codec."""

    federated: FederatedConfig
    clients: I64
    silent: I64
    told: Ranker
    weeks: PublishedWeeks
    codec: Codec


@dataclass(frozen=True)
class RankingResult:
    """The aggregate; of each client (K,) its mean loss and how many lists it had, 0 where it did not upload; and who
    did."""

    sums: Sums
    losses: F64
    lists: I64
    uploads: Bool


def silent_phases(federated: FederatedConfig, clients: I64, seed: int, round_: int) -> I64:
    """The phase in which each falls silent (K,)."""
    return fall_silent(federated, AGGREGATIONS[federated.aggregation].phases, clients, seed, round_)


def opening(world: World, round_: RankingRound, channel: Channel) -> Opening:
    """Of the second stage's Δ."""
    told, width = round_.told, len(round_.told.weights)
    begun = opening_of_vectors(
        world, round_.federated, told.round, round_.clients, width, round_.codec, RankerUpdate, channel
    )
    return replace(begun, silent=round_.silent, told=lambda: (told,))


def rank_cohort(world: World, labelled: Labelled, round_: RankingRound, channel: Channel) -> RankingResult:
    """All devices at once, whose floats depend on no other device's."""
    config = world.config.second_stage
    aggregation = AGGREGATIONS[round_.federated.aggregation].open(opening(world, round_, channel))
    members = np.flatnonzero(aggregation.uploads)
    lists = labelled.lists(round_.clients[members], labelled.public(round_.weeks.counts, config.popular))
    weights = round_.told.weights.astype(np.float64)
    grads, losses = gradients(config, lists, weights, world.config.train.threads_here)
    counts = np.array([len(each.owner) for each in lists], np.int64)
    grads /= np.maximum(counts, 1)[:, None]
    lengths = np.sqrt((grads * grads).sum(1))
    grads *= -np.minimum(1.0, config.clip / np.maximum(lengths, 1e-300))[:, None]
    encoded, _ = round_.codec.encode(torch.from_numpy(grads.astype(np.float32)))
    aggregation.add(_updates(members, encoded))
    return _result(aggregation.close(), aggregation.uploads, losses / np.maximum(counts, 1), counts)


def gradients(config: SecondStageConfig, lists: Sequence[Lists], weights: F64, threads: int) -> tuple[F64, F64]:
    """Of each device (K, P) and (K,): the sums over its lists of the gradient and the loss. Threads share devices."""
    grads, losses = np.zeros((len(lists), len(weights))), np.zeros(len(lists))
    kinds = kernel.FORMS[config.form], kernel.LOSSES[config.loss], config.hidden
    size = max(1, -(-len(lists) // (_PIECES * threads)))

    def work(first: int) -> None:
        some = range(first, min(first + size, len(lists)))
        longest = max(int(np.diff(lists[place].offsets).max(initial=1)) for place in some)
        room = kernel.room_for(longest, config.hidden)
        for place in some:
            mine, part = lists[place], slice(place, place + 1)
            bought = mine.bought.astype(np.float64)
            kernel.add_gradients(
                kinds, mine.x, bought, mine.offsets, mine.owner, weights, room, grads[part], losses[part]
            )

    shared(work, range(0, len(lists), size), threads)
    return grads, losses


def rank_one_by_one(world: World, labelled: Labelled, round_: RankingRound, channel: Channel) -> RankingResult:
    """The same as single devices with real messages."""
    aggregation = AGGREGATIONS[round_.federated.aggregation].by_messages(opening(world, round_, channel))
    config = world.config.second_stage
    common = device.Common(config, round_.codec, labelled.moments, labelled.ends, labelled.shop)
    losses, counts = [], []
    for place in np.flatnonzero(aggregation.uploads).tolist():
        client = int(round_.clients[place])
        mine = device.RankingDevice(client, labelled.rows.of(np.array([client])))
        learned = device.learn(common, device.make_lists(mine, common, round_.weeks), round_.told)
        aggregation.add(_uploaded(place, learned.update))
        losses.append(learned.loss)
        counts.append(learned.lists)
    return _result(aggregation.close(), aggregation.uploads, np.array(losses), np.array(counts, np.int64))


def _result(sums: Sums, uploads: Bool, losses: F64, counts: I64) -> RankingResult:
    of_each, lists = np.zeros(len(uploads)), np.zeros(len(uploads), np.int64)
    of_each[uploads], lists[uploads] = losses, counts
    return RankingResult(sums, of_each, lists, uploads)


def _updates(members: I64, encoded: torch.Tensor) -> Updates:
    count = len(members)
    nothing = torch.empty(0, dtype=torch.int64), torch.empty(0, 1, dtype=torch.int32)
    return Updates(
        members=members,
        query=encoded,
        own_rows=nothing[0],
        own=nothing[1],
        counts=np.zeros(count, np.int64),
        pool_rows=nothing[0],
        pool=torch.empty(count, 0, 1, dtype=torch.int32),
        saturated=0,
    )


def _uploaded(place: int, update: RankerUpdate) -> Updates:
    def read(message: Message) -> Updates:
        assert isinstance(message, RankerUpdate)
        return _updates(np.array([place]), torch.from_numpy(np.array(message.weights))[None])

    return replace(read(update), sent=Sent(update, read))
