"""An item with one buyer is near to what else this buyer bought: nobody else moved it.

The catalogue of embeddings is published, or lies with whoever holds the item tower.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import units
from spfedrec_cli.audit.views import View

MOST_CLAIMS = 4_000_000


def guess(view: View) -> Guess:
    """Of each item with one buyer, all others score by their cosine with it, less what they have with such items on
    average: nobody but its buyer pulls one of these anywhere."""
    assert view.model is not None
    assert view.popularity is not None
    rows = units(view.model.items)
    single = np.flatnonzero(view.popularity == 1)
    rng = np.random.default_rng([view.seed, len(rows)])
    single = np.sort(rng.permutation(single)[: max(1, MOST_CLAIMS // len(rows))])
    cosines = rows[single] @ rows.T
    cosines -= cosines.mean(0) if len(single) else 0.0
    others = np.arange(len(rows)) != single[:, None]
    subjects, items = np.nonzero(others)
    return Guess(single[subjects], items, cosines[others])


ATTACK = Attack(
    name="only buyer",
    party="whoever has item embeddings",
    view="model",
    needs=("model", "popularity"),
    claim="bought by its only buyer",
    assumption="item popularity is released, and says which items have one buyer",
    guess=guess,
)
