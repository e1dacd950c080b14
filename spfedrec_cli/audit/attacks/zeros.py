"""A row that is exactly zero was not trained on; one that is not, was."""

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.requests import joined, public_zeros
from spfedrec_cli.audit.views import Upload, View
from spfedrec_cli.dtypes import F64, Bool


def guess(view: View) -> Guess:
    """Of what was asked for, what was trained on scores 1. Decided is what has such a row, where others of the request
    have none; and what the public pool has too: there a purchase is no negative, and its row is zero."""
    first: dict[int, Upload] = {}
    for each in view.uploads or ():
        if each.published:
            first.setdefault(each.client, each)
    parts = [first[client] for client in sorted(first)]
    judged = [_judged(each) for each in parts]
    items = [each.items[: each.published] for each in parts]
    subjects = np.repeat([each.client for each in parts], [len(each) for each in items]).astype(np.int64)
    scores = np.concatenate([np.empty(0), *(each for each, _ in judged)])
    return Guess(
        subjects, joined(items), scores, np.concatenate([np.empty(0, np.bool_), *(sure for _, sure in judged)])
    )


def _judged(upload: Upload) -> tuple[F64, Bool]:
    """Of each entry of a request its score, and whether it is decided."""
    rows = np.asarray(upload.rows[: upload.published].any(1))
    negative, bought = public_zeros(upload)
    mixed = bool(rows.any() and not rows.all())
    return np.where(bought | negative, bought, rows).astype(np.float64), bought | negative | (rows & mixed)


ATTACK = Attack(
    name="zero rows",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads",),
    claim="bought",
    assumption="no secure sum hides the update, and the request is known",
    guess=guess,
)
