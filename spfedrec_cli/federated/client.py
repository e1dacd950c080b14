"""One customer's device, plainly: what it asks for, what it learns, what it sends.

This is the paper's client as it would run on a phone, and `train.engine = reference`. `simulation.py` does the same
for a whole cohort in a few batched operations and is held equal to this by a property test.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.config import Config
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.codec import Codec
from spfedrec_cli.federated.messages import Broadcast, ClientUpdate, Embeddings, Request
from spfedrec_cli.federated.request import draw_obfuscating, shuffled_request
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import Weights, history_weights, query_tower, unflatten
from spfedrec_cli.rng import uniform

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Device:
    """All that lies on one customer's device. `purchased`: distinct items by last purchase, oldest first."""

    client: int
    purchased: I32
    codes: Tensor
    private: Tensor | None


@dataclass(frozen=True)
class Public:
    """What everybody knows: settings, codecs, the shapes of θ_u, and the distribution of obfuscating items."""

    config: Config
    codec_query: Codec
    codec_item: Codec
    like: Weights
    obfuscating: F64


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
    one, own = (
        np.array([device.client], np.int64),
        Ragged.from_lengths(np.array([len(device.purchased)]), device.purchased),
    )
    hidden = draw_obfuscating(config.request, public.obfuscating, one, own, config.train.seed, round_)
    items = shuffled_request(device.purchased, hidden.items.values, config.train.seed, device.client, round_)
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
    """Steps 4 and 5: one full-batch local step, clipped and encoded in fixed point."""
    model, client = public.config.model, public.config.client
    theta = {name: w.clone().requires_grad_() for name, w in unflatten(_tensor(broadcast.query), public.like).items()}
    requested = _tensor(embeddings.rows).requires_grad_()
    pool = _tensor(broadcast.pool_embeddings).requires_grad_()
    private = None if device.private is None else device.private.clone().requires_grad_()

    # Purchases are split into targets and history; the history is pooled into one vector.
    place = {int(item): i for i, item in enumerate(request.items)}
    own = requested[torch.tensor([place[int(item)] for item in device.purchased])]
    targets = split_targets(public.config, device.client, broadcast.round, len(device.purchased))
    history = history_weights(model, ~targets) @ own

    # One query embedding serves all targets.
    query = query_tower(theta, device.codes, history, private)
    scores = own[targets] @ query / model.temperature
    candidates, expected = _negatives(device, public, broadcast, place, probabilities, requested, pool)
    negatives = candidates @ query / model.temperature - expected
    loss = LOSSES["softmax"](scores, negatives).mean()

    leaves = [*theta.values(), requested, pool] + ([] if private is None else [private])
    grads = [
        torch.zeros_like(leaf) if grad is None else grad
        for leaf, grad in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True)
    ]
    step = -client.lr * torch.cat([grad.reshape(-1) for grad in grads[: len(theta)]])
    delta, outside_query = public.codec_query.encode(step)
    item_grads, outside_item = public.codec_item.encode(torch.cat(grads[len(theta) : len(theta) + 2]))
    update = ClientUpdate(broadcast.round, delta.numpy(), item_grads.numpy())
    kept = None if device.private is None else device.private - client.private_lr * grads[-1]
    return Trained(update, kept, float(loss.detach()), outside_query + outside_item)


def target_counts(share: float, purchases: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How many of so many distinct purchases are targets: the share, rounded, and at least one."""
    return np.asarray(np.maximum(1, np.floor(share * purchases + 0.5)), np.int64)


def split_targets(config: Config, client: int, round_: int, purchases: int) -> Tensor:
    """Seeded mask (n,): true for targets, false for history. A single purchase is a target with an empty history."""
    keys = uniform(config.train.seed, "targets", client, round_, np.arange(purchases))
    chosen = np.argsort(keys, kind="stable")[: target_counts(config.client.target_share, np.array([purchases]))[0]]
    mask = torch.zeros(purchases, dtype=torch.bool)
    mask[torch.from_numpy(chosen)] = True
    return mask


def _negatives(
    device: Device,
    public: Public,
    broadcast: Broadcast,
    place: dict[int, int],
    probabilities: dict[int, float],
    requested: Tensor,
    pool: Tensor,
) -> tuple[Tensor, Tensor]:
    """Embeddings of the training negatives and the log of their expected number; own purchases are no negatives."""
    if public.config.client.negatives == "request":
        rows = requested[torch.tensor([place[item] for item in probabilities], dtype=torch.int64)]
        drawn = torch.tensor(list(probabilities.values()), dtype=torch.float64)
    else:
        bought = set(device.purchased.tolist())
        rows = pool[
            torch.tensor(
                [i for i, item in enumerate(broadcast.pool_items) if int(item) not in bought], dtype=torch.int64
            )
        ]
        drawn = torch.full((len(rows),), len(broadcast.pool_items) / len(public.obfuscating), dtype=torch.float64)
    return rows, torch.log(drawn).float() * float(public.config.client.logq)


def _tensor(array: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
