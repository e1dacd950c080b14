"""What a client's step along the query tower tells: items score higher after it that it was made for.

After "Interaction privacy vulnerability in federated recommendation and lossless countermeasure" (PubPara), ACM
Transactions on Information Systems, 2025: the parameters that are uploaded hold more of what a user likes than those
that stay. Here they are Δθ_u alone, and no row of an item is looked at.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import asked_of, claims, first_of_each
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Every item that may be a purchase scores by how much nearer the uploaded step takes the query to it."""
    assert view.model is not None
    parts = first_of_each([each for each in view.uploads or () if each.query.any()])
    moved = [view.model.moved(each.query.astype(np.float32)) for each in parts]
    items = view.model.items.astype(np.float64)
    return claims(parts, [items[asked_of(each)] @ way for each, way in zip(parts, moved, strict=True)])


ATTACK = Attack(
    name="public parameters",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads", "model"),
    claim="bought",
    assumption="no secure sum hides the update; its rows of items are not looked at",
    guess=guess,
)
