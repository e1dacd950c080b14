"""Planted pairs: a client was given two items, of which nobody else bought the one. Is the other near to it?"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import units
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Of each canary all other items score by their cosine with its own, less what they have with those of all canaries
    on average; of the two that a coin chose from, the nearer one is named."""
    assert view.model is not None
    assert view.planted is not None
    own, rows = view.planted.clients, units(view.model.items)
    cosines = rows[own] @ rows.T
    cosines -= cosines.mean(0)
    others = np.arange(len(rows)) != own[:, None]
    named = np.zeros(cosines.shape, np.bool_)
    for place, both in enumerate(view.planted.items):
        named[place, both[int(np.argmax(cosines[place, both]))]] = True
    subjects, items = np.nonzero(others)
    return Guess(subjects, items, cosines[others], named=named[others])


ATTACK = Attack(
    name="canaries",
    party="whoever has item embeddings",
    view="model",
    needs=("model", "planted"),
    claim="planted",
    assumption="of two items somebody knows that one was planted beside another that nobody else bought",
    guess=guess,
)
