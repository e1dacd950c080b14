"""A whole cohort at once: `client.py` for thousands of clients in a few batched operations.

Clients are trained block by block; within a block each keeps its own gradient, which is clipped and rounded before
anything is summed. Only integers leave a block.
"""

import numpy as np
import numpy.typing as npt
import torch

from spfedrec_cli.federated import messages
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums
from spfedrec_cli.federated.blocks import blocks, without_targets
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.local import train_block
from spfedrec_cli.federated.state import World
from spfedrec_cli.federated.uploads import uploads, zeros

I64 = npt.NDArray[np.int64]


def train_cohort(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 4 to 6 in batched operations; message sizes by their formula."""
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else cohort.private.clone()
    sums = Sums.zero(world.shared_width, published.shape)
    aggregate = AGGREGATIONS[world.config.federated.aggregation]
    for block in blocks(world, published, cohort):
        members = torch.from_numpy(block.members)
        private = None if cohort.private is None else cohort.private.index_select(0, members)
        codes = world.clients.codes[torch.from_numpy(cohort.clients[block.members])]
        learned = train_block(world, published, codes, block, private, world.scratch)
        for updates in uploads(world, published, block, learned, world.scratch):
            aggregate(sums, updates)
        losses.index_copy_(0, members, learned.losses)
        if kept is not None and learned.private is not None:
            kept.index_copy_(0, members, learned.private)
    silent = without_targets(world, published, cohort)
    if len(silent):
        aggregate(sums, zeros(world, published, len(silent)))
    return CohortResult(sums, kept, losses, message_sizes(world, published, cohort))


def message_sizes(world: World, published: Published, cohort: Cohort) -> dict[type[messages.Message], I64]:
    """What would cross, without building it: the bytes of `messages.serialise`."""
    width, dim, pool = world.shared_width, published.embeddings.shape[1], len(published.pool)
    if published.slate is not None:
        same = {
            messages.Broadcast: messages.size([width, 0, 0]),
            messages.PublishedSlate: messages.size([pool, pool * dim]),
            messages.ClientUpdate: messages.size([width, pool * dim]),
        }
        return {kind: np.full(len(cohort), size) for kind, size in same.items()}
    asked = cohort.own.lengths + cohort.hidden.items.lengths
    return {
        messages.Broadcast: np.full(len(cohort), messages.size([width, pool, pool * dim])),
        messages.Request: messages.size([asked]),
        messages.Embeddings: messages.size([asked * dim]),
        messages.ClientUpdate: messages.size([width, (asked + pool) * dim]),
    }
