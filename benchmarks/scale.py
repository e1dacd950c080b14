"""From measured points to a hundred million customers and ten million items, on paper.

    python benchmarks/scale.py [--rounds 3] [--write]

Measures whole rounds of 8,192 clients by one thread over catalogues of H&M's size, of a million and of ten million
items, made up in memory, and reckons the rest: a pass over all customers is their number over that speed, memory is
what `train --dry-run` reckons, bytes are those of the messages. `--write` puts the table into docs/scaling.md.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from measure import machine, table, write_section

from spfedrec_cli.config import Config, validate
from spfedrec_cli.engine import made
from spfedrec_cli.engine.bench import ROUNDS, round_work
from spfedrec_cli.engine.memory import Shape, reckon

DOCUMENT = Path(__file__).parents[1] / "docs" / "scaling.md"
PURCHASES = 31_692_940 / 1_362_281  # of a customer, on average
CORES = 64  # of one machine, for the reckoning


@dataclass(frozen=True)
class Size:
    name: str
    customers: int
    items: int


SIZES = (
    Size("H&M", 1_362_281, made.ARTICLES),
    Size("ten times", 10_000_000, 1_000_000),
    Size("a hundred times", 100_000_000, 10_000_000),
)


@dataclass(frozen=True)
class Measured:
    """Seconds of a round; bytes that a client sends and is sent in it."""

    seconds: float
    up: float
    down: float


def measured(items: int, rounds: int) -> Measured:
    """Of whole rounds over so many items."""
    work = round_work(made.sized(made.SHOP, items=items), settings())
    for _ in range(2):
        work.run()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        ledger = work.run()
        seconds.append(time.perf_counter() - began)
    up, down = (sum(e.bytes / e.count for e in ledger.entries if e.direction == way) for way in ("up", "down"))
    return Measured(statistics.median(seconds), up, down)


def settings() -> dict[str, dict[str, object]]:
    return {**ROUNDS, "train": {"threads": 1}}


def column(size: Size, found: Measured, config: Config) -> list[str]:
    fields = tuple((name, count) for name, count in made.H_AND_M_ITEM_FIELDS.items())
    shape = Shape(
        size.customers, size.items, int(PURCHASES * size.customers), fields, tuple(made.H_AND_M_CLIENT_FIELDS.items())
    )
    memory = reckon(shape, config)
    cohort = config.federated.cohort_size
    speed = cohort / found.seconds
    a_pass = size.customers / speed

    def gib(*names: str) -> str:
        return f"{sum(memory[name] for name in names) / 2**30:.2f}"

    return [
        f"{size.customers:,}",
        f"{size.items:,}",
        f"{found.seconds:.2f}",
        f"{speed:,.0f}",
        f"{a_pass / 60:,.0f}",
        f"{a_pass / 60 / CORES:,.1f}",
        gib("purchases", "obfuscating items"),
        gib("towers with their moments", "fields of items and clients"),
        gib(*memory),
        f"{found.up / 1024:,.0f}",
        f"{found.down / 1024:,.0f}",
        f"{cohort * (found.up + found.down) / 2**30:,.2f}",
    ]


ROWS = (
    "customers",
    "items",
    "a round of 8,192, one core, s (measured)",
    "clients/s a core",
    "a pass over all customers, one core, minutes",
    f"the same by {CORES} cores that are all used, minutes",
    "memory for purchases and requests, GiB",
    "for towers, moments and fields, GiB",
    "of the whole training by one process, GiB",
    "a client sends in a round, KiB",
    "a client is sent in a round, KiB",
    "all of that for one round, GiB",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    config = validate(settings())
    columns = []
    for size in SIZES:
        found = measured(size.items, asked.rounds)
        sys.stderr.write(f"{size.items:,} items: {found.seconds:.2f} s a round\n")
        columns.append(column(size, found, config))
    rows = [[name, *cells] for name, *cells in zip(ROWS, *columns, strict=True)]
    text = f"{machine()}; d = 16, P = 1.\n\n" + table(["", *(size.name for size in SIZES)], rows)
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "paper", text)


if __name__ == "__main__":
    main()
