"""The paper's baseline, plainly: FedAvg of the whole two-tower (McMahan et al., AISTATS 2017), a device at a time.

The device downloads both towers and the fields of all items, embeds its candidates itself, and uploads what it changed
in both. It asks for nothing. The targets, the history, the negatives and the loss of a local step are those of
`client.py`. `full_simulation.py` does the same for many devices at once and is held equal to this by a property test.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.config import digest
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I64
from spfedrec_cli.federated.aggregation.protocol import Opening, Sent, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device.client import Device, Public, make_request, split_batches, training_negatives
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS, NO_MOMENTS
from spfedrec_cli.federated.simulation.beginning import item_fields
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.messages import ItemFields, WholeModel, WholeUpdate
from spfedrec_cli.model.features import ID
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.model.towers import (
    Weights,
    flatten,
    history_weights,
    item_tower,
    query_tower,
    table_of,
    tables,
    unflatten,
)
from spfedrec_cli.rng import uniform


@dataclass(frozen=True)
class Whole:
    """What the server has for the cohort: both towers, the public pool (M,) of item ids, the distribution of V−, and
    the prior (n_items,), which scores have."""

    round: int
    query: Weights
    item: Weights
    pool: I64
    obfuscating: F64
    prior: F32
    told: WholeModel | None = None  # of this, as the whole cohort was told it


@dataclass(frozen=True)
class Trained:
    """The upload, the private embedding that stays, and two figures that only a simulation sees."""

    update: WholeUpdate
    private: Tensor | None
    loss: float
    saturated: int


def train(device: Device, public: Public, like: Weights, fields: ItemFields, model: WholeModel) -> Trained:
    """The local steps of both towers by one optimiser; their sum is clipped and encoded in fixed point. `like` has the
    shapes of the item tower."""
    client, start = public.config.client, torch.from_numpy(np.concatenate([model.query, model.item]))
    held, private = _hold(device, public, fields, model), device.private
    batches = split_batches(public.config, device.key, model.round, len(device.purchased))
    moved, moments, losses = torch.zeros_like(start), NO_MOMENTS, []
    for number, targets in enumerate(batches, 1):
        loss, grad, of_private = _gradients(device, public, like, held, start + moved, private, targets)
        step, moments = LOCAL_OPTIMIZERS[client.optimizer](client, number, grad, moments)
        moved = moved + step
        private = None if private is None else private - client.private_lr * of_private
        losses.append(loss)
    delta, outside = public.codec_query.encode(moved)
    query, item = np.split(delta.numpy(), [len(model.query)])
    return Trained(WholeUpdate(model.round, query, item), private, sum(losses) / len(losses), outside)


@dataclass(frozen=True)
class _Held:
    """The candidates of a device, its purchases first: their fields, and which keep their id embedding in this round;
    the prior of each purchase, and what the score of each of its negatives loses."""

    codes: Tensor
    keep_id: Tensor
    prior: Tensor
    offsets: Tensor


def _hold(device: Device, public: Public, fields: ItemFields, model: WholeModel) -> _Held:
    """What obfuscates a request serves as negatives alone, and is drawn where it does."""
    probabilities = make_request(device, public, model.round)[1] if public.config.client.uses_own else {}
    hidden, seats, offsets = training_negatives(public, device.purchased, probabilities, model.pool_items)
    items = np.concatenate([device.purchased, np.array(hidden, np.int32), model.pool_items[seats]])
    keys = uniform(public.config.train.seed, "id_dropout", items, model.round)
    return _Held(
        torch.from_numpy(np.column_stack([items, fields.codes[items]]).astype(np.int64)),
        torch.from_numpy(keys >= public.config.model.id_dropout).float(),
        torch.from_numpy(public.prior[device.purchased]),
        offsets,
    )


def _gradients(
    device: Device,
    public: Public,
    like: Weights,
    held: _Held,
    towers: Tensor,
    private: Tensor | None,
    targets: Tensor,
) -> tuple[float, Tensor, Tensor]:
    """The loss of one local step, and its gradients by both towers (P + Q,) and by the private embedding."""
    model, bought = public.config.model, len(targets)
    both = towers.clone().requires_grad_()
    of_query, of_item = torch.split(both, [flatten(public.like).numel(), flatten(like).numel()])
    mine = None if private is None else private.clone().requires_grad_()

    # The device runs the item tower itself, on its purchases and its negatives.
    items = item_tower(model, unflatten(of_item, like), held.codes, held.keep_id)
    own, negatives = items[:bought], items[bought:]

    # From here on as in a split round.
    history = history_weights(model, ~targets) @ own
    query = query_tower(model, unflatten(of_query, public.like), device.codes, history, mine)
    scores = own[targets] @ query / model.temperature + held.prior[targets]
    loss = LOSSES[public.config.client.loss](scores, negatives @ query / model.temperature - held.offsets).mean()
    grads = torch.autograd.grad(loss, [both] + ([] if mine is None else [mine]), materialize_grads=True)
    return float(loss.detach()), grads[0], grads[-1]


def train_one_by_one(world: World, whole: Whole, cohort: Cohort, channel: Channel) -> CohortResult:
    """The cohort as single devices that exchange real messages with the server."""
    fields, model = item_fields(world, whole.round), whole.told or whole_model(whole)
    public = Public(world.config, *world.known.codecs(), whole.query, whole.obfuscating, whole.prior)
    protocol = AGGREGATIONS[world.config.federated.aggregation]
    aggregation = protocol.by_messages(opening(world, whole, cohort, channel))
    losses = torch.zeros(len(cohort), dtype=torch.float64)
    kept = None if cohort.private is None else cohort.private.clone()
    for place, member in enumerate(cohort.clients.tolist()):
        private = None if cohort.private is None else cohort.private[place]
        device = Device(
            member,
            cohort.keys[place],
            cohort.own.row(place),
            world.devices.fields.at(whole.round).codes[member],
            private,
        )
        if not aggregation.uploads[place]:
            continue
        trained = train(device, public, whole.item, fields, model)
        aggregation.add(_uploaded(place, trained, whole))
        losses[place] = trained.loss
        if kept is not None and trained.private is not None:
            kept[place] = trained.private
    return CohortResult(aggregation.close(), kept, losses, aggregation.uploads)


def whole_model(whole: Whole) -> WholeModel:
    """What the server tells the cohort."""
    query, item = (flatten(tower).numpy() for tower in (whole.query, whole.item))
    return WholeModel(whole.round, query, item, whole.pool.astype(np.int32))


def table_rows(item: Weights) -> int:
    """Rows of all tables of the item tower, one behind the other: they stand first in θ_i, and are all equally wide."""
    return sum(len(table) for table in tables(item).values())


def opening(world: World, whole: Whole, cohort: Cohort, channel: Channel) -> Opening:
    """The sum's layout: tables of the item tower row by row, as items; behind Δθ_u, as `query`, what else it has."""
    rows, width = table_rows(whole.item), world.config.model.field_dim
    nothing = Ragged.from_lengths(np.zeros(len(cohort), np.int64), np.empty(0, np.int32))
    codec = world.known.codecs()[0]
    return Opening(
        federated=world.config.federated,
        seed=world.seed,
        round=whole.round,
        clients=cohort.clients,
        groups=np.zeros_like(cohort.clients),
        group_count=1,
        silent=cohort.silent,
        own=nothing,
        hidden=nothing,
        rows=np.arange(rows),
        pool=np.empty(0, np.int64),
        width=world.known.width + flatten(whole.item).numel() - rows * width,
        dim=width,
        codec_query=codec,
        codec_item=codec,
        channel=channel,
        secrets=world.devices.secrets(),
        update=WholeUpdate,
        update_sizes=np.full(len(cohort), messages.size([world.known.width, flatten(whole.item).numel()])),
        told=None,
        settings=digest(world.config),
    )


def _uploaded(place: int, trained: Trained, whole: Whole) -> Updates:
    """A single upload, as the aggregation sees it."""

    def read(message: messages.Message) -> Updates:
        assert isinstance(message, WholeUpdate)
        return _read(place, trained, whole, message)

    return replace(_read(place, trained, whole, trained.update), sent=Sent(trained.update, read))


def _read(place: int, trained: Trained, whole: Whole, update: WholeUpdate) -> Updates:
    rows, width = table_rows(whole.item), whole.item[table_of(ID)].shape[1]
    query, item = (torch.from_numpy(np.array(part)) for part in (update.query, update.item))
    tables = item[: rows * width].view(rows, width)
    return Updates(
        members=np.array([place]),
        query=torch.cat([query, item[rows * width :]])[None],
        own_rows=torch.arange(rows),
        own=tables,
        counts=np.array([rows]),
        pool_rows=torch.empty(0, dtype=torch.int64),
        pool=tables.new_empty(1, 0, width),
        saturated=trained.saturated,
    )
