"""A customer who leaves: a training without it forgets what only it had taught, and two releases show what.

After Chen et al., "When machine unlearning jeopardizes privacy", CCS 2021: who was taken out is told by what two models
make of it, where either alone would not tell.
"""

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.attacks.membership import fits
from spfedrec_cli.audit.requests import of_whole
from spfedrec_cli.audit.views import View


def guess(view: View) -> Guess:
    """Every customer scores by how much better its purchases fit each other in the earlier model."""
    assert view.model is not None
    assert view.before is not None
    assert view.customers_then is not None
    asked, temperature = view.customers_then, view.settings.model.temperature
    then, now = (fits(model, temperature, asked) for model in (view.before, view.model))
    scores = [float((a - b).mean()) if len(a) else 0.0 for a, b in zip(then, now, strict=True)]
    return of_whole(asked.clients, scores)


ATTACK = Attack(
    name="who left",
    party="whoever has both models",
    view="model",
    needs=("model", "before", "customers_then"),
    claim="left",
    assumption="somebody knows a customer's purchases and has the models of before and after a training without it",
    guess=guess,
)
