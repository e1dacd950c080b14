"""What the devices of a block upload (step 5), for some clients at a time: as many as stay in the cache until summed.

Each client's coordinates become integers for itself. What can be known from the two vectors of a product is not looked
up in their product: whether any coordinate of a client is saturated, for one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from spfedrec_cli.federated.aggregation import Updates
from spfedrec_cli.federated.blocks import Block
from spfedrec_cli.federated.codec import ZERO_POINT, Codec, integers_
from spfedrec_cli.federated.exchange import Published
from spfedrec_cli.federated.local import Learned
from spfedrec_cli.federated.scratch import Scratch
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.factors import Products

_CACHED = 1 << 20  # coordinates that are worked on at a time: 4 MiB; see docs/log.md
_FEWEST = 16  # clients at a time, where they have more coordinates than that: every time costs some tens of operations


def uploads(world: World, published: Published, block: Block, learned: Learned, scratch: Scratch) -> Iterator[Updates]:
    """The uploads of a block, client after client. What is yielded is scratch: the next one ends it, and the towers
    in `learned` are used up."""
    codec_query, codec_item = world.codecs()
    clients, pool = len(block.members), _Pool(codec_item, learned.pool, published, scratch)
    places = block.items
    if published.slate is not None:  # gradients on what is not in the slate never leave the device
        places = torch.where(places < len(published.slate.items), places, -1)
    own, saturated = _OwnItems.of(codec_item, places, learned.items, scratch)
    few = max(_FEWEST, _CACHED // (learned.towers.width + pool.width))
    for start in range(0, clients, few):
        part = slice(start, min(start + few, clients))
        query, outside_query = learned.towers.encoded(part, codec_query)
        of_pool, outside_pool = pool.encoded(part)
        outside = saturated + outside_query + outside_pool
        if published.slate is not None:
            own.write(part, of_pool)
        rows = own.of_clients(part if published.slate is None else slice(part.start, part.start))
        yield Updates(query, *rows, pool.rows, of_pool, outside, ZERO_POINT)
        saturated = 0


def zeros(world: World, published: Published, clients: int) -> Updates:
    """What so many clients upload that have nothing to learn from: as much as everybody, so that it is not seen."""
    zero = torch.zeros(1, 1, dtype=torch.int32)
    pool, dim = len(published.pool), published.embeddings.shape[1]
    nothing = torch.empty(0, dtype=torch.int64), torch.empty(0, dim, dtype=torch.int32)
    query, items = zero.expand(clients, world.shared_width), zero[None].expand(clients, pool, dim)
    return Updates(query, *nothing, torch.from_numpy(published.pool), items, 0)


@dataclass(frozen=True)
class _OwnItems:
    """g_v of the items that clients requested, without padding: places (n,), integers (n, d); where each one's end."""

    places: Tensor
    encoded: Tensor
    ends: list[int]

    @classmethod
    def of(cls, codec: Codec, places: Tensor, grads: Products, scratch: Scratch) -> "tuple[_OwnItems, int]":
        """Of padded places (K, L); and how many coordinates are saturated."""
        flat, ends = places.reshape(-1), (places >= 0).sum(1).cumsum(0)
        real = (flat >= 0).nonzero()[:, 0]
        products = scratch.take("products", len(flat), grads.dim)
        grads.write(slice(None), products.view(*places.shape, -1))
        encoded, saturated = codec.encode(products.index_select(0, real))
        return cls(flat.index_select(0, real), encoded, [0, *ends.tolist()]), saturated

    def of_clients(self, part: slice) -> tuple[Tensor, Tensor]:
        rows = slice(self.ends[part.start], self.ends[part.stop])
        return self.places[rows], self.encoded[rows]

    def write(self, part: slice, pool: Tensor) -> None:
        """Into the rows of a slate (clients, M, d), ZERO_POINT above their value: what a client bought is none of its
        negatives, so that its row there is zero."""
        places, encoded = self.of_clients(part)
        counts = torch.tensor(self.ends[part.start : part.stop + 1]).diff()
        pool[torch.arange(len(counts)).repeat_interleave(counts), places] = encoded + ZERO_POINT


class _Pool:
    """g_v of the public pool, (K, M, d): of a client all M rows, as nobody's request hides in them."""

    def __init__(self, codec: Codec, grads: Products | None, published: Published, scratch: Scratch) -> None:
        self.codec, self.dim, self.scratch = codec, published.embeddings.shape[1], scratch
        self.rows = torch.from_numpy(published.pool) if grads is not None else torch.empty(0, dtype=torch.int64)
        self.width, self.grads = len(self.rows) * self.dim, None
        if grads is not None:
            self.grads = grads.times(torch.tensor([codec.scale]))
            self.to_look_at = codec.may_saturate(self.grads.largest()).tolist()

    def encoded(self, part: slice) -> tuple[Tensor, int]:
        """(clients, M, d), ZERO_POINT above their value; and how many are saturated."""
        clients = part.stop - part.start
        shape = clients, len(self.rows), self.dim
        if self.grads is None:
            return torch.empty(shape, dtype=torch.int32), 0
        room = self.scratch.take("pool", clients, self.width).view(shape)
        self.grads.write(part, room)
        saturated = self.codec.saturate_some_(room, self.to_look_at[part])
        return integers_(room), saturated
