"""A row that is exactly zero was not trained on; one that is not, was.

Devices train on what obfuscates a request as well, so that zeros are left only where a gradient is rounded away. The
attack is sure of a request alone where as many rows are zero as it has obfuscating items, which its length says.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import asked_rows, claims, first_of_each
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Of what was asked for, what was trained on scores 1."""
    parts = first_of_each([each for each in view.uploads or () if each.published])
    trained = [np.asarray(asked_rows(each).any(1)) for each in parts]
    rate = view.settings.request.rate
    hidden = [len(each) - np.floor(len(each) / (1 + rate)) for each in trained]  # n = |V+| + ceil(P · |V+|)
    decided = [np.full(len(a), 0 < b == (~a).sum()) for a, b in zip(trained, hidden, strict=True)]
    return claims(parts, [each.astype(np.float64) for each in trained], decided)


ATTACK = Attack(
    name="zero rows",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads",),
    claim="bought",
    assumption="no secure sum hides the update, and the request is known",
    guess=guess,
)
