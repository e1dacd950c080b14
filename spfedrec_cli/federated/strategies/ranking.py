"""One round of the second stage: devices learn to rank for themselves, and the server learns a sum."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from spfedrec_cli.config import FederatedConfig, Settings
from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.cohort import draw_cohort, largest_cohort
from spfedrec_cli.federated.server.ranking import RankingState, ranking_step, start
from spfedrec_cli.federated.simulation.labelled import Labelled, sum_weeks
from spfedrec_cli.federated.simulation.ranking import (
    RankingResult,
    RankingRound,
    rank_cohort,
    rank_one_by_one,
    silent_phases,
)
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.fixed_point import Codec, quantum_limit
from spfedrec_cli.federated.wire.ledger import Ledger
from spfedrec_cli.federated.wire.messages import PublishedWeeks, Ranker
from spfedrec_cli.second_stage.forms import FORMS

# Rounds of the second stage are numbered from here, wherever the towers stopped: what is drawn by a round's number, and
# the keys of chains, have to be of this round alone.
BEFORE = 1 << 30
RankingEngine = Callable[[World, Labelled, RankingRound, Channel], RankingResult]
RANKING_ENGINES: dict[str, RankingEngine] = {"simulation": rank_cohort, "reference": rank_one_by_one}


@dataclass(frozen=True)
class RankingReport:
    """What a round tells: `loss` is the mean over lists of devices that had any and uploaded, which no device sends;
    `without_lists` uploaded zeros. `silent`: by phase how many fell silent."""

    round: int
    clients: int
    survivors: int
    aborted: int
    loss: float
    without_lists: int
    ledger: Ledger
    silent: dict[str, int] = field(default_factory=dict)


def federated_of(config: Settings) -> FederatedConfig:
    """Who takes part in its rounds, and how what they send is summed: as in all others, but for the cohort's size."""
    return config.federated.model_copy(update={"cohort_size": config.second_stage.cohort_size})


def first_ranking(world: World, labelled: Labelled) -> RankingState:
    """Before the first round."""
    config = world.config.second_stage
    weights = FORMS[config.form].start(len(labelled.shop.columns), config.hidden, world.seed)
    return start(torch.from_numpy(weights), labelled.weeks + 1, world.n_items)


def ranking_round(state: RankingState, world: World, labelled: Labelled) -> tuple[RankingState, RankingReport]:
    """Purchases stay on the devices, and so do the features that they make of them."""
    config, federated, round_ = world.config, federated_of(world.config), BEFORE + state.round + 1
    channel = world.channel(round_)

    # Once: devices add up in which of the last weeks they bought what, and all are told the sum.
    if state.round == 0:
        state = replace(state, weeks=sum_weeks(world, labelled, channel))

    # 1. The server draws the cohort and broadcasts the weights.
    clients = draw_cohort(federated, world.known.eligible, world.seed, round_)
    here = world.here(clients)
    told = channel.tell(Ranker(round_, state.weights.numpy()), here)

    # 2. Each device makes its lists, of label weeks alone, and sends down its gradient, clipped and encoded.
    codec = Codec(config.second_stage.clip, quantum_limit(largest_cohort(federated, len(world.known.eligible))))
    weeks = PublishedWeeks(round_, state.weeks.numpy())
    silent = silent_phases(federated, here, world.seed, round_)
    begun = RankingRound(federated, here, silent, told, weeks, codec)
    result = RANKING_ENGINES[config.train.engine](world, labelled, begun, channel)

    # 3. The aggregator learns the sum; the server steps along the mean.
    sums = _over_processes(world, result.sums)
    stepped = ranking_step(state, config.second_stage, codec, sums.query, sums.clients)
    return stepped, _report(stepped, world, clients, sums, result, channel)


def _over_processes(world: World, sums: Sums) -> Sums:
    counts = torch.tensor([sums.clients, sums.saturated, sums.aborted, sums.unchecked])
    for integers in (sums.query, counts):
        world.team.sum(integers)
    return Sums(sums.query, sums.items, *counts.tolist())


def _report(
    state: RankingState, world: World, clients: I64, sums: Sums, result: RankingResult, channel: Channel
) -> RankingReport:
    """Raises SpfedrecError where the loss is no number any more."""
    here, federated = world.here(clients), federated_of(world.config)
    losses, had = torch.zeros(len(clients), dtype=torch.float64), torch.zeros(len(clients), dtype=torch.int64)
    places = torch.from_numpy(np.searchsorted(clients, here))
    losses[places], had[places] = torch.from_numpy(result.losses), torch.from_numpy(result.lists)
    uploads = int(world.team.sum(torch.tensor([int(result.uploads.sum())])))
    having = int((world.team.merge(had) > 0).sum())
    loss = float(world.team.merge(losses).sum()) / max(1, having)
    if not np.isfinite(loss) or not torch.isfinite(state.weights).all():
        raise SpfedrecError(
            f"The loss of round {state.round} of the second stage is {loss}", hint="lower second_stage.lr"
        )
    phases = silent_phases(federated, clients, world.seed, channel.round)
    silent = {phase.name.lower(): int((phases == phase).sum()) for phase in AGGREGATIONS[federated.aggregation].phases}
    ledger = channel.ledger(world.team)
    counts = len(clients), sums.clients, sums.aborted
    return RankingReport(state.round, *counts, loss, uploads - having, ledger, silent)
