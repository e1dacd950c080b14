"""What crosses where there is a second stage. `wire.messages` says how arrays are declared."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from spfedrec_cli.dtypes import F32, I32


@dataclass(frozen=True)
class WeeklyBuyers:
    """Client to aggregator, once, where there is a second stage: the weeks in which it bought an item, as ones; before
    them one row of all that was earlier."""

    kind: ClassVar[str] = "weeks"
    meaning: ClassVar[str] = "items bought by week, once: the sum over all clients is seen"
    direction: ClassVar[str] = "up"
    round: int
    counts: Annotated[I32, "W I"]


@dataclass(frozen=True)
class PublishedWeeks:
    """Server to every client that trains, once: the sum of these, by which devices know what is popular."""

    kind: ClassVar[str] = "weekly"
    meaning: ClassVar[str] = "how many bought each item in each of the last weeks, once"
    direction: ClassVar[str] = "down"
    round: int
    counts: Annotated[I32, "W I"]


@dataclass(frozen=True)
class Ranker:
    """Server to every client of the cohort: the weights of the second stage."""

    kind: ClassVar[str] = "ranker"
    meaning: ClassVar[str] = "the weights by which devices rank for themselves"
    direction: ClassVar[str] = "down"
    round: int
    weights: Annotated[F32, "S"]


@dataclass(frozen=True)
class RankerUpdate:
    """Client to aggregator, in fixed point: down the gradient of its own lists, clipped; zeros where it has none."""

    kind: ClassVar[str] = "ranker_update"
    meaning: ClassVar[str] = "how a device would rank better: its cohort's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    weights: Annotated[I32, "S"]
