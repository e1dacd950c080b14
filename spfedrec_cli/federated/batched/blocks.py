"""A cohort cut into blocks of clients with similar histories, padded: what `local.py` trains at once.

Blocks are cut by (shard, length bucket, client id), never by worker, so that every block computes the same floats
wherever it runs. Within a block clients with more local steps stand first: those that still train are its first rows.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from spfedrec_cli.config import ClientConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.client import targets_stream
from spfedrec_cli.federated.exchange import Cohort, Published
from spfedrec_cli.federated.layout import target_numbers
from spfedrec_cli.federated.negatives import side_by_side
from spfedrec_cli.federated.pool import chance_of
from spfedrec_cli.federated.request import Obfuscation
from spfedrec_cli.federated.state import World
from spfedrec_cli.placement import placed
from spfedrec_cli.rng import uniform_ragged

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
_BUCKETS = 0.5  # for a doubling of the length: a few large blocks cost less than the padding that they save
_WORTH_A_BLOCK = 16 << 10  # padded items
_PLACE_BITS = 30  # of a sorted number that hold the place of a purchase; its draw has 33
BLOCK_CELLS = 12 << 20  # floats of gradients, or of weights and moments, that one block may hold; see docs/log.md


@dataclass(frozen=True)
class Block:
    """Some clients, as places in the cohort, and their padded items as places in the published rows (−1: padding)."""

    members: I64
    items: Tensor  # (K, L + M) purchases, and behind them V−, where those are training negatives (else M = 0)
    turns: Tensor  # (E, K, L) the local step in which a purchase is a target, epoch by epoch; −1: in none
    steps: I64  # (K,) local steps of each client, descending
    expected: Tensor  # (K, M + pool) log of the expected number of each negative, V− first; inf: not a negative

    @property
    def purchases(self) -> int:
        """L, the columns of `items` that hold purchases."""
        return self.turns.shape[2]


def blocks(world: World, published: Published, cohort: Cohort) -> Iterator[Block]:
    """Blocks of similar length, cut the same way whoever runs them. Clients without a target are in none."""
    own, hidden = cohort.own, cohort.hidden
    longest = np.maximum(own.lengths, 1)
    targets = target_numbers(world, published, own)
    steps = step_counts(world.config.client, targets)
    others = len(published.pool) + hidden.items.lengths * world.config.client.uses_own
    seat = np.empty(world.n_items, np.int32)
    seat[published.rows] = np.arange(len(published.rows), dtype=np.int32)
    places = Ragged(own.offsets, seat[own.values])
    hidden = Obfuscation(Ragged(hidden.items.offsets, seat[hidden.items.values]), hidden.inclusion)
    # In a slate targets are drawn as negatives are, and nothing is to be corrected.
    pool = published.rows[published.pool if published.slate is None else published.pool[:0]]
    chance = chance_of(world.config.client, published.obfuscating, pool)
    training = np.flatnonzero((targets > 0) & ~cohort.dropped)
    for members in _alike(world.shards.of(cohort.clients), longest, training):
        items, most = int(longest[members].max() + others[members].max(initial=0)), int(steps[members].max())
        size = _block_size(world, items * max(published.embeddings.shape[1], 2 * most), most)
        for start in range(0, len(members), size):
            part = members[start : start + size]
            part = part[np.argsort(-steps[part], kind="stable")]
            clients, own_places, seen = cohort.clients[part], places.take(part), hidden.take(part)
            yield _block(world, published, clients, part, own_places, seen, targets[part], chance)


def _alike(shards: I64, lengths: I64, places: I64) -> Iterator[I64]:
    """The places (ascending) cut into those of clients of one shard and one bucket of lengths."""
    for shard in np.unique(shards):
        here = places[shards[places] == shard]
        buckets = _buckets(lengths[here])
        for bucket in np.unique(buckets):
            yield here[buckets == bucket]


def _buckets(lengths: I64) -> I64:
    """(K,) the bucket of each client. A bucket whose clients are few joins the next longer one: padding them costs
    less than some hundred operations for a block of their own."""
    buckets = np.ceil(_BUCKETS * np.log2(lengths)).astype(np.int64)
    for short, long in itertools.pairwise(np.unique(buckets).tolist()):
        joining = buckets == short
        if joining.sum() * lengths[buckets == long].max() < _WORTH_A_BLOCK:
            buckets[joining] = long
    return buckets


def without_targets(world: World, published: Published, cohort: Cohort) -> I64:
    """Clients that have nothing to learn from in this round, and have not dropped out, as places in the cohort."""
    return np.flatnonzero((target_numbers(world, published, cohort.own) == 0) & ~cohort.dropped)


def step_counts(client: ClientConfig, targets: I64) -> I64:
    """Local steps of clients with so many targets an epoch."""
    return client.local_epochs * _ceil(targets, client.batch_size or np.maximum(1, targets))


def _ceil(number: I64, divisor: int | I64) -> I64:
    return np.asarray(-(-number // divisor), np.int64)


def _block_size(world: World, items: int, steps: int) -> int:
    """How many clients, each with so many floats of candidates, stay within the cells of a block."""
    towers = 1 if steps == 1 else 4 if world.config.client.optimizer == "adam" else 3
    return max(1, BLOCK_CELLS // (towers * world.width + items))


def _block(
    world: World,
    published: Published,
    clients: I64,
    members: I64,
    own: Ragged,
    hidden: Obfuscation,
    targets: I64,
    chance: F64,
) -> Block:
    padded = own.padded(-1).astype(np.int64)
    eligible = padded >= 0
    if published.slate is not None:
        eligible &= padded < len(published.slate.items)
    turns = _turns(world, clients, published.round, own.lengths, eligible, targets)
    rows = len(published.rows)
    negatives, expected = side_by_side(world.config.client, own, hidden, published.pool, rows, chance)
    return Block(
        members,
        placed(np.concatenate([padded, negatives], 1), world.device),
        placed(turns, world.device),
        step_counts(world.config.client, targets),
        placed(expected, world.device),
    )


def _turns(world: World, clients: I64, round_: int, lengths: I64, eligible: Bool, wanted: I64) -> I32:
    """(E, K, L): an epoch's order of the eligible purchases is cut into batches, and the epochs follow one another."""
    client, longest = world.config.client, eligible.shape[1]
    rank = np.arange(longest)
    size = client.batch_size or max(1, longest)
    turns = np.empty((client.local_epochs, len(clients), longest), np.int32)
    for epoch, turn in enumerate(turns):
        step = epoch * _ceil(wanted, size)[:, None] + rank // size
        step = np.where(rank < wanted[:, None], step, -1).astype(np.int32)
        if longest <= size and np.array_equal(wanted, lengths):
            turn[:] = step  # one batch of everything, in whatever order
        else:
            np.put_along_axis(turn, _order(world, targets_stream(epoch), clients, round_, lengths, eligible), step, 1)
    return turns


def _order(world: World, stream: str, clients: I64, round_: int, lengths: I64, eligible: Bool) -> I64:
    """(K, L): places of purchases by their draws, equal ones as they stand; behind them what is not eligible, padding
    last. A draw of 32 bits and its place are sorted as one number, which costs a third of a stable argsort."""
    rank = np.arange(eligible.shape[1])
    draws = uniform_ragged(world.seed, stream, clients, round_, lengths)
    keys = np.full(eligible.shape, 1 << 32)
    keys[rank < lengths[:, None]] = (draws * 2.0**32).astype(np.int64)
    keys[~eligible] = 1 << 32
    keys = (keys << _PLACE_BITS) | rank
    keys.sort(axis=1)
    return keys & ((1 << _PLACE_BITS) - 1)
