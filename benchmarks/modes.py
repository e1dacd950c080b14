"""What each request mode shows of a client and costs it, counted in short trainings that execute the protocol.

    python benchmarks/modes.py [--data FOLDER] [--rounds 20] [--write]

MovieLens 100K by its preset: every mode in secret-sharing chains (`federated.aggregation = ring`) and by the ideal sum
beside it. Then how many rows of a sum are one client's own, on MovieLens 100K and on a made-up shop. Nothing is timed,
so that any machine prints the same. FOLDER is that of `results.py`; without MovieLens there is the shop alone.
`--write` puts the tables into docs/protocol.md.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import table, write_section
from results import CHECKOUT, NEEDED, Plan

from spfedrec_cli import engine, run
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.aggregation.chain.ring import Ring
from spfedrec_cli.federated.aggregation.ideal import IdealSum
from spfedrec_cli.federated.aggregation.protocol import Opening
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.split import ENGINES
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.messages import Message, serialise

DOCUMENT = CHECKOUT / "docs" / "protocol.md"
ROUNDS = 20  # two publications of the catalogue
MONTH = 30  # rounds of one customer: it takes part once a day
ONCE = {kind.kind for kind in (messages.PurchaseCounts, messages.PublishedCounts)}
DIRECTIONS = ("up", "down")
RING, SUM = "federated.aggregation=ring", "federated.aggregation=sum"
ALONE_HEAD = [
    "",
    "a sum over",
    "clients in it",
    "items that they request",
    "of these, by one client alone",
    "purchases that have such a row",
]


@dataclass(frozen=True)
class Mode:
    """A row: what it is called, what it changes in a preset, and what the server sees of one client in a round."""

    name: str
    settings: tuple[str, ...]
    seen: str = "the items that it requests"


MODES = (
    Mode("`paper`, P = 0.25", ("request.rate=0.25",)),
    Mode("`paper`, P = 1", ("request.rate=1.0",)),
    Mode("`paper`, P = 4", ("request.rate=4.0",)),
    Mode("`slate`", ("request.mode=slate",), "that it takes part, and whether it needs a new catalogue"),
    Mode("`catalogue`", ("request.mode=catalogue",), "that it takes part"),
)


@dataclass
class Rows:
    """Counts over sums: sums, clients in them, items requested in them, those that one client alone requested; and of
    all purchases in requests, those whose row is such a one."""

    sums: int = 0
    clients: int = 0
    items: int = 0
    alone: int = 0
    purchases: int = 0
    exposed: int = 0

    def add(self, own: Ragged, requests: Ragged, sum_of: I64, merged: I64, n_items: int) -> None:
        """Of a round: each client's purchases V+ and request, the sum (K,) that it is in, and the items (M,) of the
        pool, whose rows have all of them, so that nobody's stand alone."""
        keys = sum_of[requests.row_index()] * n_items + requests.values
        rows, by_how_many = np.unique(keys, return_counts=True)
        alone = rows[(by_how_many == 1) & ~np.isin(rows % n_items, merged)]
        bought = sum_of[own.row_index()] * n_items + own.values
        self.sums += len(np.unique(sum_of))
        self.clients += len(sum_of)
        self.items += len(rows)
        self.alone += len(alone)
        self.purchases += len(bought)
        self.exposed += int(np.isin(bought, alone).sum())


class Watched(Channel):
    """Hands over to the channel of a round, and keeps the bytes of each client of the cohort (K,), by direction.

    `told` are the messages that the whole cohort was sent alike: each counts for every client.
    """

    def __init__(self, channel: Channel, told: Sequence[Message], clients: int) -> None:
        super().__init__(channel.round)
        alike = sum(len(serialise(message)) for message in told)
        self.sizes = {"up": np.zeros(clients, np.int64), "down": np.full(clients, alike)}
        self._channel = channel

    def account(self, kind: type[Message], sizes: npt.ArrayLike) -> None:
        self._channel.account(kind, sizes)
        self.sizes[kind.direction] += np.asarray(sizes)


@dataclass
class Crossed:
    """What crossed in a training, client-round by client-round, and what its requests and sums say.

    `sizes`: bytes of all of a client's messages in a round, by direction; `catalogues`: those of the downloads of all
    items, round by round (their sum and the largest), which the server counts for itself.
    """

    sizes: dict[str, list[I64]] = field(default_factory=lambda: {each: [] for each in DIRECTIONS})
    bought: int = 0
    requested: int = 0
    rows: Rows = field(default_factory=Rows)
    catalogues: dict[int, tuple[int, int]] = field(default_factory=dict)

    def cohort(self, published: Published, cohort: Cohort, channel: Watched) -> None:
        for direction, sizes in self.sizes.items():
            sizes.append(channel.sizes[direction])
        if published.slate is None:
            self.bought += len(cohort.own.values)
            self.requested += len(cohort.own.values) + len(cohort.hidden.items.values)

    def sums(self, opening: Opening, sum_of: I64, merged: I64) -> None:
        if len(opening.rows):  # of purchases, which are summed once, there are none
            self.rows.add(opening.own, opening.requests, sum_of, merged, 1 + int(opening.rows.max()))

    def mean(self, direction: str) -> float:
        """Bytes of one client in one round."""
        every = np.concatenate(self.sizes[direction])
        downloads = sum(total for total, _ in self.catalogues.values()) * (direction == "down")
        return float((every.sum() + downloads) / len(every))

    def largest(self, direction: str) -> int:
        """The most bytes of any client in any round."""
        more = {number: largest for number, (_, largest) in self.catalogues.items()} if direction == "down" else {}
        return max(int(of.max()) + more.get(number, 0) for number, of in enumerate(self.sizes[direction], 1))

    @property
    def true_share(self) -> str:
        return f"{100 * self.bought / self.requested:.0f} %" if self.requested else "no request"


class WatchedRing(Ring):
    """Tells who is in which chain: each has a sum of its own."""

    def __init__(self, opening: Opening, crossed: Crossed) -> None:
        super().__init__(opening)
        crossed.sums(opening, self._layout.chain_of, opening.rows[opening.pool])


class WatchedSum(IdealSum):
    """One sum over the cohort."""

    def __init__(self, opening: Opening, crossed: Crossed) -> None:
        super().__init__(opening)
        crossed.sums(opening, np.zeros(len(opening.clients), np.int64), opening.rows[opening.pool])


@contextmanager
def watched(crossed: Crossed) -> Iterator[None]:
    """Within it, trainings of this process tell what crosses."""

    def simulation(world: World, published: Published, cohort: Cohort, channel: Channel) -> CohortResult:
        seen = Watched(channel, published.told, len(cohort))
        result = train_cohort(world, published, cohort, seen)
        crossed.cohort(published, cohort, seen)
        return result

    before = dict(AGGREGATIONS), dict(ENGINES)
    AGGREGATIONS["ring"] = replace(AGGREGATIONS["ring"], open=lambda opening: WatchedRing(opening, crossed))
    AGGREGATIONS["sum"] = replace(AGGREGATIONS["sum"], open=lambda opening: WatchedSum(opening, crossed))
    ENGINES["simulation"] = simulation
    try:
        yield
    finally:
        AGGREGATIONS.update(before[0])
        ENGINES.update(before[1])


def trained(dataset: Path, preset: str, settings: Sequence[str], rounds: int) -> Crossed:
    """What crosses in so many rounds by a preset and what is changed in it; seed 0."""
    config = resolve(preset, settings=(*settings, f"train.rounds={rounds}", "train.seed=0", "train.workers=1"))
    crossed = Crossed()
    with tempfile.TemporaryDirectory() as folder, watched(crossed):
        engine.train(Dataset.open(dataset), config, Path(folder) / "run")
        entries = run.records(Path(folder) / "run" / "ledger.jsonl")
    kept = messages.PublishedCatalogue.kind
    crossed.catalogues = {each["round"]: (each["bytes"], each["largest"]) for each in entries if each["kind"] == kept}
    counted = sum(each["bytes"] for each in entries if each["round"] > 1 and each["kind"] not in ONCE)
    seen = sum(int(sizes.sum()) for direction in DIRECTIONS for sizes in crossed.sizes[direction][1:])
    seen += sum(total for number, (total, _) in crossed.catalogues.items() if number > 1)
    assert seen == counted  # nothing crossed unseen; in the first round purchases are summed too, once
    return crossed


def mode_row(mode: Mode, ring: Crossed, ideal: Crossed) -> list[str]:
    each = [f"{of.mean(way) / 1000:,.0f} ({of.largest(way) / 1000:,.0f})" for of in (ring, ideal) for way in DIRECTIONS]
    month = MONTH * sum(map(ring.mean, DIRECTIONS)) / 1e6
    return [mode.name, mode.seen, ring.true_share, *each, f"{month:.1f}"]


MODES_HEAD = [
    "`request.mode`",
    "the server sees of one client",
    "true purchases in a request",
    "kB up, chains",
    "kB down, chains",
    "kB up, ideal sum",
    "kB down, ideal sum",
    f"MB in {MONTH} rounds, chains",
]


def of_modes(dataset: Path, preset: str, rounds: int) -> str:
    """The table of modes, of one Dataset."""
    rows = [
        mode_row(mode, *(trained(dataset, preset, (*mode.settings, each), rounds) for each in (RING, SUM)))
        for mode in MODES
    ]
    return table(MODES_HEAD, rows)


# What a sum is over, by the settings that make it so.
SUMS = {
    "chains of 10 or more": (RING, "federated.chain_length=10"),
    "chains of 100 or more": (RING, "federated.chain_length=100"),
    "the cohort (`sum`)": (SUM,),
}


def alone_row(name: str, over: str, rows: Rows) -> list[str]:
    shares = (rows.alone / rows.items, rows.exposed / rows.purchases)
    sizes = [f"{each / rows.sums:,.0f}" for each in (rows.clients, rows.items)]
    return [name, over, *sizes, *(f"{100 * share:.1f} %" for share in shares)]


def of_sums(datasets: dict[str, tuple[Path, str]], rounds: int) -> str:
    """The table of rows that are one client's own; `datasets` by name, each with its preset."""
    rows = [
        alone_row(name, over, trained(dataset, preset, settings, rounds).rows)
        for name, (dataset, preset) in datasets.items()
        for over, settings in SUMS.items()
    ]
    return table(ALONE_HEAD, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SPFEDREC_REAL_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=real)
    parser.add_argument("--work", type=Path, default=CHECKOUT / "runs" / "results")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    plan = Plan(Path(asked.data), asked.work, CHECKOUT, 1, 1, False)
    datasets, sections = {"made-up shop": (plan.synthetic(), "synthetic")}, {}
    if (plan.data / NEEDED["ml-100k"]).is_dir():
        datasets = {"MovieLens 100K": (plan.movielens(), "ml-100k"), **datasets}
        sections["modes"] = of_modes(*datasets["MovieLens 100K"], asked.rounds)
    else:
        sys.stderr.write(f"modes left out: no {NEEDED['ml-100k']} in {plan.data}; give --data\n")
    sections["alone"] = of_sums(datasets, asked.rounds)
    for name, text in sections.items():
        sys.stdout.write(f"{text}\n\n")
        if asked.write and len(datasets) > 1:
            write_section(DOCUMENT, name, text)


if __name__ == "__main__":
    main()
