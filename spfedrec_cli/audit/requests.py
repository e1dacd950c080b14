"""What attacks on requests share: who asked for what, laid end to end."""

from collections.abc import Sequence

import numpy as np

from spfedrec_cli.audit.attack import Guess
from spfedrec_cli.audit.views import Request, Upload, View
from spfedrec_cli.dtypes import F32, F64, I32, I64, Bool


def first_of_each(requests: Sequence[Request] | None) -> list[Request]:
    """The first request of every client, by client."""
    first: dict[int, Request] = {}
    for each in requests or ():
        first.setdefault(each.client, each)
    return [first[client] for client in sorted(first)]


def meetings(requests: Sequence[Request] | None) -> list[list[Request]]:
    """All requests of every client, by client."""
    met: dict[int, list[Request]] = {}
    for each in requests or ():
        met.setdefault(each.client, []).append(each)
    return [met[client] for client in sorted(met)]


def claims(requests: Sequence[Request], scores: Sequence[F64], named: Sequence[Bool] | None = None) -> Guess:
    """That clients bought what they asked for, a score for each entry."""
    subjects = np.repeat([each.client for each in requests], [len(each.items) for each in requests])
    items = joined([each.items for each in requests])
    told = None if named is None else np.concatenate([np.empty(0, np.bool_), *named])
    return Guess(subjects.astype(np.int64), items, np.concatenate([np.empty(0), *scores]), named=told)


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


def public_zeros(upload: Upload) -> tuple[Bool, Bool]:
    """Of each item that was asked for whether the public pool has it with a row that is not zero, and with one that is.

    The latter is nowhere where the pool has such rows of items that were not asked for: these are zeros of rounding.
    """
    asked, pool = upload.items[: upload.published], upload.items[upload.published :]
    moved = np.asarray(upload.rows[upload.published :].any(1))
    if not np.isin(pool[~moved], asked).all():
        return np.isin(asked, pool[moved]), np.zeros(len(asked), np.bool_)
    return np.isin(asked, pool[moved]), np.isin(asked, pool[~moved])
