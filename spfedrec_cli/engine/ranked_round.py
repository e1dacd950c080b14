"""A round of the second stage as it is recorded for an audit."""

from dataclasses import dataclass, replace

import numpy as np

from spfedrec_cli.audit.attacks.ranking import OWN
from spfedrec_cli.audit.views import Ranking
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import I64, Bool
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.engine.second_stage import labelled_weeks
from spfedrec_cli.federated.simulation.labelled import Labelled
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.strategies.ranking import ranking_round
from spfedrec_cli.federated.wire.channel import Recorder
from spfedrec_cli.federated.wire.messages import RankerUpdate

TOGETHER = 10  # in the sum of a chain


@dataclass(frozen=True)
class RankedRound:
    """`plain`: what each client uploaded. `summed`: of each the sum that it is in. `again` (n_clients,): whether most
    of what a client bought in label weeks were items of its own."""

    plain: Ranking
    summed: Ranking
    again: Bool


def ranked_round(dataset: Dataset, reached: Reached, state: State) -> RankedRound | None:
    """The one after the last; None where a run has no second stage, or its devices nothing of their own to rank by."""
    if state.ranking is None:
        return None
    recorder, following = Recorder(), reached.following(aggregation="sum", dropout=0.0)
    world = replace(following.world, ends=(recorder,))
    labelled = labelled_weeks(dataset, world)
    if OWN not in labelled.shop.columns.labels:
        return None
    weights, labels = state.ranking.weights.numpy().copy(), labelled.shop.columns.labels
    ranking_round(state.ranking, world, labelled)
    sent = [way for way in recorder.crossings if isinstance(way.message, RankerUpdate)]
    having = {int(way.sender): way.message.weights for way in sent if np.any(way.message.weights)}  # type: ignore
    if not having:
        return None
    members = np.array(sorted(having), np.int64)
    updates = np.stack([np.asarray(having[client], np.float32) for client in members.tolist()])
    whose = np.arange(len(members)) // TOGETHER
    sums = np.zeros((int(whose.max()) + 1, updates.shape[1]), np.float32)
    np.add.at(sums, whose, updates)
    summed = Ranking(weights, labels, members, sums[whose])
    again = _again(labelled, state, world.config.second_stage.popular, members, dataset.n_clients)
    return RankedRound(Ranking(weights, labels, members, updates), summed, again)


def _again(labelled: Labelled, state: State, popular: int, members: I64, n_clients: int) -> Bool:
    assert state.ranking is not None
    place = labelled.shop.columns.labels.index(OWN)
    found = np.zeros(n_clients, np.bool_)
    kept = labelled.lists(members, labelled.public(state.ranking.weeks.numpy(), popular))
    for client, lists in zip(members.tolist(), kept, strict=True):
        own = lists.x[:, place] > 0
        found[client] = 2 * np.count_nonzero(lists.bought & own) > np.count_nonzero(lists.bought)
    return found
