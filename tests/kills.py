"""Every command that writes is killed at every step that changes a file, and run again: what does it come to?

    python tests/kills.py --moments 40 --seed 0

A step is a call to the system (tests/traced.py): to open, write, cut, lock, rename or remove a file, or to bring it to
disk. A write is also cut in its midst. Instead of SIGKILL some moments get SIGTERM, SIGHUP or SIGINT, and some
trainings are killed a second time while they are resumed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from traced import Ended, Traced, available, run
from typer.testing import CliRunner

from spfedrec_cli import engine, worker
from spfedrec_cli import run as runs
from spfedrec_cli.cli.app import app
from spfedrec_cli.engine import team

SIZE = ("--customers", "60", "--items", "40")
SMALL = ("model.dim=4", "model.field_dim=2", "model.hidden=[4]", "client.pool_size=16", "federated.cohort_size=20")
SHORT = ("train.rounds=3", "train.eval_every=2", "train.checkpoint_every=1", "train.threads=1")
RING = ("federated.aggregation=ring", "federated.chain_length=3", "federated.dropout=0.1", "federated.cohort_size=48")
SLATE = ("request.mode=slate", "request.slate_size=20", "request.refresh=2")
MODES: dict[str, tuple[str, ...]] = {
    "paper": ("client.negatives=request",),
    "slate": SLATE,
    "catalogue": ("request.mode=catalogue", "request.refresh=1"),
    "ring": RING,
    "ring of slates": (*SLATE, *RING),
    "embedding": ("client.private_state=embedding", "train.checkpoint_every=2"),
    "tower": ("client.private_state=tower", "train.keep=1"),
    "prior": ("model.prior=0.7", "request.prior_half_life=14"),
    "Poisson": ("federated.sampling=poisson", "request.redraw=true"),
    "one device at a time": ("train.engine=reference",),
    "full": ("federated.strategy=full",),
    "central": ("federated.strategy=central",),
}
WORKERS = (1, 2)
GENTLE = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
PATIENCE = 120.0
SHOP, RUN = Path("datasets/shop"), Path("runs/x")
UNLIKE = ("memory", "seconds", "validation_seconds", "clients_per_second")
GOOD = "as unbroken"

TABLE = "who,what,when\n" + "".join(f"c{n % 7},i{n % 5},2024-01-{1 + n % 28:02}\n" for n in range(60))
RATINGS = "".join(f"{n % 6 + 1}\t{n // 6 + 1}\t4\t{880000000 + 86400 * n}\n" for n in range(48))
SOURCES: dict[str, list[str]] = {
    "sample": ["--source", "sample"],
    "synthetic": ["--source", "synthetic", *SIZE, "--seed", "1"],
    "table": ["--source", "table", "--input", "table.csv", "--columns", "customer=who,item=what,time=when"],
    "movielens": ["--source", "movielens", "--input", "ml"],
    "hm": ["--source", "hm", "--input", "hm"],
    "hm, packed": ["--source", "hm", "--input", "hm.zip"],
}


@dataclass(frozen=True)
class Moment:
    """The step at which a command is ended, and how. `half`: in the midst of its write; `again`: its successor too."""

    step: int
    number: signal.Signals = signal.SIGKILL
    half: bool = False
    again: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A command to be ended. `again` is what goes on from there; `judge` says what is wrong in the end, if anything,
    and `between` what is wrong before that."""

    name: str
    words: list[str]
    again: Callable[[Path], list[str]]
    between: Callable[[Path], str]
    judge: Callable[[Path, Ended], str]


def prepared(place: Path) -> Path:
    """A shop."""
    place.mkdir(parents=True)
    words = ["prepare", "--source", "synthetic", "--output", str(SHOP), *SIZE]
    assert (ended := run(place, words, PATIENCE)).code == 0, ended
    return place


def with_sources(place: Path) -> Path:
    """Raw files of every source, beside the shop."""
    (place / "table.csv").write_text(TABLE)
    (place / "ml").mkdir()
    (place / "ml" / "u.data").write_text(RATINGS)
    words = ["prepare", "--source", "synthetic", "--as", "csv", "--output", "hm", *SIZE]
    assert (ended := run(place, words, PATIENCE)).code == 0, ended
    shutil.make_archive(str(place / "hm"), "zip", place / "hm")
    return place


def trainings(place: Path, workers: int, modes: Mapping[str, Sequence[str]] = MODES) -> Iterator[Subject]:
    """Each is trained once in this process, whose children have then no loop to load."""
    for name, more in modes.items():
        settings = (*SMALL, *SHORT, *more, f"train.workers={workers}")
        words = ["train", "shop", "--name", "x", "--quiet", "--json"]
        words += [word for setting in settings for word in ("--set", setting)]
        with chdir(place):
            unbroken = CliRunner().invoke(app, words)
        assert unbroken.exit_code == 0, unbroken.stderr
        judge = partial(_judge_run, json.loads(unbroken.stdout), content_of(place / RUN), names_in(place))
        shutil.rmtree(place / "runs")
        yield Subject(
            f"{name}, {workers} worker{'s' * (workers > 1)}", words, partial(_go_on, words), _is_mendable, judge
        )


def _go_on(words: list[str], place: Path) -> list[str]:
    return ["train", "--resume", "x", "--quiet", "--json"] if (place / RUN).exists() else words


def _is_mendable(place: Path) -> str:
    """Half a line, at most."""
    if not (place / RUN).exists():
        return ""
    findings = engine.examine(place / RUN).findings
    return "; ".join(f"{one.problem} ({one.where})" for one in findings if one.mend is None)


def _judge_run(unbroken: dict[str, Any], content: dict[str, Any], names: set[str], place: Path, ended: Ended) -> str:
    if ended.code:
        return f"exit {ended.code}: {ended.talk[-300:]}"
    if ended.said["state_sha256"] != unbroken["state_sha256"]:
        return "other bits"
    if {key: value for key, value in ended.said.items() if key not in UNLIKE} != {
        key: value for key, value in unbroken.items() if key not in UNLIKE
    }:
        return f"other words: {ended.said}"
    if content_of(place / RUN) != content:
        return "other lines"
    if findings := engine.examine(place / RUN).findings:
        return f"damage: {findings}"
    return _left(place, names)


def content_of(folder: Path) -> dict[str, Any]:
    """Lines without what is measured, and the digests of all checkpoints."""
    lines = {
        name: [{key: value for key, value in line.items() if key not in UNLIKE} for line in runs.records(folder / name)]
        for name in ("metrics.jsonl", "ledger.jsonl")
    }
    return {**lines, "tensors": {one: runs.load_manifest(folder, one)["tensors"] for one in runs.rounds(folder)}}


def names_in(place: Path) -> set[str]:
    return {str(file.relative_to(place)) for file in place.rglob("*")}


def _left(place: Path, names: set[str]) -> str:
    found = names_in(place)
    return "" if found == names else f"left: {sorted(found - names)}, missing: {sorted(names - found)}"


def preparations(place: Path) -> Iterator[Subject]:
    """Of every source, where nothing is and where another Dataset is."""
    for name, source in SOURCES.items():
        for over in (False, True):
            output = SHOP if over else Path("datasets/new")
            words = ["prepare", *source, "--output", str(output), "--quiet", "--json"]
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                copy = Path(folder) / "place"
                shutil.copytree(place, copy)
                assert (ended := run(copy, words)).code == 0, ended
                made, names = fingerprint_of(copy / output), names_in(copy)
            known = {made, fingerprint_of(place / output)}
            told = f"prepare {name}" + " over another" * over
            yield Subject(
                told,
                words,
                partial(_same, words),
                partial(_is_one, output, known),
                partial(_judge_dataset, output, made, names),
            )


def _same(words: list[str], place: Path) -> list[str]:
    return words


def fingerprint_of(folder: Path) -> str:
    return json.loads((folder / "dataset.json").read_text())["sha256"] if folder.exists() else ""


def _is_one(output: Path, known: set[str], place: Path) -> str:
    """The Dataset before, the one after, or none where none was."""
    if fingerprint_of(place / output) not in known:
        return "half a Dataset"
    return str(engine.examine(place / output).findings or "") if (place / output).exists() else ""


def _judge_dataset(output: Path, made: str, names: set[str], place: Path, ended: Ended) -> str:
    if ended.code:
        return f"exit {ended.code}: {ended.talk[-300:]}"
    if fingerprint_of(place / output) != made:
        return "another Dataset"
    return _is_one(output, {made}, place) or _left(place, names)


WRITERS: dict[str, list[str]] = {
    "evaluate": ["evaluate", "x", "--baselines"],
    "recommend": ["recommend", "x", "--all", "--output", "lists.csv", "--force"],
    "export": ["export", "x", "--output", "exported"],
    "doctor --repair": ["doctor", "x", "--repair"],
}


def writers(place: Path) -> Iterator[Subject]:
    """Commands on a finished run whose last checkpoint is damaged, which one of them mends."""
    train = next(trainings(place, 1, {"embedding": MODES["embedding"]})).words
    assert (ended := run(place, train)).code == 0, ended
    last = place / RUN / "checkpoints" / "round-000003.safetensors"
    last.write_bytes(last.read_bytes()[:-1] + b"?")
    for name, command in WRITERS.items():
        words = [*command, "--quiet", "--json"]
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            copy = Path(folder) / "place"
            shutil.copytree(place, copy)
            unbroken, names = run(copy, words), names_in(copy)
        yield Subject(name, words, partial(_same, words), lambda place: "", partial(_judge_words, unbroken, names))
    shutil.rmtree(place / "runs")


def _judge_words(unbroken: Ended, names: set[str], place: Path, ended: Ended) -> str:
    if ended.code not in (0, unbroken.code) and "already exists" not in ended.talk:  # it was done when it was ended
        return f"exit {ended.code}: {ended.talk[-300:]}"
    if ended.code == unbroken.code and "findings" not in unbroken.out and ended.out != unbroken.out:
        return f"other words: {ended.out[-300:]}"
    return _left(place, names)


def moments(place: Path, subject: Subject, count: int, draw: random.Random) -> list[Moment]:
    """All, or so many drawn: every step by SIGKILL, before it and, of a write, in its midst; some by other signals,
    some twice."""
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        copy = Path(folder) / "place"
        shutil.copytree(place, copy)
        tried = Traced(copy, subject.words, PATIENCE)
        assert (ended := tried.ended()).code is not None, ended
    every = range(len(tried.steps))
    found = [Moment(step) for step in every]
    found += [Moment(step, half=True) for step in every if tried.steps[step].can_be_halved]
    found += [Moment(step, GENTLE[step % len(GENTLE)]) for step in every]
    found += [Moment(step, again=draw.random()) for step in every[::4]]
    return found if not 0 < count < len(found) else draw.sample(found, count)


def outcome(place: Path, subject: Subject, moment: Moment) -> str:
    """What is wrong after a command was ended then and its successor ran, in a copy of the place; GOOD where nothing
    is."""
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        copy = Path(folder) / "place"
        shutil.copytree(place, copy)
        code = _end(copy, subject.words, moment)
        if code not in (0, 1, 128 + moment.number, -moment.number):
            return f"exit {code} after {moment.number.name}"
        if wrong := subject.between(copy):
            return f"in between: {wrong}"
        if moment.again:
            _end(copy, subject.again(copy), Moment(int(60 * moment.again)))
        ended = run(copy, subject.again(copy), PATIENCE)
        if "Traceback" in ended.talk or "Internal error" in ended.talk:
            return f"internal error: {ended.talk[-500:]}"
        return subject.judge(copy, ended) or GOOD


def _end(place: Path, words: list[str], moment: Moment) -> int | None:
    started = Traced(place, words, PATIENCE)
    if started.run_to(moment.step, moment.half):
        started.end(moment.number)
    ended = started.ended()
    assert "Traceback" not in ended.talk, ended.talk
    assert "Internal error" not in ended.talk, ended.talk
    return ended.code


class Forked:
    """A worker that has loaded everything already, as this process has."""

    def __init__(self, words: list[str], stderr: IO[str], **unused: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, where there are threads
            self.pid, self._status = os.fork(), None
        if self.pid == 0:
            try:
                os.setsid()
                os.dup2(stderr.fileno(), 2)
                os.closerange(3, 4096)  # as Popen does: the lock is not this one's
                worker.main(*words[3:])
            finally:
                os._exit(0)

    def poll(self) -> int | None:
        return self._status

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status


GROUPS: dict[str, Callable[[Path], Iterator[Subject]]] = {
    "one": partial(trainings, workers=1),
    "two": partial(trainings, workers=2),
    "prepare": preparations,
    "others": writers,
}


def wrong(place: Path, subject: Subject, count: int, seed: int = 0) -> list[str]:
    """What came of so many moments otherwise than if nothing had ended it."""
    drawn = moments(place, subject, count, random.Random(f"{seed} {subject.name}"))
    return [
        f"{subject.name}: {moment}: {told}" for moment in drawn if (told := outcome(place, subject, moment)) != GOOD
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=40, help="of every command; 0: all")
    parser.add_argument("--group", choices=GROUPS, help="trainings by one worker or two, or what else writes")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    if not available():
        sys.exit("Killing at every step needs ptrace, which this machine does not allow (Linux on x86-64 does).")
    counts: dict[str, Counter[str]] = {}
    team.launch = Forked
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background has ignored
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        place = Path(folder).resolve() / "place"
        with_sources(prepared(place))
        chosen = [said.group] if said.group else GROUPS
        for subject in (subject for name in chosen for subject in GROUPS[name](place)):
            found = counts.setdefault(subject.name, Counter())
            for moment in moments(place, subject, said.moments, random.Random(f"{said.seed} {subject.name}")):
                told = outcome(place, subject, moment)
                found[told == GOOD] += 1
                if told != GOOD:
                    sys.stderr.write(f"{subject.name}: {moment}: {told}\n")
    sys.stdout.write(table(counts))
    sys.exit(any(found[False] for found in counts.values()))


def table(counts: dict[str, Counter[str]]) -> str:
    lines = [f"| command | moments | {GOOD} | otherwise |", "|---|---|---|---|"]
    for name, found in {**counts, "all": sum(counts.values(), Counter())}.items():
        lines.append(f"| {name} | {found.total():,} | {found[True]:,} | {found[False]:,} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
