"""What the devices of a block upload (step 5), for some clients at a time: as many as stay in the cache until summed.

Each client's coordinates become integers for itself. What can be known from the two vectors of a product is not looked
up in their product: whether any coordinate of a client is saturated, for one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.federated.batched.blocks import Block
from spfedrec_cli.federated.batched.factors import Products
from spfedrec_cli.federated.batched.local import Learned
from spfedrec_cli.federated.batched.scratch import Scratch
from spfedrec_cli.federated.codec import ZERO_POINT, Codec, integers_
from spfedrec_cli.federated.exchange import Published
from spfedrec_cli.federated.state import World
from spfedrec_cli.federated.sums import Updates
from spfedrec_cli.placement import placed

I64 = npt.NDArray[np.int64]
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
        rows = own.of_clients(part) if published.slate is None else _no_rows(part.stop - part.start, pool.rows, of_pool)
        yield Updates(block.members[part], query, *rows, pool.rows, of_pool, outside, ZERO_POINT)
        saturated = 0


def zeros(world: World, published: Published, members: I64) -> Iterator[Updates]:
    """What these members of the cohort upload, who have nothing to learn from: as much as everybody, so that it is not
    seen; and as many at a time."""
    zero = torch.zeros(1, dtype=torch.int32, device=published.embeddings.device)
    rows, dim = len(published.pool), published.embeddings.shape[1]
    few = max(_FEWEST, _CACHED // max(1, world.shared_width + rows * dim))
    for start in range(0, len(members), few):
        some, pool = members[start : start + few], placed(published.pool, zero.device)
        query, items = zero.expand(len(some), world.shared_width), zero.expand(len(some), rows, dim)
        yield Updates(some, query, *_no_rows(len(some), pool, items), pool, items, 0)


def _no_rows(clients: int, places: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, I64]:
    """Places, integers, and how many of each client, where nobody requested anything."""
    return places[:0], rows[:0].flatten(0, 1), np.zeros(clients, np.int64)


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

    def of_clients(self, part: slice) -> tuple[Tensor, Tensor, I64]:
        """Places, integers, and how many belong to each client."""
        rows = slice(self.ends[part.start], self.ends[part.stop])
        return self.places[rows], self.encoded[rows], np.diff(self.ends[part.start : part.stop + 1])

    def write(self, part: slice, pool: Tensor) -> None:
        """Into the rows of a slate (clients, M, d), ZERO_POINT above their value: what a client bought is none of its
        negatives, so that its row there is zero."""
        places, encoded, counts = self.of_clients(part)
        owner = placed(np.repeat(np.arange(len(counts)), counts), places.device)
        pool[owner, places] = encoded + ZERO_POINT


class _Pool:
    """g_v of the public pool, (K, M, d): of a client all M rows, as nobody's request hides in them."""

    def __init__(self, codec: Codec, grads: Products | None, published: Published, scratch: Scratch) -> None:
        self.codec, self.dim, self.scratch = codec, published.embeddings.shape[1], scratch
        device = published.embeddings.device
        self.rows = placed(published.pool if grads is not None else published.pool[:0], device)
        self.width, self.grads = len(self.rows) * self.dim, None
        if grads is not None:
            self.grads = grads.times(torch.full((1,), codec.scale, device=device))
            self.to_look_at = codec.may_saturate(self.grads.largest()).tolist()

    def encoded(self, part: slice) -> tuple[Tensor, int]:
        """(clients, M, d), ZERO_POINT above their value; and how many are saturated."""
        clients = part.stop - part.start
        shape = clients, len(self.rows), self.dim
        if self.grads is None:
            return torch.empty(shape, dtype=torch.int32, device=self.rows.device), 0
        room = self.scratch.take("pool", clients, self.width).view(shape)
        self.grads.write(part, room)
        saturated = self.codec.saturate_some_(room, self.to_look_at[part])
        return integers_(room), saturated
