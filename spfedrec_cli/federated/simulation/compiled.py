"""A whole cohort at once: `client.py` as one compiled loop over clients, which threads share.

Only integers are summed over clients, so that any number of threads comes to the same bits. Clients train on the CPU
whatever `train.device` is: what the server has published is fetched once a round.
"""

from collections.abc import Iterator

import numpy as np
import torch

from spfedrec_cli.dtypes import F64, I32, I64, Bool
from spfedrec_cli.federated.aggregation.ideal import IdealSum
from spfedrec_cli.federated.aggregation.protocol import Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.simulation.arrays import Layout
from spfedrec_cli.federated.simulation.opening import account_requests, opening
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.kernels import clients as kernel
from spfedrec_cli.kernels.compiling import announce
from spfedrec_cli.threads import shared

_PIECES = 8  # of the work of each of several threads, so that none waits long for the last one
_FEWEST = 16  # clients of a piece
COORDINATES = 1 << 20  # of uploads that stand beside each other


def train_cohort(world: World, published: Published, cohort: Cohort, channel: Channel) -> CohortResult:
    """Steps 4 to 6; message sizes by their formula. What comes out is on the CPU."""
    published = published.fetched()
    protocol = AGGREGATIONS[world.config.federated.aggregation]
    aggregation = protocol.open(opening(world, published, cohort, channel))
    account_requests(published, cohort, channel)
    layout, losses = Layout.of(world, published, cohort, aggregation.uploads), np.zeros(len(cohort))
    if isinstance(aggregation, IdealSum):
        _add_sum(world, published, layout, losses, aggregation)
    else:
        for updates in updates_of(world, published, aggregation.uploads, layout, losses):
            aggregation.add(updates)
    private = None if cohort.private is None else torch.from_numpy(layout.clients.private)
    return CohortResult(aggregation.close(), private, torch.from_numpy(losses), aggregation.uploads)


def _add_sum(world: World, published: Published, layout: Layout, losses: F64, aggregation: IdealSum) -> None:
    """Every thread adds to a sum of its own."""
    seats, pool = layout.clients.seats, layout.published.pool
    row_of = np.where(seats < len(published.summed), seats, -1).astype(
        np.int64
    )  # what is not in a slate never leaves the device
    shapes = (1, world.known.shared_width), (1, pool.size), (len(published.summed), pool.shape[1])
    uploads = []
    for _ in range(world.config.train.threads_here):
        query, of_pool, rows = (np.zeros(shape, np.int32) for shape in shapes)
        uploads.append(kernel.Upload(query, of_pool, rows, row_of, 0, 0, 0, losses))
    saturated = _train(layout, range(len(aggregation.uploads)), uploads)
    for each in uploads:
        each.rows[published.pool] += each.pool.reshape(pool.shape)
        aggregation.add_sum(torch.from_numpy(each.query[0]), torch.from_numpy(each.rows))
    aggregation.count(np.flatnonzero(aggregation.uploads), saturated)


def updates_of(world: World, published: Published, uploading: Bool, layout: Layout, losses: F64) -> Iterator[Updates]:
    """Every client's own, for some clients at a time."""
    pool, slate = layout.published.pool, published.slate is not None
    row_of, starts = _slate_rows(layout) if slate else _own_rows(layout)
    few = max(1, COORDINATES // (world.known.shared_width + pool.size + 1))
    for first in range(0, len(uploading), few):
        some = slice(first, min(first + few, len(uploading)))
        rows = slice(int(starts[first]), int(starts[some.stop]))
        query, of_pool = (
            np.zeros((some.stop - first, width), np.int32) for width in (world.known.shared_width, pool.size)
        )
        own = np.zeros((0 if slate else rows.stop - rows.start, pool.shape[1]), np.int32)
        of_rows = of_pool.reshape(-1, pool.shape[1]) if slate else own
        upload = kernel.Upload(query, of_pool, of_rows, row_of, 1, first, rows.start, losses)
        saturated = _train(layout, range(first, some.stop), [upload] * world.config.train.threads_here)
        if not slate:
            _to_pool(layout, some, own, of_pool, world.known.codecs()[1].qmax)
        yield Updates(
            members=np.arange(first, some.stop),
            query=torch.from_numpy(query),
            own_rows=torch.from_numpy(layout.clients.seats[rows][: len(own)].astype(np.int64)),
            own=torch.from_numpy(own),
            counts=np.diff(starts)[some] * (not slate),
            pool_rows=torch.from_numpy(published.pool),
            pool=torch.from_numpy(of_pool.reshape(len(query), *pool.shape)),
            saturated=saturated,
        ).of(uploading[some])


def _to_pool(layout: Layout, some: slice, own: I32, of_pool: I32, limit: int) -> None:
    """Of candidates (n, d) that are in the pool the pool's rows (k, M · d) take everything, as `client.in_one_place`
    says for one device."""
    starts = layout.clients.starts[some.start : some.stop + 1]
    place = layout.published.in_pool[layout.clients.seats[starts[0] : starts[-1]]]
    hit, owner = place >= 0, np.repeat(np.arange(len(of_pool)), np.diff(starts))
    rows, where = of_pool.reshape(len(of_pool), *layout.published.pool.shape), (owner[hit], place[hit])
    rows[where] = np.clip(rows[where] + own[hit], -limit, limit)
    own[hit] = 0


def _own_rows(layout: Layout) -> tuple[I64, I64]:
    """Each candidate has a row, in the order of clients; those of client k begin at starts[k]."""
    return np.arange(len(layout.clients.seats)), layout.clients.starts


def _slate_rows(layout: Layout) -> tuple[I64, I64]:
    """Each client has the rows of the slate; what is not in it has none, and never leaves the device."""
    clients, slate = len(layout.clients.keys), len(layout.published.pool)
    seats, owner = layout.clients.seats, np.repeat(np.arange(clients), np.diff(layout.clients.starts))
    return np.where(seats < slate, owner * slate + seats, -1), np.arange(clients + 1) * slate


def _train(layout: Layout, some: range, uploads: list[kernel.Upload]) -> int:
    """Threads, one for each of `uploads`, take piece after piece; returns how many coordinates were saturated."""
    size = len(some) if len(uploads) == 1 else max(_FEWEST, -(-len(some) // (_PIECES * len(uploads))))
    announce(kernel.train)
    pieces = iter(range(some.start, some.stop, max(1, size)))

    def work(upload: kernel.Upload) -> int:
        room, cut = layout.room(), 0
        for begin in pieces:
            end = min(begin + size, some.stop)
            cut += kernel.train(
                layout.tower, layout.settings, layout.published, layout.clients, begin, end, upload, room
            )
        return cut

    return sum(shared(work, uploads, len(uploads)))
