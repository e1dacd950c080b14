"""What a round tells whoever trains."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.cohort import largest_cohort
from spfedrec_cli.federated.server.optimizers import is_drowned
from spfedrec_cli.federated.server.state import effective_tau
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, silent_phases
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.ledger import Ledger


@dataclass(frozen=True)
class Report:
    """What a round tells. `loss` is the mean over the clients that had a target and uploaded (0 without any), which no
    client sends: only we see it. `survivors` are the clients in the aggregate, `aborted` the chains that came to no
    sum, `without_target` those that uploaded zeros, having no purchase in the slate, and `silent` by phase how many
    fell silent. `warning` is what whoever reads the results must know of the strategy or of the aggregation.
    """

    round: int
    clients: int
    survivors: int
    aborted: int
    loss: float
    saturated: int
    ledger: Ledger
    drowned: bool
    warning: str | None = None
    without_target: int = 0
    silent: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Losses:
    """Of each client of the whole cohort (K,), 0 of those that did not upload; and how many did."""

    of_each: Tensor
    uploads: int


def gathered(world: World, clients: I64, cohort: Cohort, result: CohortResult) -> tuple[Sums, Losses]:
    """The aggregate of the whole cohort `clients`, and the losses of those that uploaded."""
    sums, team = result.sums, world.team
    counts = torch.tensor([sums.clients, sums.saturated, sums.aborted, sums.unchecked])
    for integers in (sums.query, sums.items, counts):
        team.sum(integers)
    losses = torch.zeros(len(clients), dtype=torch.float64)
    uploaded = torch.from_numpy(np.searchsorted(clients, cohort.clients[result.uploads]))
    losses[uploaded] = result.losses[torch.from_numpy(result.uploads)]
    marked = torch.zeros(len(clients), dtype=torch.int32)
    marked[uploaded] = 1
    return Sums(sums.query, sums.items, *counts.tolist()), Losses(team.merge(losses), int(team.sum(marked).sum()))


def report(
    state: State, world: World, clients: I64, sums: Sums, losses: Losses, channel: Channel, idle: int = 0
) -> Report:
    """Of so many clients, `idle` had no target. Raises SpfedrecError where the loss is no number any more."""
    federated = world.config.federated
    phases = silent_phases(world, clients, state.round)
    silent = {phase.name.lower(): int((phases == phase).sum()) for phase in AGGREGATIONS[federated.aggregation].phases}
    loss = float(losses.of_each.sum() / max(1, losses.uploads - idle))
    if not np.isfinite(loss):
        hint = "lower client.lr, server.lr or server.item_lr"
        raise SpfedrecError(f"The loss of round {state.round} is {loss}", hint=hint)
    drowned = is_drowned(state.server.query_moments, effective_tau(world.config))
    counts = len(clients), sums.clients, sums.aborted
    unchecked = AGGREGATIONS[federated.aggregation].unchecked
    largest = largest_cohort(federated, len(world.known.eligible))
    warning = unchecked(federated, largest) if sums.unchecked and unchecked else None
    ledger = channel.ledger(world.team)
    return Report(state.round, *counts, loss, sums.saturated, ledger, drowned, warning, idle, silent)
