"""Every file of a run and a Dataset is spoilt in every way, and every command is asked what it makes of it.

    python tests/torture.py --flips 20 --seed 0

A command may answer as if nothing had happened, warn, or refuse in one sentence. It must not answer otherwise without a
word, end in an internal error, or hang. Each runs in a child of this process, which has loaded everything already.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

import spfedrec_cli.engine  # noqa: F401 (so that no child has to import it)
from spfedrec_cli.cli.app import app

PATIENCE = 60  # seconds until a command counts as hanging
COMPILING = 600  # for the first training on a machine
GOOD = ("as before", "warned", "refused")
BAD = ("silently wrong", "internal error", "hanging")
SETTINGS = ("model.dim=4", "model.field_dim=2", "model.hidden=[4]", "client.private_state=embedding")
SHORT = ("client.pool_size=16", "federated.cohort_size=20", "train.rounds=4", "train.eval_every=2", "train.threads=1")
UNLIKE = ("memory", "seconds", "clients_per_second", "started")  # what is measured, or differs between two of the same
SHOP, RUN, OTHER = Path("datasets/shop"), Path("runs/first"), Path("other")


@dataclass(frozen=True)
class Answer:
    """`code` is None where there was none in time."""

    code: int | None
    said: Any
    talk: str


@dataclass(frozen=True)
class Case:
    """One file spoilt in one way, and what one command made of it."""

    file: Path
    damage: str
    command: str
    verdict: str
    talk: str

    @property
    def kind(self) -> str:
        """The damage without its number."""
        return self.damage.rstrip(" 0123456789")


def commands(customer: str) -> dict[str, list[str]]:
    return {
        "evaluate": ["evaluate", "first"],
        "recommend": ["recommend", "first", "--customer", customer],
        "resume": ["train", "--resume", "first", "--set", "train.rounds=5"],
        "runs": ["runs"],
        "describe": ["describe", "shop"],
    }


def prepared(place: Path) -> None:
    """A shop, a run on it, and others of each to exchange files with."""
    for folder, seed in ((place, 0), (place / OTHER, 1)):
        folder.mkdir(parents=True, exist_ok=True)
        size = ("--customers", "60", "--items", "40", "--seed", str(seed))
        words = [word for setting in (*SETTINGS, *SHORT, f"train.seed={seed}") for word in ("--set", setting)]
        for command in (
            ["prepare", "--source", "synthetic", "--output", str(SHOP), *size],
            ["train", "shop", "--name", "first", *words, "--set", "train.checkpoint_every=1"],
            ["evaluate", "first"],
        ):
            answer = ask(folder, command, COMPILING)
            assert answer.code == 0, answer


def warmed(place: Path) -> None:
    """This process loads what commands load, so that its children need not: a third of the time."""
    with chdir(place):
        for words in commands(_customer(place)).values():
            CliRunner().invoke(app, [*words, "--json"])


def ask(place: Path, words: list[str], patience: float = PATIENCE) -> Answer:
    """What a command answers there, in a process of its own that ends with it."""
    with tempfile.TemporaryFile("w+") as written:
        child = os.fork()
        if child == 0:
            _answer(place, words, written)
        return _awaited(child, written, patience)


def _answer(place: Path, words: list[str], written: Any) -> None:
    try:
        os.chdir(place)
        result = CliRunner().invoke(app, [*words, "--json"])
        json.dump([result.exit_code, result.stdout, result.stderr], written)
        written.flush()
    finally:
        os._exit(0)


def _awaited(child: int, written: Any, patience: float) -> Answer:
    until = time.monotonic() + patience
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Answer(None, None, "no answer")
        time.sleep(0.005)
    written.seek(0)
    code, out, talk = json.loads(written.read() or '[1, "", "Traceback: the process died"]')
    return Answer(code, _timeless(json.loads(out)) if code == 0 and out else out, talk)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in UNLIKE}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def verdict(before: Answer, after: Answer) -> str:
    if after.code is None:
        return "hanging"
    if after.code not in (0, 1, 2) or "Internal error" in after.talk or "Traceback" in after.talk:
        return "internal error"
    if after.code:
        return "refused" if "Error: " in after.talk else "internal error"
    warned = "Warning: " in after.talk and after.talk != before.talk
    return (
        ("warned" if warned else "as before") if after.said == before.said else "warned" if warned else "silently wrong"
    )


def _flip(file: Path, other: Path, draw: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    file.write_bytes(bytes(data))


def _in_its_place(make: Callable[[Path], object]) -> Callable[[Path, Path, random.Random], None]:
    def spoil(file: Path, other: Path, draw: random.Random) -> None:
        file.unlink()
        make(file)

    return spoil


DAMAGES: dict[str, Callable[[Path, Path, random.Random], object]] = {
    "truncated": lambda file, other, draw: os.truncate(file, draw.randrange(file.stat().st_size)),
    "emptied": lambda file, other, draw: os.truncate(file, 0),
    "removed": lambda file, other, draw: file.unlink(),
    "exchanged": lambda file, other, draw: shutil.copy(other, file),
    "a folder": _in_its_place(Path.mkdir),
    "a dangling link": _in_its_place(lambda file: file.symlink_to("nowhere")),
    "a link to a device": _in_its_place(lambda file: file.symlink_to("/dev/zero")),
    "a FIFO": _in_its_place(os.mkfifo),
}


def cases(place: Path, flips: int, seed: int) -> Iterator[tuple[Path, str, Path | None]]:
    """Every file of the shop and the run, with each damage; and the file to exchange it with."""
    for folder in (SHOP, RUN):
        every = sorted(file.relative_to(place) for file in (place / folder).rglob("*") if file.is_file())
        for file in every:
            other = place / OTHER / file
            if not other.exists():  # private blocks are named by their content
                other = next((place / OTHER / file.parent).glob(f"*{file.suffix}"))
            yield from ((file, damage, other) for damage in DAMAGES)
            yield from ((file, f"a flipped bit {number}", None) for number in range(flips))


def tortured(place: Path, flips: int, seed: int, share: float = 1.0) -> Iterator[Case]:
    """What every command makes of a `share` of the cases, drawn by `seed`."""
    prepared(place)
    warmed(place)
    before = {name: ask(place, words) for name, words in commands(_customer(place)).items()}
    assert all(answer.code == 0 for answer in before.values()), before
    for file, damage, other in cases(place, flips, seed):
        draw = random.Random(f"{seed} {damage} {file.parent} {file.suffix} {file.name[:9]}")
        if draw.random() >= share:
            continue
        for name, words in commands(_customer(place)).items():
            with tempfile.TemporaryDirectory(dir=place.parent) as copy:
                for folder in (SHOP, RUN):
                    shutil.copytree(place / folder, Path(copy) / folder)
                spoil = DAMAGES.get(damage, _flip)
                spoil(Path(copy) / file, other or file, random.Random(draw.random()))
                after = ask(Path(copy), words)
            yield Case(file, damage, name, verdict(before[name], after), after.talk)


def _customer(place: Path) -> str:
    told = ask(place, ["describe", "shop"])
    return str(told.said["example_client"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flips", type=int, default=20, help="places in each file where a bit is flipped")
    parser.add_argument("--share", type=float, default=1.0, help="of the cases that are tried")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background has ignored
    counts: dict[str, Counter[str]] = {}
    of_damages: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):  # then the counts so far
        for case in tortured(Path(folder) / "place", said.flips, said.seed, said.share):
            counts.setdefault(case.command, Counter())[case.verdict] += 1
            of_damages.setdefault(case.kind, Counter())[case.verdict] += 1
            if case.verdict in BAD:
                sys.stderr.write(f"{case.verdict}: {case.command}, {case.file}, {case.damage}: {case.talk[-300:]}\n")
    sys.stdout.write(table("command", counts) + "\n" + table("damage", of_damages))
    sys.exit(any(found[bad] for found in counts.values() for bad in BAD))


def table(what: str, counts: dict[str, Counter[str]]) -> str:
    lines = [f"| {what} | commands | {' | '.join((*GOOD, *BAD))} |", "|---" * (2 + len(GOOD + BAD)) + "|"]
    counts = {**counts, "all": sum(counts.values(), Counter())}
    for command, found in counts.items():
        numbers = [f"{found[kind]:,}" for kind in (*GOOD, *BAD)]
        lines.append(f"| {command} | {found.total():,} | {' | '.join(numbers)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
