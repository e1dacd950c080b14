"""Rows that are exactly zero: whatever was trained on has others.

Devices train on what obfuscates a request as well. Zeros are left where a gradient is rounded away, and where a
purchase is no target and hardly counts in the history.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import asked_rows, claims, first_of_each
from spfedrec_cli.audit.views import View
from spfedrec_cli.dtypes import F64, Bool


def guess(view: View) -> Guess:
    """Where histories fade, a row of zeros is that of a purchase. Where they do not, it is of what was not bought; and
    if as many rows are zero as a request has obfuscating items, which its length says, all of it is decided."""
    parts = first_of_each([each for each in view.uploads or () if each.published])
    zero = [np.asarray(~asked_rows(each).any(1)) for each in parts]
    judged = [_judged(view, each) for each in zero]
    return claims(parts, [scores for scores, _ in judged], [sure for _, sure in judged])


def fades(view: View) -> bool:
    """Whether purchases may count for nothing in a history, so that their rows may be zero."""
    return view.settings.model.history != "mean"


def _judged(view: View, zero: Bool) -> tuple[F64, Bool]:
    """Scores, and which entries are decided, of the request of which these rows are zero."""
    if fades(view):
        return zero.astype(np.float64), zero
    rate, count = view.settings.request.rate, len(zero)
    hidden = count - np.floor(count / (1 + rate))  # n = |V+| + ceil(P · |V+|)
    return (~zero).astype(np.float64), np.full(count, 0 < hidden == zero.sum())


ATTACK = Attack(
    name="zero rows",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads",),
    claim="bought",
    assumption="no secure sum hides the update, and the request is known",
    guess=guess,
)
