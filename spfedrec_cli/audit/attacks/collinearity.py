"""In one client's update, rows of mere negatives point along its query embedding; rows of purchases do not.

∂L/∂ṽ of a negative is a positive number times ũ, of a target a negative one, of the history another vector.
"""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import joined, units
from spfedrec_cli.audit.views import Upload, View
from spfedrec_cli.dtypes import F64, I32

UNTOUCHED, CERTAIN = -2.0, 10.0


def guess(view: View) -> Guess:
    """Every row scores by how far it is from the client's query direction; a row of zeros is that of no purchase."""
    return of_uploads(view, view.uploads or ())


def of_uploads(view: View, uploads: Sequence[Upload]) -> Guess:
    """The same of these uploads: of what each client asked for, or of what everybody was told in its first round. Of
    several rounds the one counts in which an item stands out most."""
    first: dict[int, Upload] = {}
    best: dict[int, F64] = {}
    for each in uploads:
        claimed, scores = _claimed(view, each)
        if each.client not in first:
            first[each.client], best[each.client] = each, scores
        elif np.array_equal(claimed, _asked(first[each.client])):
            best[each.client] = np.maximum(best[each.client], scores)
    clients = sorted(first)
    items = [_asked(first[client]) for client in clients]
    subjects = np.repeat(clients, [len(each) for each in items]).astype(np.int64)
    return Guess(subjects, joined(items), np.concatenate([np.empty(0), *(best[client] for client in clients)]))


def _asked(upload: Upload) -> I32:
    return upload.items[: upload.published or len(upload.items)]


def _claimed(view: View, upload: Upload) -> tuple[I32, F64]:
    """The items of an upload that may be purchases, and how far their rows are from ũ. Of an item that was asked for
    and is in the public pool too, the pool's row says whether it is a negative: a purchase is none."""
    rows, items = units(upload.rows), _asked(upload)
    scores = -(rows[: len(items)] @ _direction(view, upload, rows))
    scores[~upload.rows[: len(items)].any(1)] = UNTOUCHED
    pool = upload.items[len(items) :]
    is_negative = upload.rows[len(items) :].any(1)
    scores[np.isin(items, pool[is_negative])] -= CERTAIN
    scores[np.isin(items, pool[~is_negative])] += CERTAIN
    return items, np.asarray(scores, np.float64)


def _direction(view: View, upload: Upload, rows: F64) -> F64:
    """Of ũ: where most of what everybody was told points; else the row that is nearest to the query of a client with
    all these purchases."""
    told = rows[upload.published :]
    if len(told):
        total = told.sum(0)
        near = told @ total > 0
        return np.asarray(told[near].mean(0) / (np.linalg.norm(told[near].mean(0)) + 1e-12), np.float64)
    assert view.model is not None
    asked = view.model.embed(np.array([-1]), [upload.items])[0]
    return np.asarray(rows[int(np.argmax(rows @ asked))], np.float64)


ATTACK = Attack(
    name="collinearity",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads", "model"),
    claim="bought",
    assumption="no secure sum hides the update, or both neighbours in a chain give it away",
    guess=guess,
)
