"""In one client's update, rows of mere negatives point along its query embedding; rows of purchases do not.

∂L/∂ṽ of a negative is a positive number times ũ, of a target a negative one, of the history another vector. What is
along neither side of an axis is the history then; and the query tower, which everybody has, makes ũ of it.
"""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.attacks.zeros import fades
from spfedrec_cli.audit.requests import asked_of, asked_rows, claims, units
from spfedrec_cli.audit.views import Upload, View
from spfedrec_cli.dtypes import F64, I32

ALONG, AXES = 0.999, 6
ASIDE, UNTOUCHED = 0.01, 1e6  # of a row's length; what a row of zeros scores where histories fade


def guess(view: View) -> Guess:
    """Every row scores by how far it is from the client's query direction; a row of zeros is not, but where histories
    fade: there it is that of an old purchase."""
    return of_uploads(view, view.uploads or ())


def of_uploads(view: View, uploads: Sequence[Upload]) -> Guess:
    """The same of these uploads: of what each client asked for, or of what everybody was told in its first round. Of
    several rounds the one counts in which an item stands out most."""
    first: dict[int, Upload] = {}
    best: dict[int, F64] = {}
    for each in uploads:
        if not each.rows.any():  # nothing was trained on
            continue
        claimed, scores = _claimed(view, each)
        if each.client not in first:
            first[each.client], best[each.client] = each, scores
        elif np.array_equal(claimed, asked_of(first[each.client])):
            best[each.client] = np.maximum(best[each.client], scores)
    clients = sorted(first)
    return claims([first[client] for client in clients], [best[client] for client in clients])


def _claimed(view: View, upload: Upload) -> tuple[I32, F64]:
    """The items of an upload that may be purchases, and how far their rows are from the ray along ũ, beside what
    rounding and a direction that is not quite right would make of a mere negative."""
    items, rows, direction = asked_of(upload), asked_rows(upload).astype(np.float64), _direction(view, upload)
    ahead = np.maximum(rows @ direction, 0.0)
    away = np.linalg.norm(rows - ahead[:, None] * direction, axis=1)
    usual = np.sqrt(rows.shape[1]) / 2 + ASIDE * np.linalg.norm(rows, axis=1)
    zero = np.full(len(rows), UNTOUCHED if fades(view) else 0.0)
    return items, np.asarray(np.where(rows.any(1), away / usual, zero), np.float64)


def _direction(view: View, upload: Upload) -> F64:
    """Of ũ: where most of what everybody was told and did not ask for points; else the axis of which the public
    query tower says so.

    Beside a request all of these are mere negatives, and count by their length: long rows are rounded least. Of a slate
    or a catalogue some are purchases, whose rows are the longest, so that each counts alike."""
    rows, asked = units(upload.rows), upload.items[: upload.published]
    published = upload.rows[upload.published :].astype(np.float64) if upload.published else rows
    told = published[~np.isin(upload.items[upload.published :], asked)]
    if told.any():
        near = told[told @ told.sum(0) > 0].sum(0)
        return np.asarray(near / np.linalg.norm(near), np.float64)
    assert view.model is not None
    axes = _axes(rows)
    histories = [upload.items[(np.abs(rows @ axis) < ALONG) & rows.any(1)] for axis in axes]
    queries = view.model.embed(np.full(len(axes), -1), histories)
    agree = (queries * axes).sum(1)
    best = int(np.argmax(np.abs(agree)))
    return np.asarray(axes[best] * np.sign(agree[best]), np.float64)


def _axes(rows: F64) -> F64:
    """Directions of rows that are not along one another, a few."""
    found: list[F64] = []
    for row in rows[rows.any(1)]:
        if len(found) < AXES and all(abs(row @ axis) < ALONG for axis in found):
            found.append(row)
    return np.array(found)


ATTACK = Attack(
    name="collinearity",
    party="whoever unmasks",
    view="plain update",
    needs=("uploads", "model"),
    claim="bought",
    assumption="no secure sum hides the update, or both neighbours in a chain give it away",
    guess=guess,
)
