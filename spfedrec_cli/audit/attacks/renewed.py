"""Popularity is summed again: what sold once in between, and is new in one client's request, this client bought."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims, first_of_each
from spfedrec_cli.audit.views import View
from spfedrec_cli.dtypes import F64, Bool


def guess(view: View) -> Guess:
    """Entries of a later request score 0 where they were in the first one, or nobody bought the item in between; 1
    where they are new, and more the fewer bought it. Named are those that one alone bought, and that one request alone
    has anew."""
    assert view.sales is not None
    before = {each.client: each.items for each in first_of_each(view.requests)}
    later = [each for each in first_of_each(view.renewed) if each.client in before]
    new = [~np.isin(each.items, before[each.client]) for each in later]
    arrived = np.zeros(len(view.sales), np.int64)
    for each, fresh in zip(later, new, strict=True):
        arrived[each.items[fresh]] += 1
    scores, named = list[F64](), list[Bool]()
    for each, fresh in zip(later, new, strict=True):
        sold = view.sales[each.items]
        scores.append(np.where(fresh & (sold > 0), 1 + 1 / np.maximum(sold, 1), 0.0))
        named.append(fresh & (sold == 1) & (arrived[each.items] == 1))
    return claims(later, scores, named=named)


ATTACK = Attack(
    name="refreshed popularity",
    party="server",
    view="request",
    needs=("requests", "renewed", "sales"),
    claim="bought in between",
    assumption="popularity is summed again after some purchases, and the server keeps the requests of before",
    guess=guess,
)
