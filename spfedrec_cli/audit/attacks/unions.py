"""Members of a chain are told the union of its requests: whoever meets a customer in several chains intersects them."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import about
from spfedrec_cli.audit.views import View
from spfedrec_cli.dtypes import F64, I32, Bool


def guess(view: View) -> Guess:
    """Every item that somebody asked for beside a customer scores by the share of its chains in which somebody did, and
    among those of all its chains by how seldom it is in chains at all. The latter are named."""
    unions = view.unions or ()
    base = np.bincount(np.concatenate([np.empty(0, np.int32), *(each.items for each in unions)])) / max(1, len(unions))
    met: dict[int, list[I32]] = {}
    for each in unions:
        for member in each.members.tolist():
            met.setdefault(member, []).append(each.items)
    clients = sorted(client for client, chains in met.items() if len(chains) > 1)
    items, scores, named = list[I32](), list[F64](), list[Bool]()
    for client in clients:
        found, counts = np.unique(np.concatenate(met[client]), return_counts=True)
        always = np.asarray(counts == len(met[client]))
        items.append(found)
        scores.append(counts / len(met[client]) + np.where(always, 1 - base[found], 0.0))
        named.append(always)
    return about(clients, items, scores, named=named)


ATTACK = Attack(
    name="unions of requests",
    party="customers in its chains",
    view="request",
    needs=("unions",),
    claim="bought",
    assumption="in each of eight rounds somebody who works for the attacker is in the customer's chain",
    guess=guess,
)
