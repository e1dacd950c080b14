"""The secret-sharing chain in full on one core: clients per second for chains of 10, 100 and 1,000.

    python benchmarks/chain.py [--clients N] [--write]

Every client makes its key pair, exchanges keys with both neighbours, derives both seeds, makes both streams, masks its
payload and has it added; every sum is checked. A payload is 9,360 weights and the chain's block of items (d = 16):
purchases are log-normal (mean 23, 2 to 200), and they and P = .25 obfuscating items come from 105,542 articles by
popularity 1 / rank^.8. --write puts the table into docs/benchmarks.md. Time is that of the processor, since the process
has one thread and the machine may have other work.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import machine, spread, write_section

from spfedrec_cli.federated.codec import quantum_limit
from spfedrec_cli.federated.secagg.chains import PIECE, Chains
from spfedrec_cli.federated.secagg.exchange import message_sizes
from spfedrec_cli.federated.secagg.masks import WORD, key_pair, seed, stream
from spfedrec_cli.federated.secagg.sources import KEY, SeededSecrets
from spfedrec_cli.federated.secagg.terms import Setting, Terms, chain_sizes, unions

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ITEMS, WEIGHTS, DIM, RATE = 105_542, 9_360, 16, 0.25
REPEATS, LENGTHS = 9, (10, 100, 1000)
SECRETS = SeededSecrets(0)
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Cohort:
    """Clients with their requests (ragged: `owner` says whose) and payloads, and their chains."""

    terms: list[Terms]
    chain_of: I64
    query: I32
    owner: I64
    items: I64
    rows: I32

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
    setting = Setting(bytes(32), 1, 0.5, 2.0, qmax, WEIGHTS, DIM, np.empty(0, np.int32), bytes(32))
    union = unions(chain_of, len(sizes), lengths, items)
    terms = [Terms(setting, number, 0, int(size), union[number]) for number, size in enumerate(sizes)]
    query, rows = (
        rng.integers(-1000, 1000, shape, dtype=np.int32) for shape in ((clients, WEIGHTS), (len(items), DIM))
    )
    return Cohort(terms, chain_of, query, np.repeat(np.arange(clients), lengths), items, rows)


def in_full(made: Cohort) -> None:
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


PARTS: dict[str, Callable[[Cohort], None]] = {"keys": keys, "exchanges": exchanges, "streams": streams, "adds": adds}


def seconds(work: Callable[[Cohort], None], made: Cohort) -> float:
    began = time.process_time()
    work(made)
    return time.process_time() - began


def table(clients: int) -> str:
    """Each row's parts are measured beside the whole, in turn; µs are of one client."""
    head = (
        "chain length | clients/s | µs in full | keys | exchanges | streams | adds | rest | words | KiB up | KiB down"
    )
    lines = [f"| {head} |", "|---" * 11 + "|"]
    cohorts = [(f"{length:,}", cohort(clients, length)) for length in LENGTHS]
    cohorts += [(f"{length:,}, no items", cohort(clients, length, with_items=False)) for length in LENGTHS]
    found: list[dict[str, list[float]]] = [{name: [] for name in ("in full", *PARTS)} for _ in cohorts]
    for _ in range(REPEATS):
        for (_, made), times in zip(cohorts, found, strict=True):
            for name, work in {"in full": in_full, **PARTS}.items():
                times[name].append(seconds(work, made) / clients)
    for (name, made), times in zip(cohorts, found, strict=True):
        lines.append(row(name, made, times))
    return "\n".join(lines)


def row(name: str, made: Cohort, times: dict[str, list[float]]) -> str:
    speed = spread([1 / each for each in times["in full"]], ",.0f")
    medians = [1e6 * statistics.median(each) for each in times.values()]
    rest = medians[0] - sum(medians[1:])
    cells = " | ".join(f"{each:,.0f}" for each in (*medians, rest))
    up, down = crossing(made)
    return f"| {name} | {speed} | {cells} | {made.words:,.0f} | {up / 1024:,.0f} | {down / 1024:,.1f} |"


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
