"""What goes into an aggregation protocol, and what comes out of it: named integers, never a model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import FederatedConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64, Bool
from spfedrec_cli.federated.aggregation.chain.sources import Secrets
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import Message


@dataclass(frozen=True)
class Opening:
    """What a protocol is told of a round: whose updates it will get, and what they are laid out on.

    clients (K,) are ids, `groups` (K,) the group of each, out of `group_count`: no process holds part of a group only;
    `silent` (K,) the `Phase` in which each falls silent, and `secrets` where a simulation takes theirs from.
    rows (R,) are the items whose gradients are summed, ascending; pool (M,) the places in them of the public pool, or
    of the slate, which is all of them while nobody requests any. P = `width`, d = `dim`. `told` makes the messages that
    all are told alike, where there are any that a protocol binds its members to; `settings` (32 bytes) is the digest of
    the settings that all follow, to which it binds them too; `run` (32 bytes) the run's name, where it is not that of
    the rounds. All that crosses goes through
    `channel`: where a protocol sends updates as they are, they are of the kind `update`, of `update_sizes` (K,) bytes.
    """

    federated: FederatedConfig
    seed: int
    round: int
    clients: I64
    groups: I64
    group_count: int
    silent: I64
    own: Ragged
    hidden: Ragged
    rows: I64
    pool: I64
    width: int
    dim: int
    codec_query: Codec
    codec_item: Codec
    channel: Channel
    secrets: Secrets
    update: type[Message]
    update_sizes: I64
    told: Callable[[], tuple[Message, ...]] | None
    settings: bytes
    run: bytes | None = None

    @cached_property
    def requests(self) -> Ragged:
        """The items that each client requested."""
        return self.own.followed_by(self.hidden)


@dataclass(frozen=True)
class Updates:
    """The uploads of k clients in fixed point (int32); `members` (k,) are their places in the opening.

    query (k, P); own (n, d) belongs to the items at own_rows (n,), one client's after another's, `counts` (k,) each (of
    what a client requested, all whose gradient may differ from zero); pool (k, M, d) to pool_rows (M,). `saturated`
    counts coordinates that were clipped. `sent` is how the update of a single device crosses, where
    a protocol sends it as it is.
    """

    members: I64
    query: Tensor
    own_rows: Tensor
    own: Tensor
    counts: I64
    pool_rows: Tensor
    pool: Tensor
    saturated: int
    sent: "Sent | None" = None

    def of(self, chosen: npt.NDArray[np.bool_]) -> "Updates":
        """Of some of the clients (k,) alone."""
        if chosen.all():
            return self
        some, rows = torch.from_numpy(chosen), torch.from_numpy(np.repeat(chosen, self.counts))
        return replace(
            self,
            members=self.members[chosen],
            query=self.query[some],
            own_rows=self.own_rows[rows],
            own=self.own[rows],
            counts=self.counts[chosen],
            pool=self.pool[some],
        )


@dataclass(frozen=True)
class Sent:
    """The message of one device's update, and what the aggregator reads in it."""

    message: Message
    read: Callable[[Message], Updates]


@dataclass
class Sums:
    """What the aggregator learns, modulo 2^32: query (P,), items (R, d), int32 in two's complement; the clients in it.

    It is added to in place: a dense copy of all items for every few clients would cost more than their training.
    `aborted` counts groups of clients whose sum was never learned, `unchecked` those whose sum could not be told from
    noise.
    """

    query: Tensor
    items: Tensor
    clients: int
    saturated: int
    aborted: int = 0
    unchecked: int = 0

    @classmethod
    def zero(cls, width: int, shape: tuple[int, ...], clients: int = 0) -> "Sums":
        return cls(torch.zeros(width, dtype=torch.int32), torch.zeros(shape, dtype=torch.int32), clients, 0)


class Aggregation(Protocol):
    """One round of a protocol. It may be shared by nothing else.

    `uploads` (K,) says which clients get to upload, given who falls silent when: others need not train.
    """

    uploads: Bool

    def add(self, updates: Updates) -> None:
        """Takes the uploads of some clients, all of which are among `uploads`."""
        ...

    def close(self) -> Sums:
        """The sum over the clients that are in it."""
        ...


def add_rows(total: Tensor, places: Tensor, added: Tensor) -> None:
    """total[places] += added, where a place may come more than once. (At half the time of `index_add_`.)"""
    total.index_put_((places,), added, accumulate=True)
