"""The secret-sharing chain in full on one core: clients per second for chains of 10, 100 and 1,000.

    python benchmarks/chain.py [--clients N] [--write]

Every client makes its key pair and its commitment, checks those of all members, derives the order, exchanges keys with
both neighbours, derives both seeds, makes both streams, masks its payload and has it added; every sum is checked.
`simulated` is what a training executes: the same, but the order is derived once a chain, and no commitment is checked,
since the members of one process have nothing to find out from each other. A payload is 9,360 weights and the chain's
block of items (d = 16): purchases are log-normal (mean 23, 2 to 200), and they and P = .25 obfuscating items come from
105,542 articles by popularity 1 / rank^.8. --write puts the table into docs/benchmarks.md. Time is that of the
processor, since the process has one thread and the machine may have other work.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import machine, spread, write_section

from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.federated.aggregation.chain.chains import PIECE, Chains
from spfedrec_cli.federated.aggregation.chain.circle import circle, commit, roster_digest
from spfedrec_cli.federated.aggregation.chain.layout import message_sizes
from spfedrec_cli.federated.aggregation.chain.masks import WORD, key_pair, seed, stream
from spfedrec_cli.federated.aggregation.chain.sources import KEY, SeededSecrets
from spfedrec_cli.federated.aggregation.chain.terms import Setting, Terms, chain_sizes, unions
from spfedrec_cli.federated.wire.fixed_point import quantum_limit

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ITEMS, WEIGHTS, DIM, RATE = 105_542, 9_360, 16, 0.25
REPEATS, LENGTHS = 9, (10, 100, 1000)
SECRETS = SeededSecrets(0)


@dataclass(frozen=True)
class Cohort:
    """Clients with their requests (ragged: `owner` says whose) and payloads, and their chains."""

    terms: list[Terms]
    chain_of: I64
    query: I32
    owner: I64
    items: I64
    rows: I32
    opened: list[bytes]  # made-up contributions and keys of a chain's members, and what seals them
    sealed: list[list[bytes]]  # by chain

    def __len__(self) -> int:
        return len(self.chain_of)

    @property
    def words(self) -> float:
        """Coordinates of a payload, over clients."""
        return float(np.mean([self.terms[chain].length for chain in self.chain_of]))


def requests(rng: np.random.Generator, clients: int) -> tuple[I64, I64]:
    """How many distinct items each client requests, and which."""
    bought = np.clip(np.round(rng.lognormal(np.log(23) - 0.5, 1.0, clients)), 2, 200).astype(np.int64)
    wanted = bought + np.ceil(RATE * bought).astype(np.int64)
    below = np.cumsum(1 / np.arange(1, ITEMS + 1) ** 0.8)
    drawn = [np.unique(np.searchsorted(below, rng.random(4 * n) * below[-1])) for n in wanted]
    rows = [rng.permutation(some)[:n] for some, n in zip(drawn, wanted, strict=True)]
    return np.array([len(row) for row in rows]), np.concatenate(rows)


def cohort(clients: int, length: int, with_items: bool = True) -> Cohort:
    rng = np.random.default_rng(length)
    lengths, items = requests(rng, clients) if with_items else (np.zeros(clients, np.int64), np.empty(0, np.int64))
    sizes = chain_sizes(clients, length)
    chain_of = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    qmax = quantum_limit(clients)
    setting = Setting(bytes(32), 1, 0.5, 2.0, qmax, WEIGHTS, DIM, np.empty(0, np.int32), bytes(32), bytes(32))
    union = unions(chain_of, len(sizes), lengths, items)
    terms = [Terms(setting, number, 0, int(size), union[number]) for number, size in enumerate(sizes)]
    query, rows = (
        rng.integers(-1000, 1000, shape, dtype=np.int32) for shape in ((clients, WEIGHTS), (len(items), DIM))
    )
    opened = [rng.bytes(32) for _ in range(int(sizes.max()))]
    sealed = [seals(each, opened) for each in terms]
    return Cohort(terms, chain_of, query, np.repeat(np.arange(clients), lengths), items, rows, opened, sealed)


def seals(terms: Terms, opened: list[bytes]) -> list[bytes]:
    """The commitments of all members, the first of whom has id 0."""
    return [commit(terms.digest, member, opened[member], opened[member]) for member in range(terms.members)]


def in_full(made: Cohort) -> None:
    """All that aggregator and devices do."""
    simulated(made)
    checks(made)
    order(made)


def simulated(made: Cohort) -> None:
    """The round; its sum is the plain one."""
    everybody = np.arange(len(made))
    chains = Chains(made.terms, everybody, made.chain_of, SECRETS)
    pool = np.empty((len(made), 0, DIM), np.int32)
    chains.add(everybody, made.query, made.owner, made.items, made.rows, pool)
    closed = chains.close()
    assert len(closed.sums) == len(made.terms)
    assert int(sum(int(each.query[0]) for each in closed.sums)) == int(made.query[:, 0].sum())


def keys(made: Cohort) -> None:
    for client in range(len(made)):
        key_pair(SECRETS.draw(client, 1, 0, KEY))


def exchanges(made: Cohort) -> None:
    """Two a client, each with its seed."""
    private, public = key_pair(SECRETS.draw(0, 1, 0, KEY))
    for client in range(2 * len(made)):
        seed(private, public, bytes(32), client, client + 1)


def commitments(made: Cohort) -> None:
    """n + 1 a client: its own made, and all n of its chain checked."""
    for terms in made.terms:
        seals(terms, made.opened)
    checks(made)


def checks(made: Cohort) -> None:
    """Every member checks the commitments of all n members of its chain."""
    for terms, sealed in zip(made.terms, made.sealed, strict=True):
        for _ in range(terms.members):
            assert seals(terms, made.opened) == sealed


def order(made: Cohort) -> None:
    """Every member derives it from what all revealed."""
    for terms in made.terms:
        members, opened = range(terms.members), made.opened[: terms.members]
        for _ in members:
            circle(roster_digest(terms.digest, members, opened, opened), members)


def streams(made: Cohort) -> None:
    """Two a client, as long as its payload."""
    zeros, out = bytes(WORD.itemsize * PIECE), np.empty(WORD.itemsize * PIECE + 16, np.uint8)
    for chain in np.repeat(made.chain_of, 2):
        cipher, left = stream(bytes(32)), WORD.itemsize * made.terms[chain].length
        while left:
            size = min(left, len(zeros))
            cipher.update_into(memoryview(zeros)[:size], out)
            left -= size


def adds(made: Cohort) -> None:
    """One mask less the other, and the result added to the chain's sum."""
    longest = max(terms.length for terms in made.terms)
    words, masks = np.empty(longest, np.uint32), np.ones((2, PIECE), np.uint32)
    sums = [np.zeros(terms.length, np.uint32) for terms in made.terms]
    for chain in made.chain_of:
        total = sums[chain]
        for start in range(0, len(total), PIECE):
            piece = words[start : min(start + PIECE, len(total))]
            np.subtract(masks[1, : len(piece)], masks[0, : len(piece)], out=piece)
        np.add(total, words[: len(total)], out=total)


Work = Callable[[Cohort], None]
WHOLE: dict[str, Work] = {"in full": in_full, "simulated": simulated}
PARTS: dict[str, Work] = {
    "keys": keys,
    "exchanges": exchanges,
    "commitments": commitments,
    "order": order,
    "streams": streams,
    "adds": adds,
}
HEAD = [
    "chain length",
    "clients/s",
    "µs in full",
    *PARTS,
    "rest",
    "simulated, clients/s",
    "words",
    "KiB up",
    "KiB down",
]


def seconds(work: Work, made: Cohort) -> float:
    began = time.process_time()
    work(made)
    return time.process_time() - began


def table(clients: int) -> str:
    """Each row's parts are measured beside the whole, in turn; µs are of one client."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    cohorts = [(f"{length:,}", cohort(clients, length)) for length in LENGTHS]
    cohorts += [(f"{length:,}, no items", cohort(clients, length, with_items=False)) for length in LENGTHS]
    found: list[dict[str, list[float]]] = [{name: [] for name in WHOLE | PARTS} for _ in cohorts]
    for _ in range(REPEATS):
        for (_, made), times in zip(cohorts, found, strict=True):
            for name, work in (WHOLE | PARTS).items():
                times[name].append(seconds(work, made) / clients)
    for (name, made), times in zip(cohorts, found, strict=True):
        lines.append(row(name, made, times))
    return "\n".join(lines)


def row(name: str, made: Cohort, times: dict[str, list[float]]) -> str:
    speed, faster = (spread([1 / each for each in times[whole]], ",.0f") for whole in WHOLE)
    whole, *parts = (1e6 * statistics.median(times[part]) for part in ("in full", *PARTS))
    cells = [f"{each:,.0f}" for each in (whole, *parts, whole - sum(parts))]
    up, down = crossing(made)
    sizes = [f"{made.words:,.0f}", f"{up / 1024:,.0f}", f"{down / 1024:,.1f}"]
    return f"| {' | '.join([name, speed, *cells, faster, *sizes])} |"


def crossing(made: Cohort) -> tuple[float, float]:
    """Bytes of the chain's messages from and to one client, over clients."""
    up = down = 0.0
    for terms in made.terms:
        sizes = message_sizes(terms.members, len(terms.union), terms.length)
        up += terms.members * sum(size for kind, size in sizes.items() if kind.direction == "up")
        down += terms.members * sum(size for kind, size in sizes.items() if kind.direction == "down")
    return up / len(made), down / len(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    conditions = f"{asked.clients:,} clients, medians of {REPEATS}, smallest and largest in brackets"
    text = f"One of {machine()}; {conditions}.\n\n{table(asked.clients)}"
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "chain", text)


if __name__ == "__main__":
    main()
