"""Purchases of one customer resemble each other; obfuscating items resemble nothing in particular."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims, first_of_each, units
from spfedrec_cli.audit.views import View
from spfedrec_cli.dtypes import F32, F64

NEAREST = 10


def nearest(rows: F32, few: int = NEAREST) -> F64:
    """(n,) the mean cosine of each row with the `few` of the others that are nearest to it; 0 for a row alone."""
    cosines = units(rows) @ units(rows).T
    few = min(few, len(rows) - 1)
    if few < 1:
        return np.zeros(len(rows))
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(np.partition(cosines, -few, axis=1)[:, -few:].mean(1), np.float64)


def guess(view: View) -> Guess:
    """Every entry scores by how near its embedding is to the nearest few of the same request."""
    requests = first_of_each(view.requests)
    return claims(requests, [nearest(each.rows) for each in requests])


ATTACK = Attack(
    name="coherence",
    party="server",
    view="request",
    needs=("requests",),
    claim="bought",
    assumption="the server compares the embeddings of what one client asks for",
    guess=guess,
)
