"""In a sum, the row of an item that one member alone asked for is this member's own."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims, joined, units
from spfedrec_cli.audit.views import Request, Sum, View
from spfedrec_cli.dtypes import F64, Bool


def guess(view: View) -> Guess:
    """Entries that one member alone asked for, and that nobody was told of, score by how far their row is from the
    client's query direction; all others alike, as a row at right angles to it."""
    asked = {(each.round, each.client): each for each in view.requests or ()}
    seen: set[int] = set()
    parts: list[tuple[Request, F64]] = []
    for total in view.sums or ():
        members = [asked[key] for key in ((total.round, client) for client in total.members.tolist()) if key in asked]
        items, counts = np.unique(joined([each.items for each in members]), return_counts=True)
        alone = np.setdiff1d(items[counts == 1], total.published)
        for each in members:
            if each.client not in seen:
                seen.add(each.client)
                parts.append((each, _of_member(view, each, total, np.isin(each.items, alone))))
    return claims([each for each, _ in parts], [scores for _, scores in parts])


def _of_member(view: View, request: Request, total: Sum, alone: Bool) -> F64:
    assert view.model is not None
    rows = total.rows[np.searchsorted(total.items, request.items)]
    direction = view.model.embed(np.array([-1]), [request.items])[0]
    return np.where(alone, -(units(rows) @ direction), 0.0)


ATTACK = Attack(
    name="single-requester rows",
    party="server with the sum",
    view="sum",
    needs=("sums", "requests", "model"),
    claim="bought",
    assumption="server and aggregator are one: it has the requests and what is revealed of each sum",
    guess=guess,
)
