"""What somebody is recommended, whoever ranked it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Why:
    """A score, taken apart: it is the sum of `prior`, of `profile` (what the query tower makes of somebody who bought
    nothing: fields, and on a device its private state) and of `history`.

    `purchases`: those whose absence would lower the score most, by article id, and by how much. They do not add up to
    `history`, since each is left out alone.
    """

    prior: float
    profile: float
    history: float
    purchases: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Ranked:
    """An article; `labels` has its name, type and colour, as far as the source has them. `why` it stands there, where
    that was asked."""

    article_id: str
    score: float
    labels: dict[str, str]
    why: Why | None = None


@dataclass(frozen=True)
class Given:
    """`history`: the last purchases, newest first; `items`: best first. customer_id is None for a history given.

    `left_out` counts the articles that are not ranked because they were bought; `kept` those that a filter leaves, None
    where there is none.
    """

    customer_id: str | None
    history: Sequence[Ranked]
    items: Sequence[Ranked]
    left_out: int = 0
    kept: int | None = None
