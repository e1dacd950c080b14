"""The second stage: a step that raises a customer's own items says that it buys the same things again."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import of_whole
from spfedrec_cli.audit.views import Ranking, View
from spfedrec_cli.dtypes import F32, F64
from spfedrec_cli.second_stage.forms import FORMS

OWN = "bought"  # the feature that says that an item is one of the customer's own
STEP = 1e-3


def of_one(view: View) -> Guess:
    """Every customer scores by what its own step does to the score of an item of its own, beside another one."""
    return _guess(view, view.ranking)


def of_sum(view: View) -> Guess:
    """The same of the sum that each is in."""
    return _guess(view, view.ranking_sums)


def _guess(view: View, seen: Ranking | None) -> Guess:
    assert seen is not None
    return of_whole(seen.members, [_raised(view, seen, update) for update in seen.updates])


def _raised(view: View, seen: Ranking, update: F32) -> float:
    config, weights = view.settings.second_stage, seen.weights.astype(np.float64)
    x = np.zeros((2, len(seen.labels)), np.float32)
    x[0, seen.labels.index(OWN)] = 1
    length = np.linalg.norm(update.astype(np.float64))
    moved: F64 = weights + STEP * update / max(float(length), 1e-30)
    (before, _), (after, _) = (FORMS[config.form].forward(each, x, config.hidden) for each in (weights, moved))
    gained = (after - before) * length
    return float(gained[0] - gained[1])


PLAIN = Attack(
    name="second stage, one update",
    party="whoever unmasks",
    view="plain update",
    needs=("ranking",),
    claim="buys again",
    assumption="no secure sum hides a client's gradient of the second stage",
    guess=of_one,
)
SUM = Attack(
    name="second stage, sum",
    party="aggregator",
    view="sum",
    needs=("ranking_sums",),
    claim="buys again",
    assumption="the aggregator has the sums of ten customers each, and takes each for its mean",
    guess=of_sum,
)
