"""What a simulation of the second stage has: purchases with their days, as they lie on the devices, and label weeks."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.federated.simulation.once import summed_once
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.messages import PublishedWeeks
from spfedrec_cli.second_stage.examples import Catalogue, Lists, Moments, examples
from spfedrec_cli.second_stage.public import Public, public_at, weekly_buyers
from spfedrec_cli.second_stage.rows import Rows

REMEMBERED = 1 << 27  # features of lists that a simulation keeps, so that they are computed once


@dataclass(frozen=True)
class Labelled:
    """`rows`: training purchases of the devices that live in this process, nothing in the others' place. `until`: the
    day on which validation begins. Public sums go back from there by so many `weeks`, of which `ends` lie before each
    of the moments. `kept` and `shown` are for speed alone: forgetting them changes no bit."""

    rows: Rows
    until: int
    weeks: int
    moments: Moments
    ends: tuple[int, ...]
    shop: Catalogue
    kept: dict[int, Lists] = field(default_factory=dict, compare=False, repr=False)
    shown: dict[int, Public] = field(default_factory=dict, compare=False, repr=False)

    def public(self, weeks: npt.NDArray[np.integer], popular: int) -> Public:
        """What follows of the sums that were published, once and for all, at each of the moments."""
        if popular not in self.shown:
            self.shown[popular] = public_at(weeks, self.ends, popular)
        return self.shown[popular]

    def lists(self, clients: I64, public: Public) -> Lists:
        """Those of some devices, which are numbered as they stand in `clients` (K,)."""
        found = {client: self.kept[client] for client in clients.tolist() if client in self.kept}
        fresh = [client for client in clients.tolist() if client not in found]
        made = examples(self.rows, np.array(fresh, np.int64), self.moments, public, self.shop) if fresh else None
        if made is not None:
            found |= {client: _only(made, place) for place, client in enumerate(fresh)}
            if sum(each.x.size for each in self.kept.values()) + made.x.size <= REMEMBERED:
                self.kept.update({client: found[client] for client in fresh})
        return _joined([found[client] for client in clients.tolist()], len(self.shop.columns))


def _only(lists: Lists, device: int) -> Lists:
    """Those of one device, as if it were the first."""
    low, high = np.searchsorted(lists.owner, [device, device + 1])
    part = slice(int(lists.offsets[low]), int(lists.offsets[high]))
    offsets = lists.offsets[low : high + 1] - lists.offsets[low]
    return Lists(lists.x[part].copy(), lists.bought[part].copy(), offsets, np.zeros(high - low, np.int64))


def _joined(each: list[Lists], width: int) -> Lists:
    """Of one device after another."""
    x = np.concatenate([np.empty((0, width), np.float32), *(of.x for of in each)])
    bought = np.concatenate([np.empty(0, np.bool_), *(of.bought for of in each)])
    lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(of.offsets) for of in each)])
    owner = np.repeat(np.arange(len(each)), [len(of.owner) for of in each])
    return Lists(x, bought, np.append(0, np.cumsum(lengths)), owner)


def sum_weeks(world: World, labelled: Labelled, channel: Channel) -> torch.Tensor:
    """What devices add up once, (weeks + 1, n_items), as all of them are told it."""
    shape = (labelled.weeks + 1, world.n_items)

    def of_one(client: int) -> I32:
        return _buyers(labelled, labelled.rows.of(np.array([client])), world.n_items).astype(np.int32)

    def of_all() -> I64:
        return _buyers(labelled, labelled.rows, world.n_items)

    total = summed_once(world, channel, messages.WeeklyBuyers, of_one, of_all, shape, 2)
    summed = PublishedWeeks(channel.round, total.numpy().astype(np.int32))
    told = channel.tell(summed, world.here(world.known.eligible))
    return torch.from_numpy(np.array(told.counts))


def _buyers(labelled: Labelled, rows: Rows, n_items: int) -> I64:
    return weekly_buyers(rows, n_items, labelled.until, labelled.weeks)
