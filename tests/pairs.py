"""Two commands at once, in every pairing: it must come to what one after the other would have come to.

    python tests/pairs.py --moments 2 --seed 0

The first is stopped at one of its steps (tests/traced.py), the second runs to its end, and the first goes on. Each may
be refused in a sentence; it has then changed nothing. Any answer and all that is left must be those of the two in
either order, or of the one that was not refused.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import kills
from kills import MODES, SHOP, SHORT, SIZE, SMALL, content_of, fingerprint_of, names_in
from safetensors.torch import load_file
from traced import Ended, Traced, available, run
from typer.testing import CliRunner

from spfedrec_cli import engine
from spfedrec_cli import run as runs
from spfedrec_cli.cli.app import app
from spfedrec_cli.engine import team

SETTINGS = [word for setting in (*SMALL, *SHORT, *MODES["embedding"]) for word in ("--set", setting)]
OTHER_DATA = ["prepare", "--source", "synthetic", *SIZE, "--seed", "1"]
COMMANDS: dict[str, list[str]] = {
    "train": ["train", "shop", "--name", "new", *SETTINGS],
    "train by two": ["train", "shop", "--name", "new", *SETTINGS, "--workers", "2"],
    "train another": ["train", "shop", "--name", "other", *SETTINGS],
    "resume": ["train", "--resume", "x", "--set", "train.rounds=5"],
    "resume what is new": ["train", "--resume", "new"],
    "evaluate": ["evaluate", "x"],
    "recommend": ["recommend", "x", "--history", "{article}"],
    "recommend to all": ["recommend", "x", "--all", "--output", "lists.csv"],
    "export": ["export", "x", "--output", "exported"],
    "doctor": ["doctor", "x"],
    "doctor --repair": ["doctor", "x", "--repair"],
    "runs": ["runs"],
    "describe": ["describe", "shop"],
    "prepare": [*OTHER_DATA, "--output", "datasets/new"],
    "prepare over": [*OTHER_DATA, "--output", str(SHOP)],
}
READERS = ("recommend", "doctor", "runs", "describe")
WRITERS = [name for name in COMMANDS if name not in (*READERS, "resume what is new")]  # there is nothing new yet
MIDWAY = ["train", "--resume", "x", "--set", "train.rounds=4"]  # what may be seen of a resume
UNLIKE = {*kills.UNLIKE, "started", "notes", "findings", "date"}
KEPT = "These results are not kept"
REFUSED = "refused"


@dataclass
class Place:
    """Where they run, and what each comes to alone and after each other."""

    path: Path
    said: dict[tuple[str, ...], Any] = field(default_factory=dict)
    left: dict[tuple[str, ...], Any] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    def words(self, name: str) -> list[str]:
        words = MIDWAY if name == "midway" else COMMANDS[name]
        return [*(word.format(article=self.article) for word in words), "--json", "--quiet"]

    @cached_property
    def article(self) -> str:
        return (
            engine.recommend(self.path / "runs/x", [self.customer], k=1, dataset=self.path / SHOP)[0]
            .items[0]
            .article_id
        )

    @cached_property
    def customer(self) -> str:
        return str(run(self.path, ["describe", "shop", "--json"]).said["example_client"])

    def after(self, *names: str) -> tuple[Any, Any]:
        """What the last of these says when they run one after the other, and what is left then."""
        if names not in self.said:
            with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
                copy = Path(folder) / "place"
                shutil.copytree(self.path, copy)
                for name in names:
                    ended = run(copy, self.words(name), kills.PATIENCE)
                self.said[names], self.left[names] = answer(ended), left(copy)
        return self.said[names], self.left[names]

    def steps_of(self, name: str) -> int:
        """How many steps it has alone."""
        if name not in self.steps:
            with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
                copy = Path(folder) / "place"
                shutil.copytree(self.path, copy)
                tried = Traced(copy, self.words(name), kills.PATIENCE)
                tried.ended()
                self.steps[name] = len(tried.steps)
        return self.steps[name]


def prepared(path: Path) -> Place:
    """A shop, and a run of three rounds whose last line was cut short."""
    kills.prepared(path)
    with chdir(path):  # so that the children of this process have no loop to load
        for words in (
            ["train", "shop", "--name", "x", *SETTINGS],
            ["evaluate", "x"],
            ["recommend", "x", "--all", "--output", "y.csv"],
        ):
            made = CliRunner().invoke(app, words)
            assert made.exit_code == 0, made.stderr
    for file in (path / "y.csv", path / "runs/x/evaluation.json", *path.glob("runs/x/evaluation-*")):
        file.unlink()
    with open(path / "runs/x/metrics.jsonl", "a") as stream:
        stream.write('{"round": 4, "los')
    return Place(path)


def answer(ended: Ended) -> Any:
    """What a command said, without what is measured; REFUSED where it said so in a sentence. AssertionError where it
    did something that no command may do."""
    for word in ("Traceback", "Internal error"):
        assert word not in ended.talk, ended.talk
    assert ended.code in (0, 1, 2), (ended.code, ended.talk)
    if ended.code and not ended.out.strip():
        assert "Error: " in ended.talk, ended
        return REFUSED
    said = _timeless(ended.said)
    if "runs" in said:  # how far each is depends on the moment
        return [(told["run"], told["dataset"], told["seed"]) for told in said["runs"]]
    return said


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in UNLIKE}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def left(place: Path) -> dict[str, Any]:
    """All that is there: of runs the content and what doctor finds, of Datasets the fingerprint, of evaluations the
    figures, of other files the hash."""
    found: dict[str, Any] = {str(SHOP): fingerprint_of(place / SHOP), "new": fingerprint_of(place / "datasets/new")}
    for folder in place.glob("runs/*"):
        found[str(folder.relative_to(place))] = (
            *content_of(folder).values(),
            sorted(name for name in names_in(folder)),
            [str(finding.problem) for finding in engine.examine(folder).findings],
            _evaluations(folder / "evaluation.json"),
        )
    for file in (place / "lists.csv", *place.glob("exported/*")):
        if file.exists():
            tensors = file.suffix == ".safetensors"  # whose header has no order
            found[file.name] = (
                runs.digest(load_file(file)) if tensors else hashlib.sha256(file.read_bytes()).hexdigest()
            )
    found["names"] = sorted(name for name in names_in(place) if not name.startswith("runs/"))
    return found


def _evaluations(file: Path) -> Any:
    return {name: entry["metrics"] for name, entry in json.loads(file.read_text()).items()} if file.exists() else None


def outcome(place: Place, first: str, second: str, step: int) -> str:
    """ "both", "first" or "second" where all is well, by who was not refused; else what is wrong."""
    with tempfile.TemporaryDirectory(dir=place.path.parent) as folder:
        copy = Path(folder) / "place"
        shutil.copytree(place.path, copy)
        stopped = Traced(copy, place.words(first), kills.PATIENCE)
        stopped.run_to(step)
        try:
            two = run(copy, place.words(second), kills.PATIENCE)
            one = stopped.ended()
            answers = answer(one), answer(two)
        except AssertionError as error:
            return str(error)
        return judged(place, (first, second), answers, left(copy), KEPT in one.out + two.out)


def judged(place: Place, names: tuple[str, str], answers: tuple[Any, Any], found: dict[str, Any], unkept: bool) -> str:
    first, second = names
    alone = place.after(first)[0], place.after(second)[0]
    for name, other, said in ((first, second, answers[0]), (second, first, answers[1])):
        midway = [place.after("midway", name)[0]] if other == "resume" else []
        if said not in (REFUSED, place.after(name)[0], place.after(other, name)[0], *midway):
            return f"{name} said {str(said)[:300]}"
    done = [name for name, said in zip(names, answers, strict=True) if said != REFUSED]
    if not done and REFUSED not in alone:
        return "both are refused"
    orders = [(*done,), (*reversed(done),)]
    if unkept:
        orders += [(name,) for name in done]
    if "resume" in names:  # its other may have met it half-way
        orders += [("midway", name, "resume") for name in done if name != "resume"]
    for name, said in zip(names, answers, strict=True):
        if said == REFUSED and name.startswith(("train", "resume")):  # it may have come some rounds far
            found = _without(found, name)
    wanted = [place.after(*order)[1] if order else left(place.path) for order in orders]
    if not any(_agree(found, one) for one in wanted):
        return f"left otherwise: {_difference(found, wanted[0])}"
    return "both" if len(done) == 2 else "first" if done == [first] else "second" if done else "neither"


def _without(found: dict[str, Any], name: str) -> dict[str, Any]:
    folder = {"resume": "runs/x", "train another": "runs/other"}.get(name, "runs/new")
    return {key: value for key, value in found.items() if key != folder and key != "names"}


def _agree(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(wanted.get(key) == value for key, value in found.items())


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return str({key: (value, wanted.get(key)) for key, value in found.items() if wanted.get(key) != value})[:600]


def pairings() -> Iterator[tuple[str, str]]:
    """Every command that writes is stopped, and every command runs meanwhile."""
    yield from ((first, second) for first in WRITERS for second in COMMANDS)


def drawn(place: Place, first: str, count: int, draw: random.Random) -> list[int]:
    steps = place.steps_of(first)
    return draw.sample(range(steps), min(count, steps))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=2, help="of every pairing")
    parser.add_argument("--only", default="", help="pairings whose first command is this")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    if not available():
        sys.exit("To stop a command at a step needs ptrace, which this machine does not allow (Linux on x86-64 does).")
    team.launch = kills.Forked
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        place = prepared(Path(folder).resolve() / "place")
        for first, second in pairings():
            if said.only not in ("", first):
                continue
            draw, found = random.Random(f"{said.seed} {first} {second}"), counts.setdefault(first, Counter())
            for step in drawn(place, first, said.moments, draw):
                told = outcome(place, first, second, step)
                found[told if told in GOOD else "wrong"] += 1
                if told not in GOOD:
                    sys.stderr.write(f"{first}, {second}, step {step}: {told}\n")
    sys.stdout.write(table(counts))
    sys.exit(any(found["wrong"] for found in counts.values()))


GOOD = ("both", "first", "second", "neither")


def table(counts: dict[str, Counter[str]]) -> str:
    lines = ["| first | moments | both | the first alone | the second alone | neither | wrong |", "|---" * 7 + "|"]
    for first, found in {**counts, "all": sum(counts.values(), Counter())}.items():
        numbers = " | ".join(f"{found[kind]:,}" for kind in (*GOOD, "wrong"))
        lines.append(f"| {first} | {found.total():,} | {numbers} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
