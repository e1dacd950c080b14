"""Popular items of a request are likelier to be purchases, where obfuscating ones are drawn by another law."""

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import claims, first_of_each, popularity_of
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Every entry scores by its buyers."""
    requests = first_of_each(view.requests)
    return claims(requests, [popularity_of(view, each.items) for each in requests])


ATTACK = Attack(
    name="popularity",
    party="server",
    view="request",
    needs=("requests", "popularity"),
    claim="bought",
    assumption="the server keeps requests, and knows how often each item is bought",
    guess=guess,
)
