"""A whole cohort at once: `client.py` for thousands of clients in a few batched operations.

Clients are trained block by block; within a block each keeps its own gradient, which is clipped and rounded before
anything is summed. Only integers leave a block.
"""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.data.parallel import each
from spfedrec_cli.federated import messages
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums
from spfedrec_cli.federated.blocks import Block, blocks
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.ledger import Ledger
from spfedrec_cli.federated.local import train_block
from spfedrec_cli.federated.scratch import Scratch
from spfedrec_cli.federated.state import World
from spfedrec_cli.federated.uploads import uploads

I64 = npt.NDArray[np.int64]


def train_cohort(world: World, published: Published, cohort: Cohort, ledger: Ledger) -> CohortResult:
    """Steps 4 to 6 in batched operations; message sizes by their formula."""
    count_messages(world, published, cohort, ledger)
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else torch.empty_like(cohort.private)
    queue = _Queue(blocks(world, published, cohort))

    def work(worker: int) -> Sums:
        return _train_blocks(world, published, cohort, queue, losses, kept, world.scratch.of(worker))

    total, *others = each(work, range(world.config.train.workers), world.config.train.workers)
    for sums in others:
        total.add(sums)
    return CohortResult(total, kept, losses)


class _Queue:
    """Blocks for several threads, one after another."""

    def __init__(self, source: Iterator[Callable[[], Block]]) -> None:
        self._source, self._lock = source, threading.Lock()

    def __iter__(self) -> Iterator[Block]:
        while True:
            with self._lock:
                pad = next(self._source, None)
            if pad is None:
                return
            yield pad()


def _train_blocks(
    world: World,
    published: Published,
    cohort: Cohort,
    queue: _Queue,
    losses: Tensor,
    kept: Tensor | None,
    scratch: Scratch,
) -> Sums:
    """The sum over some of the blocks; writes the losses and what is kept to the places of their clients."""
    sums = Sums.zero(world.shared_width, published.embeddings.shape)
    aggregate = AGGREGATIONS[world.config.federated.aggregation]
    for block in queue:
        members = torch.from_numpy(block.members)
        private = None if cohort.private is None else cohort.private.index_select(0, members)
        codes = world.clients.codes[torch.from_numpy(cohort.clients[block.members])]
        learned = train_block(world, published, codes, block, private, scratch)
        for updates in uploads(world, published, block, learned, scratch):
            aggregate(sums, updates)
        losses.index_copy_(0, members, learned.losses)
        if kept is not None and learned.private is not None:
            kept.index_copy_(0, members, learned.private)
    return sums


def count_messages(world: World, published: Published, cohort: Cohort, ledger: Ledger) -> None:
    """Enter what would cross, without building it: the bytes of `messages.serialise`."""
    width, dim, pool = world.shared_width, published.embeddings.shape[1], len(published.pool)
    asked = cohort.own.lengths + cohort.hidden.items.lengths
    sizes: dict[type[messages.Message], I64] = {
        messages.Broadcast: np.full(len(cohort), messages.size([width, pool, pool * dim])),
        messages.Request: messages.size([asked]),
        messages.Embeddings: messages.size([asked * dim]),
        messages.ClientUpdate: messages.size([width, (asked + pool) * dim]),
    }
    for kind, lengths in sizes.items():
        ledger.count(kind.kind, kind.direction, lengths)
