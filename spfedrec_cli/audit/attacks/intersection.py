"""What a client asks for in every round in which it is met."""

from functools import reduce

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims, meetings
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Every entry of the first request scores by the share of rounds in which it was asked for; those of all rounds are
    named."""
    met = [each[:2] for each in meetings(view.requests) if len(each) > 1]
    firsts = [each[0] for each in met]
    shares = [np.mean([np.isin(each[0].items, other.items) for other in each], axis=0) for each in met]
    kept = [reduce(np.intersect1d, [other.items for other in each]) for each in met]
    named = [np.isin(each.items, both) for each, both in zip(firsts, kept, strict=True)]
    return claims(firsts, shares, named=named)


ATTACK = Attack(
    name="intersection",
    party="server",
    view="request",
    needs=("requests",),
    claim="bought",
    assumption="the server meets the same client in two rounds",
    guess=guess,
)
