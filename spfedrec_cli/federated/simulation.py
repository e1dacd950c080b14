"""A whole cohort at once: `client.py` for thousands of clients in a few batched operations.

Clients are trained block by block; within a block each keeps its own gradient, which is clipped and rounded before
anything is summed. Only integers leave a block.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.federated import messages
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums, Updates
from spfedrec_cli.federated.blocks import Block, blocks
from spfedrec_cli.federated.codec import Codec
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.local import Learned, train_block
from spfedrec_cli.federated.scratch import Scratch
from spfedrec_cli.federated.state import World

I64 = npt.NDArray[np.int64]


def train_cohort(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 4 to 6 in batched operations; message sizes by their formula."""
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else torch.empty_like(cohort.private)
    sums = Sums.zero(world.shared_width, published.embeddings.shape)
    aggregate = AGGREGATIONS[world.config.federated.aggregation]
    for pad in blocks(world, published, cohort):
        block = pad()
        updates, block_losses, block_private = _visit(world, published, cohort, block, world.scratch)
        members = torch.from_numpy(block.members)
        aggregate(sums, updates)
        losses.index_copy_(0, members, block_losses)
        if kept is not None and block_private is not None:
            kept.index_copy_(0, members, block_private)
    return CohortResult(sums, kept, losses, message_sizes(world, published, cohort))


def message_sizes(world: World, published: Published, cohort: Cohort) -> dict[type[messages.Message], I64]:
    """What would cross, without building it: the bytes of `messages.serialise`."""
    width, dim, pool = world.shared_width, published.embeddings.shape[1], len(published.pool)
    asked = cohort.own.lengths + cohort.hidden.items.lengths
    return {
        messages.Broadcast: np.full(len(cohort), messages.size([width, pool, pool * dim])),
        messages.Request: messages.size([asked]),
        messages.Embeddings: messages.size([asked * dim]),
        messages.ClientUpdate: messages.size([width, (asked + pool) * dim]),
    }


def _visit(
    world: World, published: Published, cohort: Cohort, block: Block, scratch: Scratch
) -> tuple[Updates, Tensor, Tensor | None]:
    """What the devices of a block upload, their losses, and what they keep."""
    private = None if cohort.private is None else cohort.private.index_select(0, torch.from_numpy(block.members))
    codes = world.clients.codes[torch.from_numpy(cohort.clients[block.members])]
    learned = train_block(world, published, codes, block, private, scratch)
    return _encode(world, learned, block, published), learned.losses, learned.private


def _encode(world: World, learned: Learned, block: Block, published: Published) -> Updates:
    """Step 5 for g_v: each client's own coordinates become integers; padding is dropped. Gradients are used up."""
    codec_item, query, saturated = world.codecs()[1], learned.query, learned.saturated
    rows, own, outside = _encode_rows(codec_item, block.own, learned.own)
    saturated = saturated + outside
    if world.config.client.negatives == "public":
        pool, outside = codec_item.encode(learned.candidates)
        return Updates(query, rows, own, torch.from_numpy(published.pool), pool, saturated + outside)
    hidden_rows, hidden, outside = _encode_rows(codec_item, block.negatives, learned.candidates)
    rows, own = torch.cat([rows, hidden_rows]), torch.cat([own, hidden])
    empty = torch.empty(0, dtype=torch.int64)
    return Updates(query, rows, own, empty, own.new_empty(len(query), 0, own.shape[1]), saturated + outside)


def _encode_rows(codec: Codec, places: Tensor, grads: Tensor) -> tuple[Tensor, Tensor, int]:
    """Places (n,) and integers (n, d) of what is not padding in (K, L) and (K, L, d); and how many were saturated."""
    flat = places.reshape(-1)
    real = (flat >= 0).nonzero()[:, 0]
    encoded, saturated = codec.encode(grads.flatten(0, 1).index_select(0, real))
    return flat.index_select(0, real), encoded, saturated
