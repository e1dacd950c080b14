"""A cohort on a GPU: `client.py` for thousands of clients in a few batched operations.

Clients are trained block by block; within a block each keeps its own gradient, which is clipped and rounded before
anything is summed. Only integers leave a block.
"""

import torch

from spfedrec_cli.federated.aggregation import AGGREGATIONS
from spfedrec_cli.federated.batched.blocks import blocks, without_targets
from spfedrec_cli.federated.batched.local import train_block
from spfedrec_cli.federated.batched.scratch import Scratch
from spfedrec_cli.federated.batched.uploads import uploads, zeros
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.opening import message_sizes, opening
from spfedrec_cli.federated.state import World
from spfedrec_cli.placement import fetched, placed


def train_cohort(world: World, published: Published, cohort: Cohort) -> CohortResult:
    """Steps 4 to 6 in batched operations; message sizes by their formula. What comes out is on the CPU."""
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else cohort.private.clone()
    aggregation = AGGREGATIONS[world.config.federated.aggregation](opening(world, published, cohort))
    scratch = Scratch(world.device)
    for block in blocks(world, published, cohort):
        members = torch.from_numpy(block.members)
        private = None if cohort.private is None else placed(cohort.private.index_select(0, members), world.device)
        codes = world.clients.codes.index_select(0, placed(cohort.clients[block.members], world.device))
        learned = train_block(world, published, codes, block, private, scratch)
        for updates in uploads(world, published, block, learned, scratch):
            aggregation.add(updates)
        losses.index_copy_(0, members, learned.losses)
        if kept is not None and learned.private is not None:
            kept.index_copy_(0, members, fetched(learned.private))
    for updates in zeros(world, published, without_targets(world, published, cohort)):
        aggregation.add(updates)
    sums, sizes = aggregation.close()
    return CohortResult(sums, kept, losses, {**message_sizes(world, published, cohort), **sizes})
