"""Who knows half of what a customer bought ranks the rest by the model, and then looks into the sum as well."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import about
from spfedrec_cli.audit.views import Sum, View
from spfedrec_cli.dtypes import F64, I32


def by_model(view: View) -> Guess:
    """Items of the sum score by the model alone, asked with the known half."""
    return _guess(view, False)


def with_sum(view: View) -> Guess:
    """The same, and by how far their row of the sum points against the query, which is what a buyer adds to it. Of K
    members the others add noise, with a deviation of √K times what one adds."""
    return _guess(view, True)


def _guess(view: View, looks: bool) -> Guess:
    assert view.model is not None
    assert view.known is not None
    known = dict(zip(view.known.clients.tolist(), view.known.items, strict=True))
    subjects, items, scores = list[int](), list[I32](), list[F64]()
    for total in view.sums or ():
        for client in [each for each in total.members.tolist() if each in known]:
            own = known.pop(client)
            query = view.model.embed(np.array([client]), [own])[0].astype(np.float64)
            asked = ~np.isin(total.items, own)
            found = total.items[asked]
            score = standard(view.model.items[found] @ query)
            if looks:
                score -= standard(_along(total, query)[asked]) / np.sqrt(len(total.members))
            subjects.append(client)
            items.append(found)
            scores.append(score)
    return about(subjects, items, scores)


def _along(total: Sum, query: F64) -> F64:
    return np.asarray(total.rows @ query, np.float64)


def standard(values: F64) -> F64:
    """With mean 0 and deviation 1."""
    return np.asarray((values - values.mean()) / (values.std() + 1e-12), np.float64)


MODEL_ALONE = Attack(
    name="half known, model",
    party="whoever has the towers",
    view="model",
    needs=("known", "sums", "model"),
    claim="bought",
    assumption="somebody knows half of a customer's purchases, and asks the model for the rest",
    guess=by_model,
)
WITH_SUM = Attack(
    name="half known, sum",
    party="aggregator",
    view="sum",
    needs=("known", "sums", "model"),
    claim="bought",
    assumption="the aggregator knows half of a customer's purchases, and looks into the sum for the rest",
    guess=with_sum,
)
