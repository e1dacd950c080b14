"""A whole cohort at once: `client.py` for thousands of clients in a few batched operations.

Clients are cut into blocks by (length bucket, client id), never by worker or thread, so that every block computes the
same floats wherever it runs; within a block each client keeps its own gradient, which is clipped and rounded before
anything is summed. Only integers leave a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated import messages
from spfedrec_cli.federated.aggregation import AGGREGATIONS, Sums, Updates
from spfedrec_cli.federated.client import target_counts
from spfedrec_cli.federated.codec import Codec
from spfedrec_cli.federated.exchange import Cohort, CohortResult, Published
from spfedrec_cli.federated.ledger import Ledger
from spfedrec_cli.federated.request import Obfuscation
from spfedrec_cli.federated.state import World
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import history_weights, linear, query_tower
from spfedrec_cli.rng import uniform_rows

I64 = npt.NDArray[np.int64]
_BLOCK_CELLS = 1 << 21  # floats of gradients that one block may hold: 8 MiB; see docs/log.md for other sizes


@dataclass(frozen=True)
class _Block:
    """Some clients, as places in the cohort, and their padded items as places in the published rows (−1: padding)."""

    members: I64
    own: Tensor  # (K, L)
    targets: Tensor  # (K, L) bool
    negatives: Tensor  # (K, M) places of V−, where those are the training negatives
    expected: Tensor  # (K, M) log of the expected number of each negative; inf: not a negative


def train_cohort(world: World, published: Published, cohort: Cohort, ledger: Ledger) -> CohortResult:
    """Steps 4 to 6 in batched operations; message sizes by their formula."""
    count_messages(published, cohort, ledger)
    sums = Sums.zero(width_of(published), published.embeddings.shape)
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else torch.empty_like(cohort.private)
    aggregate = AGGREGATIONS[world.config.federated.aggregation]
    for block in _blocks(world, published, cohort):
        members = torch.from_numpy(block.members)
        mine = None if cohort.private is None else cohort.private.index_select(0, members)
        codes = world.clients.codes[torch.from_numpy(cohort.clients[block.members])]
        updates, block_losses, block_private = _train_block(world, published, codes, block, mine)
        sums = sums + aggregate(updates, len(published.rows))
        losses.index_copy_(0, members, block_losses)
        if kept is not None and block_private is not None:
            kept.index_copy_(0, members, block_private)
    return CohortResult(sums, kept, losses)


def width_of(published: Published) -> int:
    """P, the number of weights in θ_u."""
    return sum(weight.numel() for weight in published.query.values())


def count_messages(published: Published, cohort: Cohort, ledger: Ledger) -> None:
    """Enter what would cross, without building it: the bytes of `messages.serialise`."""
    width, dim, pool = width_of(published), published.embeddings.shape[1], len(published.pool)
    asked = cohort.own.lengths + cohort.hidden.items.lengths
    sizes: dict[type[messages.Message], I64] = {
        messages.Broadcast: np.full(len(cohort), messages.size([width, pool, pool * dim])),
        messages.Request: messages.size([asked]),
        messages.Embeddings: messages.size([asked * dim]),
        messages.ClientUpdate: messages.size([width, (asked + pool) * dim]),
    }
    for kind, each in sizes.items():
        ledger.count(kind.kind, kind.direction, each)


def _train_block(
    world: World, published: Published, codes: Tensor, block: _Block, private: Tensor | None
) -> tuple[Updates, Tensor, Tensor | None]:
    model, client, clients = world.config.model, world.config.client, len(block.members)
    theta = {k: w.detach().expand(clients, *w.shape).requires_grad_() for k, w in published.query.items()}
    own = _rows(published.embeddings, block.own).requires_grad_()
    mine = None if private is None else private.clone().requires_grad_()

    history = torch.bmm(history_weights(model, (block.own >= 0) & ~block.targets)[:, None], own)[:, 0]
    query = query_tower(theta, codes, history, mine)
    scores = (own * query[:, None]).sum(-1) / model.temperature
    if client.negatives == "public":
        pool = torch.from_numpy(published.pool)
        candidates = published.embeddings.index_select(0, pool).expand(clients, -1, -1).requires_grad_()
        negatives = linear(query, candidates) / model.temperature - block.expected
    else:
        candidates = _rows(published.embeddings, block.negatives).requires_grad_()
        negatives = (candidates * query[:, None]).sum(-1) / model.temperature - block.expected
    each = LOSSES["softmax"](scores, negatives) * block.targets
    losses = each.sum(1) / block.targets.sum(1)

    leaves = [*theta.values(), own, candidates] + ([] if mine is None else [mine])
    grads = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
    updates = _encode(world, grads, len(theta), block, published)
    kept = None if private is None else private - client.private_lr * grads[-1]
    return updates, losses.detach().double(), kept


def _encode(world: World, grads: tuple[Tensor, ...], n_theta: int, block: _Block, published: Published) -> Updates:
    """Step 5: each client's own coordinates become integers; padding is dropped."""
    codec_query, codec_item = world.codecs()
    clients = len(block.members)
    step = torch.cat([grad.reshape(clients, -1) for grad in grads[:n_theta]], 1).mul_(-world.config.client.lr)
    query, saturated = codec_query.encode(step)
    rows, own, outside = _encode_rows(codec_item, block.own, grads[n_theta])
    saturated = saturated + outside
    if world.config.client.negatives == "public":
        pool, outside = codec_item.encode(grads[n_theta + 1])
        return Updates(query, rows, own, torch.from_numpy(published.pool), pool, saturated + outside)
    hidden_rows, hidden, outside = _encode_rows(codec_item, block.negatives, grads[n_theta + 1])
    rows, own = torch.cat([rows, hidden_rows]), torch.cat([own, hidden])
    empty = torch.empty(0, dtype=torch.int64)
    return Updates(query, rows, own, empty, own.new_empty(clients, 0, own.shape[1]), saturated + outside)


def _encode_rows(codec: Codec, places: Tensor, grads: Tensor) -> tuple[Tensor, Tensor, int]:
    """Places (n,) and integers (n, d) of what is not padding in (K, L) and (K, L, d); and how many were saturated."""
    flat = places.reshape(-1)
    real = (flat >= 0).nonzero()[:, 0]
    encoded, saturated = codec.encode(grads.flatten(0, 1).index_select(0, real))
    return flat.index_select(0, real), encoded, saturated


def _rows(embeddings: Tensor, places: Tensor) -> Tensor:
    """(K, L, d) rows at the places, zero where a place is −1."""
    padded = torch.cat([embeddings, embeddings.new_zeros(1, embeddings.shape[1])])
    return torch.nn.functional.embedding(places % len(padded), padded)


def _blocks(world: World, published: Published, cohort: Cohort) -> Iterator[_Block]:
    """Blocks of similar length, cut the same way whoever runs them."""
    own, hidden = cohort.own, cohort.hidden
    longest = np.maximum(own.lengths, 1)
    buckets = np.ceil(2 * np.log2(longest)).astype(np.int64)
    order = np.lexsort((cohort.clients, buckets))
    uses_pool = world.config.client.negatives == "public"
    others = np.full(len(cohort), len(published.pool)) if uses_pool else hidden.items.lengths
    seat = np.empty(world.n_items, np.int32)
    seat[published.rows] = np.arange(len(published.rows), dtype=np.int32)
    places = Ragged(own.offsets, seat[own.values])
    hidden = Obfuscation(Ragged(hidden.items.offsets, seat[hidden.items.values]), hidden.inclusion)
    for bucket in np.unique(buckets):
        members = order[buckets[order] == bucket]
        candidates = int(longest[members].max() + others[members].max(initial=0))
        size = max(1, _BLOCK_CELLS // (width_of(published) + candidates * published.embeddings.shape[1]))
        for start in range(0, len(members), size):
            part = members[start : start + size]
            yield _block(world, published, cohort.clients[part], part, places.take(part), hidden.take(part))


def _block(world: World, published: Published, clients: I64, members: I64, own: Ragged, hidden: Obfuscation) -> _Block:
    padded = own.padded(-1)
    keys = uniform_rows(world.seed, "targets", clients, published.round, padded.shape[1])
    keys[padded < 0] = 2.0
    wanted = target_counts(world.config.client.target_share, own.lengths)
    targets = np.zeros(padded.shape, np.bool_)
    first = np.arange(padded.shape[1])[None, :] < wanted[:, None]
    np.put_along_axis(targets, np.argsort(keys, axis=1, kind="stable"), first, 1)
    logq = float(world.config.client.logq)
    if world.config.client.negatives == "public":
        expected = np.full((len(members), len(published.pool)), logq * np.log(len(published.pool) / world.n_items))
        seat = np.full(len(published.rows), -1)
        seat[published.pool] = np.arange(len(published.pool))
        hits = seat[own.values]
        expected[own.row_index()[hits >= 0], hits[hits >= 0]] = np.inf
        negatives = np.empty((len(members), 0), np.int64)
    else:
        negatives = hidden.items.padded(-1).astype(np.int64)
        expected = np.full(negatives.shape, np.inf)
        expected[hidden.items.row_index(), hidden.items.position()] = logq * np.log(hidden.inclusion)
    return _Block(
        members,
        torch.from_numpy(padded.astype(np.int64)),
        torch.from_numpy(targets),
        torch.from_numpy(negatives),
        torch.from_numpy(expected.astype(np.float32)),
    )
