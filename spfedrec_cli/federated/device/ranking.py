"""One customer's device in a round of the second stage, plainly: its lists, its gradient, what it sends.

`simulation/ranking.py` does the same for a whole cohort by a compiled loop, and is held equal to this by a property
test.
"""

from dataclasses import dataclass

import numpy as np
import torch

from spfedrec_cli.config import SecondStageConfig
from spfedrec_cli.dtypes import F64
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import PublishedWeeks, Ranker, RankerUpdate
from spfedrec_cli.second_stage.examples import Catalogue, Lists, Moments, examples
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.losses import LOSSES
from spfedrec_cli.second_stage.public import public_at
from spfedrec_cli.second_stage.rows import Rows


@dataclass(frozen=True)
class RankingDevice:
    """All that lies on one device: its own purchases with their days, of one row."""

    client: int
    rows: Rows


@dataclass(frozen=True)
class Common:
    """What everybody knows: settings, the codec, which weeks are label weeks and how many of the published ones lie
    before each, and what is public of items."""

    config: SecondStageConfig
    codec: Codec
    moments: Moments
    ends: tuple[int, ...]
    shop: Catalogue


@dataclass(frozen=True)
class Learned:
    """The upload, and two figures that only a simulation sees: the mean loss, and how many lists it had."""

    update: RankerUpdate
    loss: float
    lists: int


def make_lists(device: RankingDevice, common: Common, weeks: PublishedWeeks) -> Lists:
    """Of each label week in which it bought one of its candidates."""
    public = public_at(weeks.counts, common.ends, common.config.popular)
    return examples(device.rows, np.zeros(1, np.int64), common.moments, public, common.shop)


def learn(common: Common, lists: Lists, told: Ranker) -> Learned:
    """The mean gradient over its lists, clipped, with its sign turned, in fixed point; zeros without a list."""
    loss, gradient = gradient_of(common.config, lists, told.weights.astype(np.float64))
    down = torch.from_numpy((-clipped(gradient, common.config.clip)).astype(np.float32))
    encoded, _ = common.codec.encode(down)  # nothing is saturated: what is clipped is within the codec's range
    return Learned(RankerUpdate(told.round, encoded.numpy()), loss, len(lists.owner))


def gradient_of(config: SecondStageConfig, lists: Lists, weights: F64) -> tuple[float, F64]:
    """The mean loss over the lists, and its gradient (P,); 0 without any."""
    form, loss = FORMS[config.form], LOSSES[config.loss]
    total, gradient = 0.0, np.zeros_like(weights)
    for number in range(len(lists.owner)):
        part = slice(lists.offsets[number], lists.offsets[number + 1])
        scores, kept = form.forward(weights, lists.x[part], config.hidden)
        value, by_scores = loss(scores, lists.bought[part])
        gradient += form.backward(weights, lists.x[part], config.hidden, kept, by_scores)
        total += value
    count = max(1, len(lists.owner))
    return total / count, gradient / count


def clipped(gradient: F64, longest: float) -> F64:
    """The same, no longer (L2) than that."""
    length = float(np.sqrt((gradient * gradient).sum()))
    return gradient * min(1.0, longest / length) if length > 0 else gradient
