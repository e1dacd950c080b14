"""The attack on a plain update, on the upload as it crosses in a secret-sharing chain."""

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.attacks.collinearity import of_uploads
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Words are read as if there were no mask."""
    return of_uploads(view, view.masked or ())


ATTACK = Attack(
    name="masked collinearity",
    party="aggregator",
    view="masked upload",
    needs=("masked", "model"),
    claim="bought",
    assumption="the aggregator keeps one upload of a secret-sharing chain, and knows neither mask",
    guess=guess,
)
