"""One customer's device, plainly: what it asks for, what it learns, what it sends.

This is the paper's client as it would run on a phone, and `train.engine = reference`. `simulation/compiled.py`
does the same for a whole cohort by one compiled loop over clients, and is held equal to this by a property test.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import ClientConfig, Settings
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I32, I64, U64, Bool
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS, NO_MOMENTS
from spfedrec_cli.federated.sampling.obfuscation import RACE, draw_obfuscating
from spfedrec_cli.federated.sampling.pool import chance_of
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import (
    Broadcast,
    ClientUpdate,
    Embeddings,
    PublishedCatalogue,
    PublishedSlate,
    Request,
)
from spfedrec_cli.model.loss import ESTIMATES, LOSSES
from spfedrec_cli.model.towers import Weights, history_weights, query_tower, unflatten
from spfedrec_cli.rng import uniform_own

TARGETS = RACE + 1  # the stream of a device's own draws that orders purchases in the first epoch; others follow


@dataclass(frozen=True)
class Device:
    """All that lies on one customer's device. `key` (2,), its secret: 32-bit words by which it draws V− and its targets
    (`secrets.new_key`). `purchased`: distinct items by last purchase, oldest first.

    `private` is what it kept: an embedding (d,), a query tower of its own (P,), or nothing. `catalogue` is the last one
    that it was sent, where the server publishes one.
    """

    client: int
    key: U64
    purchased: I32
    codes: Tensor
    private: Tensor | None
    catalogue: PublishedCatalogue | None = None


@dataclass(frozen=True)
class Public:
    """What everybody knows: settings, codecs, the shapes of θ_u, the distribution of obfuscating items, and γ · π
    (n_items,), which every score has, or zeros."""

    config: Settings
    codec_query: Codec
    codec_item: Codec
    like: Weights
    obfuscating: F64
    prior: F32


@dataclass(frozen=True)
class Trained:
    """The upload, the private state that stays, and two figures that only a simulation sees."""

    update: ClientUpdate
    private: Tensor | None
    loss: float
    saturated: int


def make_request(device: Device, public: Public, round_: int) -> tuple[Request, dict[int, float]]:
    """Step 2: V+ hidden among V−; and, for the client alone, the probability with which each item of V− was drawn."""
    config = public.config
    own = Ragged.from_lengths(np.array([len(device.purchased)]), device.purchased)
    hidden = draw_obfuscating(config.request, public.obfuscating, device.key[None], own, round_)
    items = np.sort(np.concatenate([device.purchased, hidden.items.values]))  # no order is left to be told from
    probabilities = dict(zip(hidden.items.values.tolist(), hidden.inclusion.tolist(), strict=True))
    return Request(round_, items), probabilities


def train(
    device: Device,
    public: Public,
    broadcast: Broadcast,
    request: Request,
    embeddings: Embeddings,
    probabilities: dict[int, float],
) -> Trained:
    """Steps 4 and 5: the local steps, whose sum is clipped and encoded in fixed point."""
    held = _hold(device, public, broadcast, request, embeddings, probabilities)
    batches = split_batches(public.config, device.key, broadcast.round, len(device.purchased))
    return _descend(device, public, broadcast, held, batches)


def train_on_slate(device: Device, public: Public, broadcast: Broadcast, slate: PublishedSlate) -> Trained:
    """The same where nobody requests: targets are purchases that the slate has, and g_v is of all its rows and of no
    other. Without any target the upload is zeros, after steps that are thrown away, as many as one target takes: else
    the answer would come sooner, and tell so."""
    on_slate = np.isin(device.purchased, slate.items)
    held = _hold_slate(device, public, slate, on_slate)
    batches = split_batches(public.config, device.key, broadcast.round, len(on_slate), on_slate)
    if not batches:
        in_vain = split_batches(
            public.config, device.key, broadcast.round, len(on_slate), np.arange(len(on_slate)) == 0
        )
        _descend(device, public, broadcast, held, in_vain, len(held.requested))
    return _descend(device, public, broadcast, held, batches, len(held.requested))


def _descend(
    device: Device, public: Public, broadcast: Broadcast, held: "_Held", batches: list[Tensor], dropped: int = 0
) -> Trained:
    """A local step for each batch of targets. Gradients by the first `dropped` items never leave the device."""
    client = public.config.client
    own_tower = client.private_state == "tower"
    start = _tensor(broadcast.query) if device.private is None or not own_tower else device.private
    private = None if own_tower else device.private
    moved, moments = torch.zeros_like(start), NO_MOMENTS
    items, losses = torch.zeros(len(held.requested) + len(held.pool), held.pool.shape[1]), []
    for number, targets in enumerate(batches, 1):
        loss, of_tower, of_items, of_private = _gradients(device, public, held, start + moved, private, targets)
        step, moments = LOCAL_OPTIMIZERS[client.optimizer](client, number, of_tower, moments)
        moved, items = moved + step, items + of_items
        private = None if private is None else private - client.private_lr * of_private
        losses.append(loss)

    kept = start + moved if own_tower else private
    delta, outside_query = public.codec_query.encode(moved[:0] if own_tower else moved)
    item_grads, outside_item = public.codec_item.encode(items[dropped:] / max(1, len(batches)))
    rows = in_one_place(item_grads.numpy(), held.published, public.codec_item.qmax)
    update = ClientUpdate(broadcast.round, delta.numpy(), rows)
    return Trained(update, kept, sum(losses) / max(1, len(batches)), outside_query + outside_item)


@dataclass(frozen=True)
class _Held:
    """What a device holds while it trains: ṽ of its request and of the pool, where its purchases and its negatives lie
    in the two laid end to end, the prior of each purchase, and what the score of each negative loses; and where each
    requested item lies in the pool, if it does (2, n)."""

    requested: Tensor
    pool: Tensor
    own: Tensor
    negatives: Tensor
    prior: Tensor
    offsets: Tensor
    published: I64


def in_one_place(rows: I32, published: I64, limit: int) -> I32:
    """Rows (n, d) of an upload, in integers up to ±limit, where the first of each pair of places is added to the
    second and left zero: of an item that was requested and is in the pool, the pool's row alone says anything. Else it
    would be zero for purchases and for nothing else."""
    asked, pool = published
    together = np.array(rows)
    together[pool] = np.clip(rows[pool] + rows[asked], -limit, limit)
    together[asked] = 0
    return together


def _gradients(
    device: Device, public: Public, held: _Held, tower: Tensor, private: Tensor | None, targets: Tensor
) -> tuple[float, Tensor, Tensor, Tensor]:
    """The loss of one local step, and its gradients by the tower (P,), the items (n + M, d), the private embedding."""
    model = public.config.model
    theta = {name: w.clone().requires_grad_() for name, w in unflatten(tower, public.like).items()}
    items = torch.cat([held.requested, held.pool]).requires_grad_()
    mine = None if private is None else private.clone().requires_grad_()

    # Purchases are split into targets and history; the history is pooled into one vector.
    own = items[held.own]
    history = history_weights(model, ~targets) @ own

    # One query embedding serves all targets.
    query = query_tower(public.config.model, theta, device.codes, history, mine)
    scores = own[targets] @ query / model.temperature + held.prior[targets]
    negatives = items[held.negatives] @ query / model.temperature - held.offsets
    loss = LOSSES[public.config.client.loss](scores, negatives).mean()

    leaves = [*theta.values(), items] + ([] if mine is None else [mine])
    grads = torch.autograd.grad(loss, leaves, materialize_grads=True)
    of_tower = torch.cat([grad.reshape(-1) for grad in grads[: len(theta)]])
    return float(loss.detach()), of_tower, grads[len(theta)], grads[-1]


def logq_share(client: ClientConfig) -> float:
    """How much of the log of its expected number a negative's score loses: all of it, or nothing."""
    return float(client.logq and client.loss in ESTIMATES)


def kinds(client: ClientConfig, obfuscating: I64) -> I64:
    """(K,) of how many kinds the training negatives of clients with so many items of V− (K,) are. Each kind gives an
    estimate of the softmax denominator, whose mean is taken: expected numbers count so many times.

    V− is a kind where a client has any, which is no matter of luck. The pool is one even where it happens to hold the
    client's own purchases alone: to add nothing is then its estimate, and without such draws it would be too large.
    """
    return 1 + (np.asarray(obfuscating, np.int64) > 0) * (client.uses_own and client.uses_pool)


def target_counts(share: float, purchases: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How many of so many distinct purchases are targets: the share, rounded, and at least one."""
    return np.asarray(np.maximum(1, np.floor(share * purchases + 0.5)), np.int64)


def split_batches(
    config: Settings, key: U64, round_: int, purchases: int, eligible: Bool | None = None
) -> list[Tensor]:
    """The targets of each local step as a mask (n,); what is not a target is history, which a single purchase leaves
    empty. Every epoch puts the purchases into an order that the device draws by its key (2,): the first
    ones are its targets, batch after batch.
    Where only some are `eligible` (n,), those of the order come first, and no other is a target."""
    count = int(target_counts(config.client.target_share, np.array([purchases]))[0])
    count = count if eligible is None else min(count, int(eligible.sum()))
    size = config.client.batch_size or max(1, count)
    masks = []
    for epoch in range(config.client.local_epochs):
        (drawn,) = uniform_own(key[None], TARGETS + epoch, round_, purchases)
        drawn = drawn if eligible is None else np.where(eligible, drawn, np.inf)
        order = torch.from_numpy(np.argsort(drawn, kind="stable")[:count])
        for batch in torch.split(order, size) if count else ():
            mask = torch.zeros(purchases, dtype=torch.bool)
            mask[batch] = True
            masks.append(mask)
    return masks


def _hold(
    device: Device,
    public: Public,
    broadcast: Broadcast,
    request: Request,
    embeddings: Embeddings,
    probabilities: dict[int, float],
) -> _Held:
    place = {int(item): i for i, item in enumerate(request.items)}
    published = [
        (place[item], len(place) + seat) for seat, item in enumerate(broadcast.pool_items.tolist()) if item in place
    ]
    own = [place[int(item)] for item in device.purchased]
    hidden, seats, offsets = training_negatives(public, device.purchased, probabilities, broadcast.pool_items)
    negatives = [place[item] for item in hidden] + [len(place) + seat for seat in seats]
    tables = _tensor(embeddings.rows), _tensor(broadcast.pool_embeddings)
    prior = _tensor(public.prior[device.purchased])
    places = torch.tensor(own), torch.tensor(negatives, dtype=torch.int64)
    return _Held(*tables, *places, prior, offsets, np.array(published, np.int64).reshape(-1, 2).T)


def training_negatives(
    public: Public, purchased: I32, probabilities: dict[int, float], pool: I32
) -> tuple[list[int], list[int], Tensor]:
    """The items of V−, the places in the pool (M,), and of both, behind each other, what their scores lose: the logs of
    their expected numbers, less the prior.

    Own purchases are no negatives: in V− there are none, from the pool they are left out. Where `client.negatives` is
    `public`, a request's V− are negatives too, as its rows would be told apart otherwise: they are there in every
    round, so that each stands for itself alone and the pool for all others. Under `both` an item of both is two terms.
    """
    client, hidden = public.config.client, list(probabilities)
    others = set(purchased.tolist()) | (set() if client.uses_own else set(hidden))
    seats = [seat for seat, item in enumerate(pool.tolist()) if item not in others] if client.uses_pool else []
    chances = np.broadcast_to(chance_of(client, public.obfuscating, pool), len(pool))
    drawn = [probabilities[item] if client.uses_own else 1.0 for item in hidden] + chances[seats].tolist()
    number = torch.tensor(drawn, dtype=torch.float64) * int(kinds(client, np.array(len(hidden))))
    prior = _tensor(public.prior[np.array([*hidden, *pool[seats]], np.int64)])
    return hidden, seats, torch.log(number).float() * logq_share(client) - prior


def _hold_slate(device: Device, public: Public, slate: PublishedSlate, on_slate: Bool) -> _Held:
    """Of each item one embedding: the slate's, where it has the item, and else that of the catalogue kept here.

    Scores of negatives have the prior as those of targets do, and no correction: a target counts only because the slate
    was drawn with it, as a negative does. The chance of the slate is then the same whichever of its items was bought,
    and the likelihood of the choice within it is right as it is (uniform conditioning: McFadden, "Modelling the choice
    of residential location", 1978).
    """
    place = {int(item): i for i, item in enumerate(slate.items)}
    bought, others = set(device.purchased.tolist()), device.purchased[~on_slate]
    kept = torch.zeros(len(others), slate.embeddings.shape[1])
    if device.catalogue is not None:
        codes = np.asarray(device.catalogue.codes)[others].view(np.int8)
        kept = _tensor(codes.astype(np.float32)) * _tensor(device.catalogue.steps)
    behind = {int(item): i for i, item in enumerate(others)}
    own = [behind[item] if item in behind else len(others) + place[item] for item in device.purchased.tolist()]
    negatives = [len(others) + seat for item, seat in place.items() if item not in bought]
    places = torch.tensor(own), torch.tensor(negatives, dtype=torch.int64)
    of_negatives = public.prior[[item for item in place if item not in bought]]
    priors = _tensor(public.prior[device.purchased]), -_tensor(of_negatives)
    return _Held(kept, _tensor(slate.embeddings), *places, *priors, np.empty((2, 0), np.int64))


def _tensor(array: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
