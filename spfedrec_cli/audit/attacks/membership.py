"""Was it in the training? A model fits what it was trained on a little better than what it was not.

Purchases: after Yuan et al., "Interaction-level membership inference attack against federated recommender systems",
2023. Customers: after Zhang et al., "Membership inference attacks against recommender systems", 2021.
"""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import about, of_whole
from spfedrec_cli.audit.views import Candidates, Model, View
from spfedrec_cli.dtypes import F64, I32

_BLOCK = 1024


def of_purchases(view: View) -> Guess:
    """Of each purchase how well it fits the query of the customer's other ones."""
    assert view.model is not None
    assert view.purchases is not None
    asked = view.purchases
    scores = fits(view.model, view.settings.model.temperature, asked)
    return about(asked.clients, asked.items, scores)


def of_customers(view: View) -> Guess:
    """Of each customer the mean of the same."""
    assert view.model is not None
    assert view.customers is not None
    asked = view.customers
    scores = [each.mean() if len(each) else 0.0 for each in fits(view.model, view.settings.model.temperature, asked)]
    return of_whole(asked.clients, scores)


def fits(model: Model, temperature: float, asked: Candidates) -> list[F64]:
    """Of each client and item log P(item | the client's others), by the model over the whole catalogue."""
    clients, histories, wanted = list[int](), list[I32](), list[int]()
    for client, items in zip(asked.clients.tolist(), asked.items, strict=True):
        clients += [client] * len(items)
        histories += [np.delete(items, place) for place in range(len(items))]
        wanted += items.tolist()
    found = [np.empty(0)]
    for start in range(0, len(wanted), _BLOCK):
        some = slice(start, start + _BLOCK)
        queries = model.embed(np.array(clients[some]), histories[some])
        scores = (queries @ model.items.T).astype(np.float64) / temperature
        chosen = scores[np.arange(len(scores)), wanted[some]]
        most = scores.max(1)
        found.append(chosen - most - np.log(np.exp(scores - most[:, None]).sum(1)))
    ends = np.cumsum([len(each) for each in asked.items])
    return np.split(np.concatenate(found), ends[:-1]) if len(ends) else []


PURCHASES = Attack(
    name="membership of a purchase",
    party="whoever has the towers",
    view="model",
    needs=("model", "purchases"),
    claim="trained on",
    assumption="somebody knows a customer's purchases, and asks which of them the training saw",
    guess=of_purchases,
)
CUSTOMERS = Attack(
    name="membership of a customer",
    party="whoever has the towers",
    view="model",
    needs=("model", "customers"),
    claim="customer trained on",
    assumption="somebody knows a customer's purchases, and asks whether the customer took part",
    guess=of_customers,
)
