"""A chain whose other members are the aggregator's: its sum is the update of one client."""

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.attacks.collinearity import of_uploads
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """The attack on a plain update."""
    return of_uploads(view, view.seated or ())


ATTACK = Attack(
    name="seated among puppets",
    party="aggregator that cheats",
    view="masked upload",
    needs=("seated", "model"),
    claim="bought",
    assumption="the aggregator gives each of ten members a chain of its own, and answers for all other seats",
    guess=guess,
)
