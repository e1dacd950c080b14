"""Item popularity beside requests: of those who ask for an item, how many bought it?"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims
from spfedrec_cli.audit.views import Request, View
from spfedrec_cli.dtypes import F64


def guess(view: View) -> Guess:
    """Every entry of a request scores by the share of buyers among the members of its sum who asked for the item, which
    is the chance that this one is a buyer. It is decided where that is none of them, or all."""
    requests, shares = list[Request](), list[F64]()
    for each in view.counted or ():
        share = each.buyers / np.maximum(each.asked, 1)
        requests += each.requests
        shares += [share[request.items] for request in each.requests]
    return claims(requests, shares, decided=[(share <= 0) | (share >= 1) for share in shares])


ATTACK = Attack(
    name="counted popularity",
    party="server with the sum",
    view="sum",
    needs=("counted",),
    claim="bought",
    assumption="the server has the requests of all, and of each sum that popularity was made of who is in it",
    guess=guess,
)
