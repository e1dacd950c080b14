"""Steps 4 and 5 of the round for a cohort: one loop over clients that does for each what `device.client` does.

Nothing that a client computes depends on another one. What it uploads is rounded to integers before it is added to
anything, so that the sums are the same whoever adds them in whatever order.
"""

from typing import NamedTuple

import numpy as np

from spfedrec_cli.dtypes import F32, F64, I32, I64, U64
from spfedrec_cli.kernels import descent
from spfedrec_cli.kernels.arithmetic import add_times, add_weighted, copy, copy_times, dot, f32, fill
from spfedrec_cli.kernels.compiling import called, compiled
from spfedrec_cli.kernels.descent import Rule
from spfedrec_cli.kernels.draws import draw_order
from spfedrec_cli.kernels.encoding import add_rounded_product
from spfedrec_cli.kernels.history import weigh_history
from spfedrec_cli.kernels.losses import loss_and_gradients
from spfedrec_cli.kernels.scores import pull, score_hidden, score_pool, score_targets
from spfedrec_cli.kernels.tower import Passed, Tower, backward, forward, multiply_out, of_stretched, room_for, stretched
from spfedrec_cli.kernels.uploads import (
    add_items,
    add_pool,
    upload_gradient,
    upload_items,
    upload_moved,
    upload_pool,
    upload_sums,
)


class Settings(NamedTuple):
    """What everybody does. `scale_*` are the codec's units of one, `limit` its largest integer; `twice`: whether an
    item of V− that is in the pool too is two negatives."""

    rule: Rule
    loss: int
    history: int
    half_life: np.float32
    temperature: np.float32
    epochs: int
    batch_size: int  # 0: all targets at once
    private_lr: np.float32
    own_tower: bool
    twice: bool
    scale_query: np.float32
    scale_item: np.float32
    limit: np.float32


class Published(NamedTuple):
    """What everybody is told: ṽ (R, d); of the pool (M, d), and what the score of each of its items loses, the log of
    its expected number less its prior; where an item is in the pool, −1 if nowhere (R,); how many of the first rows may
    be targets; θ_u (P,), of which the last so many are `dense`, in no table; the round; the first of the streams that
    order purchases, one an epoch."""

    embeddings: F32
    pool: F32
    offsets: F32
    in_pool: I32
    eligible: int
    query: F32
    dense: int
    round: np.uint64
    stream: int


class Clients(NamedTuple):
    """A cohort: keys of the devices' own draws (K, 2); where their fields' rows begin in the tables (K, F).

    Candidates of member k are those from starts[k] to starts[k + 1]: where their embeddings are, the first bought[k]
    being purchases, oldest first, and behind them V−; what the score of each candidate
    loses, of V− the log of the expected number, and of all less the prior; what more the pool's lose (K,); how many
    targets an epoch has (K,), 0 of who does not train; the private embedding (K, d) or tower (K, P), which are changed
    in place (none: (1, 0)).
    """

    keys: U64
    fields: I64
    starts: I64
    bought: I64
    seats: I32
    offsets: F32
    pool_offset: F32
    targets: I64
    private: F32


class Upload(NamedTuple):
    """Where uploads are added to, all in the same place or each in its own.

    query (1 or K, P), pool (1 or K, M · d), and of candidates rows (n, d), whose numbers go with the candidates (−1:
    never leaves the device). `each` is 1 where every client has a place of its own, else 0; `first` is the client of
    the first one, `base` the number of the first row. Losses are (K,).
    """

    query: I32
    pool: I32
    rows: I32
    row_of: I64
    each: int
    first: int
    base: int
    losses: F64


class Room(NamedTuple):
    """Memory for one client at a time, whose candidates are N at most."""

    passed: Passed
    weights: F32  # (4, F · e + D) of the rows that its fields pick and all others; their gradients, two moments of each
    items: F32  # (N, d) candidates
    by_item: F32  # (N, d) gradients, where there are several steps
    by_pool: F32  # (M, d)
    own: F32  # (3, N) of purchases: scores, gradients by them, weights in the history
    negatives: F32  # (3, N + M) scores, and then gradients by them; two more for a loss that goes by pairs
    vectors: F32  # (6, d)
    places: I64  # (N,) purchases in the order of an epoch
    drawn: U64  # (N,)


SCORES, BY_OWN, WEIGHTS = range(3)  # the rows of `own`
POOLED, BASE, QUERY, VECTOR, OF_RAW, OF_HISTORY = range(6)  # and of `vectors`; VECTOR is QUERY over the temperature


def make_room(tower: Tower, dense: int, candidates: int, pool: tuple[int, ...], several: bool) -> Room:
    """For whichever client has most candidates; `several`: whether any takes more than one step."""
    seats, dim = pool

    def floats(*shape: int) -> F32:
        return np.zeros(shape, np.float32)

    return Room(
        passed=room_for(tower),
        weights=floats(4, tower.fields * tower.field_dim + dense),
        items=floats(candidates, dim),
        by_item=floats(candidates * several, dim),
        by_pool=floats(seats * several, dim),
        own=floats(3, candidates),
        negatives=floats(3, candidates + seats),
        vectors=floats(6, dim),
        places=np.zeros(candidates, np.int64),
        drawn=np.zeros(candidates, np.uint64),
    )


@called
def train(
    tower: Tower,
    settings: Settings,
    published: Published,
    clients: Clients,
    begin: int,
    end: int,
    upload: Upload,
    room: Room,
) -> int:
    """All local steps of the members from `begin` to `end`, and what each uploads; returns how many coordinates were
    saturated."""
    saturated, tables = 0, len(published.query) - published.dense
    width, now = tower.fields * tower.field_dim, room.weights[0]
    for k in range(begin, end):
        count, bought = clients.targets[k], clients.bought[k]
        if count == 0:
            continue
        mine = slice(clients.starts[k], clients.starts[k + 1])
        seats, offsets, row_of = clients.seats[mine], clients.offsets[mine], upload.row_of[mine]
        starts, private = clients.fields[k], clients.private[k % len(clients.private)]
        size = settings.batch_size if settings.batch_size > 0 else count
        batches = -(-count // size)
        steps = settings.epochs * batches
        only_gradient = steps == 1 and settings.rule.name == descent.SGD and not settings.own_tower

        # What the device holds before its first step: ṽ of its candidates, and a tower, a copy where it is to move.
        hold_items(published.embeddings, seats, room.items)
        start = private if settings.own_tower else published.query
        hold_fields(tower.field_dim, start, starts, now)
        dense = start[tables:]
        if not only_gradient:
            copy(now[width:], dense)
            dense = now[width:]

        loss = 0.0
        for number in range(steps):
            epoch, batch = number // batches, number % batches
            if batch == 0:
                address = (clients.keys[k], np.uint64(published.stream + epoch), published.round)
                draw_order(address, seats, published.eligible, count, size, room.drawn[:bought], room.places)
            targets = room.places[batch * size : min((batch + 1) * size, count)]
            more = clients.pool_offset[k]
            loss += gradients(tower, settings, published, seats, offsets, more, bought, targets, private, dense, room)
            if not only_gradient:
                multiply_out(tower, room.passed, room.weights[1])
                descent.step(settings.rule, number + 1, now, room.weights[1], room.weights[2], room.weights[3])
            if steps > 1:
                add_step(bought, len(seats), room)
        upload.losses[k] = loss / steps

        place = (k - upload.first) * upload.each
        pool = upload.pool[place]
        saturated += upload_candidates(settings, steps, bought, upload.rows, row_of, upload.base, pool, room)
        if settings.own_tower:
            keep_tower(tower.field_dim, private, starts, now)
        else:
            saturated += upload_tower(tower, settings, upload.query[place], start, starts, only_gradient, room)
    return saturated


@compiled
def hold_items(embeddings: F32, seats: I32, items: F32) -> None:
    """ṽ of the candidates, behind each other."""
    for i in range(len(seats)):
        copy(items[i], embeddings[seats[i]])


@compiled
def hold_fields(width: int, start: F32, starts: I64, weights: F32) -> None:
    """The rows of the client's fields, which come first among its weights."""
    for field in range(len(starts)):
        copy(weights[field * width : (field + 1) * width], start[starts[field] : starts[field] + width])


@compiled
def gradients(
    tower: Tower,
    settings: Settings,
    published: Published,
    seats: I32,
    offsets: F32,
    pool_offset: np.float32,
    bought: int,
    targets: I64,
    private: F32,
    dense: F32,
    room: Room,
) -> float:
    """The loss of one local step. Its gradients by the weights are left in `room.passed`, those by scores in `room.own`
    and `room.negatives`, those by vectors in `room.vectors`. A private embedding takes its step."""
    items, vectors = room.items[: len(seats)], room.vectors
    fields = room.weights[0, : tower.fields * tower.field_dim]
    pooled, base, query, vector = vectors[POOLED], vectors[BASE], vectors[QUERY], vectors[VECTOR]
    others, embedding = len(seats) - bought, len(private) if not settings.own_tower else 0

    # Purchases are split into targets and history; the history is pooled into one vector.
    weights = room.own[WEIGHTS, :bought]
    weigh_history(settings.history, settings.half_life, targets, weights)
    fill(pooled, f32(0.0))
    add_weighted(pooled, items, weights)

    # One query embedding serves all targets.
    copy(base, pooled)
    add_times(base[:embedding], private, f32(1.0))
    forward(tower, fields, dense, base, pooled, room.passed)
    length = stretched(tower, room.passed.rights[len(tower.matrices), : len(query)], query)
    copy_times(vector, query, f32(1.0) / settings.temperature)
    scores, by_own = room.own[SCORES, :bought], room.own[BY_OWN, :bought]
    negatives = room.negatives[0, : others + len(published.pool)]
    score_targets(items, vector, offsets, targets, scores)
    score_hidden(items[bought:], vector, offsets[bought:], negatives[:others])
    apart = seats[:bought] if settings.twice else seats
    count = others + score_pool(
        published.pool, vector, published.offsets, pool_offset, published.in_pool, apart, negatives[others:]
    )
    fill(by_own, f32(0.0))
    pairs = room.negatives[1], room.negatives[2]
    loss = loss_and_gradients(settings.loss, scores, targets, negatives, count, by_own, pairs)

    # And the way back.
    of_raw = vectors[OF_RAW]
    pull(items, targets, by_own, published.pool, negatives, others, of_raw)
    of_stretched(tower, query, length, settings.temperature, of_raw)
    backward(tower, fields, dense, of_raw, room.passed, vectors[OF_HISTORY])
    add_times(private[:embedding], of_raw, -settings.private_lr)
    return loss + 0.0 * float(dot(of_raw, of_raw))  # which is no number where anything before was none


@compiled
def add_step(bought: int, candidates: int, room: Room) -> None:
    """∂L/∂ṽ of one step of several, added to those before."""
    vector, of_history, own = room.vectors[VECTOR], room.vectors[OF_HISTORY], room.own
    others = candidates - bought
    by_hidden, by_pool = room.negatives[0, :others], room.negatives[0, others:]
    add_items(room.by_item, vector, own[BY_OWN, :bought], of_history, own[WEIGHTS, :bought], by_hidden)
    add_pool(room.by_pool, vector, by_pool)


@compiled
def upload_candidates(
    settings: Settings, steps: int, bought: int, rows: I32, row_of: I64, base: int, pool: I32, room: Room
) -> int:
    """g_v, the mean over the steps, of all candidates and the pool."""
    scale, limit, others = settings.scale_item, settings.limit, len(row_of) - bought
    if steps > 1:
        factor = scale / f32(steps)
        cut = upload_sums(rows, row_of, base, room.by_item, factor, limit)
        return cut + upload_pool(pool, room.by_pool, factor, limit)
    vector, of_history = room.vectors[VECTOR], room.vectors[OF_HISTORY]
    by_own, weights, by_hidden = room.own[BY_OWN, :bought], room.own[WEIGHTS, :bought], room.negatives[0, :others]
    cut = upload_items(rows, row_of, base, vector, by_own, of_history, weights, by_hidden, scale, limit)
    by_pool = room.negatives[0, others : others + len(pool) // len(vector)]
    return cut + add_rounded_product(pool, by_pool, vector, scale, limit)


@compiled
def upload_tower(
    tower: Tower, settings: Settings, query: I32, start: F32, starts: I64, only_gradient: bool, room: Room
) -> int:
    """Δθ_u: −lr · gradient, where that is all there is to it, and else what moved."""
    now, scale, limit = room.weights[0], settings.scale_query, settings.limit
    if not only_gradient:
        return upload_moved(tower.field_dim, query, start, starts, now, scale, limit)
    tables = len(query) - (len(now) - tower.fields * tower.field_dim)
    return upload_gradient(tower, query, starts, tables, room.passed, -settings.rule.lr * scale, limit)


@compiled
def keep_tower(width: int, private: F32, starts: I64, weights: F32) -> None:
    """A tower of one's own, as it is after the last step."""
    for field in range(len(starts)):
        copy(private[starts[field] : starts[field] + width], weights[field * width : (field + 1) * width])
    dense = weights[len(starts) * width :]
    copy(private[len(private) - len(dense) :], dense)
