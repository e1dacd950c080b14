"""What a report is made of: what runs left behind, and what was computed from them for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spfedrec_cli.config import Config
from spfedrec_cli.dtypes import F64
from spfedrec_cli.report.parts import Entry
from spfedrec_cli.retrieval.groups import Group
from spfedrec_cli.retrieval.intervals import Interval, Paired

BEST_POSSIBLE = "best_possible"
MONTH = 30  # rounds of one customer: it takes part once a day
ONCE = (
    "popularity",
    "counts",
    "tower",
    "fields",
)  # kinds of messages of which a client sends or gets one in a training


@dataclass(frozen=True)
class Message:
    """All messages of one kind over a whole run; sizes in bytes."""

    kind: str
    direction: str
    meaning: str
    count: int
    bytes: int
    largest: int

    @property
    def once(self) -> bool:
        return self.kind in ONCE


@dataclass(frozen=True)
class Measured:
    """The evaluation of a run on the test split. `beside`: baselines and blends by name, with `intervals_beside`;
    `second_stage`: the lists that devices rank for themselves, where that was measured."""

    clients: int
    skipped: int
    round: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    beside: Mapping[str, Mapping[str, float]]
    intervals_beside: Mapping[str, Mapping[str, Interval]]
    groups: Mapping[str, Mapping[str, Group]]
    single_truth: bool = False
    notes: Sequence[str] = ()
    second_stage: Mapping[str, float] = field(default_factory=dict)

    @property
    def shortest(self) -> int:
        """The least length of a list that was measured."""
        return min(int(name.partition("@")[2]) for name in self.metrics)

    @property
    def rivals(self) -> list[str]:
        """Baselines: what stands beside the run, but for blends and for what knows the truth."""
        return [name for name in self.beside if name != BEST_POSSIBLE and not name.endswith("blend")]


@dataclass(frozen=True)
class Told:
    """One run. `rounds` and `audit` are as the run's files have them; `audit` is None where there was none."""

    name: str
    path: str
    version: str
    started: str
    preset: str | None
    config: Config
    environment: Mapping[str, Any]
    rounds: Sequence[Mapping[str, Any]]
    messages: Sequence[Message]
    measured: Measured | None
    audit: Sequence[Mapping[str, Any]] | None = None

    @property
    def monitor(self) -> str:
        return self.config.train.monitor

    @property
    def updates(self) -> int:
        """Of clients, over all rounds."""
        return sum(line["clients"] for line in self.rounds)

    def bytes_of_a_round(self, direction: str) -> float:
        """Of one client, on the mean, without what crosses once in a training."""
        total = sum(each.bytes for each in self.messages if each.direction == direction and not each.once)
        return total / self.updates if self.updates else 0.0

    @property
    def bytes_of_a_month(self) -> float:
        return MONTH * (self.bytes_of_a_round("up") + self.bytes_of_a_round("down"))


@dataclass(frozen=True)
class Shop:
    """The Dataset. `weeks` says what the test split is of; `hidden`: of the items in a request by the run's settings,
    the share that was truly bought, None where nobody requests."""

    name: str
    clients: int
    items: int
    purchases: int
    trained: int
    repeats: bool
    test: str
    hidden: float | None = None


@dataclass(frozen=True)
class Map:
    """Item embeddings in their two main directions: `places` (n, 2), which tell so much of their variance (`told`), and
    the value of `field` of each. `near` of a value: its items, their mean cosine among themselves, and to the others.
    """

    field: str
    places: F64
    values: Sequence[str]
    told: float
    items: int
    near: Mapping[str, tuple[int, float, float]]


@dataclass(frozen=True)
class Customer:
    """What somebody bought, newest first, and is recommended, best first."""

    name: str
    why: str
    bought: Sequence[Entry]
    recommended: Sequence[Entry]


@dataclass(frozen=True)
class Facts:
    """Of the runs the first is told in full. `best`: the baseline ahead of all others, and the first run less it;
    `versus`: the first run less each of the others."""

    runs: Sequence[Told]
    shop: Shop
    best: Paired | None = None
    versus: Sequence[Paired] = ()
    map: Map | None = None
    customers: Sequence[Customer] = ()
    notes: Sequence[str] = field(default=())

    @property
    def first(self) -> Told:
        return self.runs[0]
