"""Both neighbours in a chain and the aggregator take a client's masks off together, and attack what is left."""

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.attacks.collinearity import of_uploads
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """The attack on a plain update, of those who sat between two that work together."""
    return of_uploads(view, view.opened or ())


ATTACK = Attack(
    name="colluding neighbours",
    party="aggregator and customers",
    view="masked upload",
    needs=("opened", "model"),
    claim="bought",
    assumption="a share of customers works with the aggregator; of whom sits between two such in a chain",
    guess=guess,
)
