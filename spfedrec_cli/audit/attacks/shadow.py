"""A classifier trained on shadow requests, which the attacker makes itself: part of a true request, and items that it
draws as a device would.

After Shokri et al., "Membership inference attacks against machine learning models", 2017.
"""

from collections.abc import Callable

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.attacks.coherence import nearest
from spfedrec_cli.audit.requests import claims, first_of_each, popularity_of, units
from spfedrec_cli.audit.views import Request, View
from spfedrec_cli.dtypes import F32, F64, I32, I64

FEWS = (1, 3, 10, 30)
HUB, SAMPLE = 30, 4096
MOST = 400  # requests that shadows are made of
RIDGE = 1e-3


def features(view: View, hubs: F64, items: I32, rows: F32) -> F64:
    """(n, f): popularity, nearness to the middle of the request and to the nearest few, as it is and less what is usual
    for the item; each also as its place among the others of the request."""
    near = [nearest(rows, few) for few in FEWS]
    middle = units(rows) @ units(rows).mean(0)
    columns = [popularity_of(view, items), middle, *near, *(each - hubs[items] for each in near)]
    places = [np.argsort(np.argsort(column)) / max(1, len(items) - 1) for column in columns]
    return np.stack([*columns, *places], 1)


def guess(view: View) -> Guess:
    """Every entry scores by the classifier's log odds."""
    assert view.model is not None
    requests, hubs = first_of_each(view.requests), _hubs(view.model.items, view.seed)
    shadows = [_shadow(view, hubs, each, place) for place, each in enumerate(requests[:MOST]) if len(each.items) > 2]
    weigh = _trained(shadows)
    return claims(requests, [weigh(features(view, hubs, each.items, each.rows)) for each in requests])


def _hubs(items: F32, seed: int) -> F64:
    """(n_items,) how near an item is to the nearest few of a sample of the catalogue: some are near to everything."""
    rows = units(items)
    sample = np.random.default_rng(seed).permutation(len(rows))[:SAMPLE]
    few = min(HUB, len(sample))
    found = [np.partition(rows[at : at + SAMPLE] @ rows[sample].T, -few, 1)[:, -few:].mean(1) for at in _blocks(rows)]
    return np.concatenate(found)


def _blocks(rows: F64) -> range:
    return range(0, len(rows), SAMPLE)


def _trained(shadows: list[tuple[F64, I64]]) -> Callable[[F64], F64]:
    """Logistic regression with a small ridge; the first feature where there is nothing to learn from."""
    if not shadows:
        return lambda each: each[:, 0]
    x, y = np.concatenate([each for each, _ in shadows]), np.concatenate([each for _, each in shadows])
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.hstack([(x - mean) / spread, np.ones((len(x), 1))])

    def loss(weights: F64) -> tuple[float, F64]:
        odds = z @ weights
        slack = np.logaddexp(0, odds) - y * odds
        error = 1 / (1 + np.exp(-odds)) - y
        return float(slack.mean() + RIDGE * weights @ weights), z.T @ error / len(z) + 2 * RIDGE * weights

    from scipy.optimize import minimize  # .3 s, as is said in judging.metrics

    weights = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    return lambda each: np.asarray((each - mean) / spread @ weights[:-1], np.float64)


def _shadow(view: View, hubs: F64, request: Request, number: int) -> tuple[F64, I64]:
    """Features and labels of as many entries as the request has: some of its own, and drawn ones in the share of V−."""
    assert view.model is not None
    rng = np.random.default_rng([view.seed, number])
    rate, count = view.settings.request.rate, len(request.items)
    own = max(1, min(count, round(count / (1 + rate))))
    kept = rng.choice(request.items, own, replace=False)
    others = np.setdiff1d(np.arange(len(view.model.items)), request.items)
    law = np.ones(len(others))
    if view.popularity is not None and view.settings.request.negatives == "popularity":
        law = view.popularity[others]
    number = min(count - own, int(np.count_nonzero(law)))
    drawn = rng.choice(others, number, replace=False, p=law / max(law.sum(), 1e-300)) if number else others[:0]
    items = np.concatenate([kept, drawn]).astype(np.int32)
    labels = np.arange(len(items)) < own
    return features(view, hubs, items, view.model.items[items]), labels.astype(np.int64)


ATTACK = Attack(
    name="shadow classifier",
    party="server",
    view="request",
    needs=("requests", "popularity", "model"),
    claim="bought",
    assumption="the server learns from requests that it makes up itself, after the same rules",
    guess=guess,
)
