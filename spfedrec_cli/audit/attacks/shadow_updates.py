"""An attacker guesses what was bought, works out what would have been uploaded, and keeps what comes out alike.

After Yuan et al., "Interaction-level membership inference attack against federated recommender systems" (IMIA), 2023.
There a shadow of each client is trained on guessed labels; here the gradient by an item follows from the query
embedding of the guess, so that nothing has to be trained.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import asked_of, asked_rows, claims, first_of_each, units
from spfedrec_cli.audit.views import Model, Upload, View
from spfedrec_cli.dtypes import F64

ROUNDS = 5


def guess(view: View) -> Guess:
    """Every item that may be a purchase scores by how unlike its row is to that of a mere negative."""
    assert view.model is not None
    parts = first_of_each([each for each in view.uploads or () if each.rows.any()])
    return claims(parts, [_scores(view.model, each) for each in parts])


def _scores(model: Model, upload: Upload) -> F64:
    """A row along the query of what is guessed is that of a negative, any other that of a purchase; the next guess is
    of the latter. It ends where a guess comes again."""
    items, rows = asked_of(upload), units(asked_rows(upload))
    guessed, alike = np.ones(len(items), np.bool_), np.zeros(len(items))
    for _ in range(ROUNDS):
        query = model.embed(np.array([-1]), [items[guessed]])[0].astype(np.float64)
        alike = rows @ query
        again = alike < 0.5 * alike.max(initial=0)
        if not again.any() or np.array_equal(again, guessed):
            break
        guessed = again
    return np.asarray(-alike, np.float64)


ATTACK = Attack(
    name="shadow updates",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads", "model"),
    claim="bought",
    assumption="no secure sum hides the update; what was bought is guessed until the guess explains it",
    guess=guess,
)
