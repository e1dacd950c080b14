"""What attacks share: who asked for what, and claims laid end to end."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from spfedrec_cli.audit.attack import Guess
from spfedrec_cli.audit.views import Request, Upload, View
from spfedrec_cli.dtypes import F32, F64, I32, I64, Bool

_Of = TypeVar("_Of", Request, Upload)


def first_of_each(requests: Sequence[_Of] | None) -> list[_Of]:
    """The first request, or upload, of every client, by client."""
    first: dict[int, _Of] = {}
    for each in requests or ():
        first.setdefault(each.client, each)
    return [first[client] for client in sorted(first)]


def meetings(requests: Sequence[Request] | None) -> list[list[Request]]:
    """All requests of every client, by client."""
    met: dict[int, list[Request]] = {}
    for each in requests or ():
        met.setdefault(each.client, []).append(each)
    return [met[client] for client in sorted(met)]


def claims(
    requests: Sequence[Request | Upload],
    scores: Sequence[F64],
    decided: Sequence[Bool] | None = None,
    named: Sequence[Bool] | None = None,
) -> Guess:
    """That clients bought what they asked for, or what they were told of where nobody asks, a score for each entry."""
    items = [asked_of(each) if isinstance(each, Upload) else each.items for each in requests]
    return about([each.client for each in requests], items, scores, decided, named)


def about(
    subjects: Sequence[int] | I64,
    items: Sequence[I32],
    scores: Sequence[F64],
    decided: Sequence[Bool] | None = None,
    named: Sequence[Bool] | None = None,
) -> Guess:
    """Claims about each subject and its items, laid end to end."""
    lengths = [len(each) for each in items]
    return Guess(
        np.repeat(np.asarray(subjects, np.int64), lengths),
        joined(items),
        np.concatenate([np.empty(0), *scores]).astype(np.float64),
        None if decided is None else np.concatenate([np.empty(0, np.bool_), *decided]),
        None if named is None else np.concatenate([np.empty(0, np.bool_), *named]),
    )


def of_whole(subjects: I64, scores: Sequence[float]) -> Guess:
    """Claims about each subject and no item."""
    return Guess(subjects, np.full(len(subjects), -1), np.array(scores, np.float64))


def joined(items: Sequence[I32]) -> I64:
    """End to end, as claims have them."""
    return np.concatenate([np.empty(0, np.int64), *(each.astype(np.int64) for each in items)])


def popularity_of(view: View, items: I32) -> F64:
    """log(1 + buyers) of items (n,), as released; zeros where nothing was."""
    if view.popularity is None:
        return np.zeros(len(items))
    return np.asarray(np.log1p(view.popularity[items]), np.float64)


def units(rows: F32 | I32) -> F64:
    """Rows (n, d) at length 1; those of zeros stay as they are."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), np.float64)


def asked_of(upload: Upload) -> I32:
    """The items that may be purchases: what the client asked for, or, where nobody asks, what everybody was told of."""
    return upload.items[: upload.published or len(upload.items)]


def asked_rows(upload: Upload) -> I32:
    """Their rows (n, d): that of an item which was asked for and which everybody was told of too stands there."""
    if not upload.published:
        return upload.rows
    place = {item: upload.published + seat for seat, item in enumerate(upload.items[upload.published :].tolist())}
    rows = np.array(upload.rows[: upload.published])
    for number, item in enumerate(upload.items[: upload.published].tolist()):
        if item in place:
            rows[number] += upload.rows[place[item]]
    return rows
