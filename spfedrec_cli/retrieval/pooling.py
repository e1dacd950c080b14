"""Evaluations of several weeks as one: a row each client and week."""

from collections.abc import Mapping, Sequence, Sized

import numpy as np

from spfedrec_cli.dtypes import F64
from spfedrec_cli.retrieval.evaluate import Evaluation, means
from spfedrec_cli.retrieval.groups import Part, Parts


def pooled(weeks: Sequence[Evaluation]) -> Evaluation:
    """The weeks one after the other, made by the same rules; a client comes once for each week it has ground truth in.

    Means are over these client-weeks, NaN where a client has no such value. What is of all lists together, such as
    coverage, is of one week's lists and left out.
    """
    first, clients = weeks[0], np.concatenate([week.clients for week in weeks])
    values = joined([(week.clients, week.per_client) for week in weeks])
    skipped = sum(week.skipped for week in weeks)
    return Evaluation(first.split, first.protocol, first.candidates, clients, skipped, values, means(values))


def pooled_parts(weeks: Sequence[Parts]) -> Parts:
    """The same of groups; a kind that nobody is of in one week is there in the others."""
    kinds = {by: dict.fromkeys(kind for week in weeks for kind in week.get(by, {})) for by in weeks[0]}
    return {by: {kind: _part([w[by][kind] for w in weeks if kind in w[by]]) for kind in of} for by, of in kinds.items()}


def _part(parts: Sequence[Part]) -> Part:
    clients = np.concatenate([part.clients for part in parts])
    return Part(clients, joined([(part.clients, part.per_client) for part in parts]))


def joined(weeks: Sequence[tuple[Sized, Mapping[str, F64]]]) -> dict[str, F64]:
    """Metric by metric the values of clients, week by week; NaN for the clients of a week that does not have it."""
    names = dict.fromkeys(name for _, values in weeks for name in values)
    return {
        name: np.concatenate([values.get(name, np.full(len(clients), np.nan)) for clients, values in weeks])
        for name in names
    }
