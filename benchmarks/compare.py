"""The same local training by spfedrec and by what others would use, in turn, on one core each.

    python benchmarks/compare.py [--turns 3] [--clients 1000] [--peers ours,flower] [--write]

Each peer is a script of benchmarks/peers in an environment of its own, .bench/NAME, which is made once from the
versions of benchmarks/peers/NAME.txt. A peer first shows that its aggregate is that of a plain client in numpy.
`--write` puts the tables into docs/benchmarks.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import machine, spread, write_section

CHECKOUT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).with_name("peers")
ENVIRONMENTS = CHECKOUT / ".bench"
DOCUMENT = CHECKOUT / "docs" / "benchmarks.md"
CASES = {"full": "One full-batch step (SGD)", "batches": "Batches of 8 by Adam, one pass"}
OURS = "ours"


@dataclass(frozen=True)
class Peer:
    """A script; its environment (None: the one that this runs in); cohorts timed a turn; what it does of the work.

    `clients`: so many at most, for one whose speed does not depend on their number but whose patience does.
    """

    name: str
    title: str
    environment: str | None
    repeats: int
    remark: str
    clients: int = sys.maxsize


PEERS = (
    Peer(
        *(OURS, "spfedrec", None, 25),
        "one loop over clients, compiled by numba: the first cohort compiles it, or reads its machine code from disk; "
        "besides what the work asks, every client's coordinates are clipped, rounded and counted where clipped, and "
        "only integers are summed; the 64 inputs are six field embeddings and the pooled history, with the gradients "
        "of both (9,780 weights in all); negatives are corrected for their probability",
    ),
    Peer(
        *("flower", "Flower's simulation, one Ray worker", "flower", 1),
        "`run_simulation`; every client gets a message with the tower and answers with one; two hundred at a time, "
        "which suits it better than all at once; the client is the tight loop below; starting Ray is not counted; 400 "
        "of the clients",
        clients=400,
    ),
    Peer(
        *("nvidia_flare", "NVIDIA FLARE's simulator, one site", "nvflare", 2),
        "its Collab API in `SimEnv`; a site is a process, so that one stands for all clients: each of them is a call "
        "that takes the tower there and back; four calls under way, arrays inside their messages, both of which suit "
        "it better; the client is the tight loop below; starting server and site is not counted; 200 of the clients",
        clients=200,
    ),
    Peer(
        *("pfl_research", "pfl-research", "pfl_research", 3),
        "`SimulatedBackend`, `FederatedAveraging` and `PyTorchModel`; item gradients are summed by row beside its "
        "statistics, which would hold a dense table a user",
    ),
    Peer(
        *("notebook_loop", "a notebook's loop in PyTorch", "loop", 3),
        "a copy of the tower, a `DataLoader` and an optimiser a client",
    ),
    Peer(
        *("tight_loop", "a tight loop in PyTorch", "loop", 3),
        "one module, its weights copied back; slices of tensors in place of the `DataLoader`",
    ),
    Peer(
        *("jax_vmap", "JAX, `jit` and `vmap`, a bucket at once", "jax", 25),
        "buckets of similar lengths; padding them is not counted, and the shapes fit this cohort exactly; the compiler "
        "may fuse a client's update into the sum, so that it is never stored",
    ),
    Peer(
        *("jax_in_parts", "JAX, `jit` and `vmap`, eight clients at once", "jax", 25),
        "the same, scanned over parts of a bucket whose weights and moments fit into the cache",
    ),
    Peer(
        *("jax_integers", "JAX, eight clients at once, integers summed", "jax", 25),
        "the same; every client's coordinates are clipped, rounded and counted where clipped, and only integers are "
        "summed, as in spfedrec",
    ),
)

Turn = dict[str, Any]


def environment(name: str) -> Path:
    """The Python of `.bench/NAME`, made anew where its versions changed. Raises CalledProcessError."""
    folder, pins = ENVIRONMENTS / name, SCRIPTS / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.is_file() and stamp.read_text() == pins.read_text():
        return python
    say(f"installing {', '.join(pins.read_text().split())} into {folder.relative_to(CHECKOUT)}")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, text=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", pins]
    subprocess.run(install, check=True, capture_output=True, text=True)
    shutil.copyfile(pins, stamp)
    return python


def interpreters(peers: list[Peer]) -> tuple[dict[str, Path], dict[str, str]]:
    """Each peer's Python; and of those that cannot be installed, why."""
    found, missing = {}, {}
    for peer in peers:
        try:
            found[peer.name] = Path(sys.executable) if peer.environment is None else environment(peer.environment)
        except subprocess.CalledProcessError as error:
            missing[peer.name] = f"not installed: {_last_line(error.stderr)}"
    return found, missing


def run(peer: Peer, python: Path, clients: int, first: bool) -> Turn:
    """One process on one core. Raises CalledProcessError where it fails, its check included."""
    words = [
        python,
        SCRIPTS / f"{peer.name}.py",
        "--clients",
        str(min(clients, peer.clients)),
        "--repeats",
        str(peer.repeats),
    ]
    words += [] if first else ["--unchecked"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    paths = {"PYTHONPATH": str(CHECKOUT)} if peer.environment is None else {}
    done = subprocess.run(
        words, check=True, capture_output=True, text=True, env={**os.environ, **threads, **paths}, preexec_fn=one_core
    )
    told: Turn = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"name"')))
    return told


def one_core() -> None:
    """The last one of those allowed: interrupts prefer the first."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def in_turn(peers: list[Peer], turns: int, clients: int) -> tuple[dict[str, list[Turn]], dict[str, str]]:
    """What each peer told, turn by turn; and of those that told nothing, why."""
    pythons, missing = interpreters(peers)
    told: dict[str, list[Turn]] = {name: [] for name in pythons}
    for turn in range(turns):
        for peer in peers:
            if peer.name in missing:
                continue
            try:
                told[peer.name].append(run(peer, pythons[peer.name], clients, turn == 0))
            except subprocess.CalledProcessError as error:
                missing[peer.name] = f"failed: {_last_line(error.stderr)}"
                say(error.stdout + error.stderr)
            else:
                say(f"turn {turn + 1}: {peer.title}: {_brief(told[peer.name][-1])}")
    return {name: turns for name, turns in told.items() if name not in missing}, missing


def _brief(turn: Turn) -> str:
    return ", ".join(f"{case} {_median(turn, case):,.0f} clients/s" for case in CASES)


def _median(turn: Turn, case: str) -> float:
    return statistics.median(turn["cases"][case]["clients_per_second"])


def table(case: str, peers: list[Peer], told: dict[str, list[Turn]], missing: dict[str, str]) -> str:
    lines = ["| | clients/s a core | spfedrec ÷ it | first cohort, s |", "|---|---|---|---|"]
    for peer in peers:
        if peer.name in missing:
            lines.append(f"| {peer.title} | {missing[peer.name].replace('|', ' ')} | | |")
            continue
        turns = told[peer.name]
        speeds = [speed for turn in turns for speed in turn["cases"][case]["clients_per_second"]]
        first = statistics.median(turn["cases"][case]["first_seconds"] for turn in turns)
        ratio = "" if peer.name == OURS or OURS not in told else _ratio(case, told[OURS], turns)
        lines.append(f"| {peer.title} | {spread(speeds, ',.0f')} | {ratio} | {first:.2f} |")
    return "\n".join(lines)


def _ratio(case: str, ours: list[Turn], theirs: list[Turn]) -> str:
    ratios = [_median(one, case) / _median(other, case) for one, other in zip(ours, theirs, strict=True)]
    return spread(ratios, ".2f" if min(ratios) < 10 else ",.0f")


def notes(peers: list[Peer], told: dict[str, list[Turn]]) -> str:
    """What each peer does, and its versions."""
    lines = []
    for peer in peers:
        versions = told[peer.name][0]["versions"] if peer.name in told else {}
        listed = ", ".join(f"{package} {number}" for package, number in versions.items())
        lines.append(f"- {peer.title}{f' ({listed})' if listed else ''}: {peer.remark}.")
    return "\n".join(lines)


def report(peers: list[Peer], turns: int, clients: int) -> tuple[str, dict[str, str]]:
    """The tables; and of the peers that told nothing, why."""
    told, missing = in_turn(peers, turns, clients)
    heading = f"{machine()}; `python benchmarks/compare.py --turns {turns}`, {clients:,} clients."
    meaning = (
        "Everything a peer starts runs on one core, its server and workers included. "
        "Medians, smallest and largest in brackets: of all cohorts timed, and of the ratios of each turn's medians. "
        "The first cohort of a process, which compiles where there is something to compile, stands apart."
    )
    parts = [heading, meaning]
    for case, title in CASES.items():
        parts += [f"**{title}**", table(case, peers, told, missing)]
    return "\n\n".join([*parts, notes(peers, told)]), missing


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS))
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    names = asked.peers.split(",")
    if unknown := set(names) - {peer.name for peer in PEERS}:
        sys.exit(f"There is no peer {', '.join(sorted(unknown))}: they are {', '.join(peer.name for peer in PEERS)}")
    text, missing = report([peer for peer in PEERS if peer.name in names], asked.turns, asked.clients)
    sys.stdout.write(text + "\n")
    if missing:
        sys.exit(f"{len(missing)} of {len(names)} sides told nothing, so that {DOCUMENT.name} is left as it is")
    if asked.write:
        write_section(DOCUMENT, "engine", text)


if __name__ == "__main__":
    main()
