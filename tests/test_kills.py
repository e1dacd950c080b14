"""Commands are ended at any moment, in every way, and go on: the same bits, and nothing left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import kills
import pytest
from kills import MODES, WORKERS, wrong
from torture import ask
from traced import available

from spfedrec_cli import engine
from spfedrec_cli.config import resolve, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import examine, team

SETTINGS = [
    "client.private_state=embedding",
    "train.rounds=60",
    "train.eval_every=3",
    "train.checkpoint_every=2",
    "train.threads=1",
]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LONGEST = 3.0  # seconds after which it is ended, about as long as it takes
ENTRY = "import sys; from spfedrec_cli.__main__ import main; sys.argv = ['spfedrec', *sys.argv[1:]]; main()"


def ended(place: Path, words: list[str], number: signal.Signals, seconds: float) -> int:
    """A command that gets a signal so long after it was started, and its workers."""
    with subprocess.Popen([sys.executable, "-c", ENTRY, *words], cwd=place, stderr=subprocess.PIPE, text=True) as child:
        time.sleep(seconds)
        child.send_signal(number)
        said = child.communicate(timeout=60)[1]
    assert "Traceback" not in said
    assert "Internal error" not in said
    assert not are_left(child.pid)
    return child.returncode


def are_left(parent: int) -> bool:
    """Whether workers of a process are still there 5 seconds after its end. (Told by Linux alone.)"""
    mark, until = f"spfedrec_cli.worker\0{parent}\0".encode(), time.monotonic() + 5
    while any(mark in cmdline(folder) for folder in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > until:
            return True
        time.sleep(0.1)
    return False


def cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it has just ended


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment(sample_dataset: Dataset, tmp_path: Path, workers: int) -> None:
    """Again and again until it is done; by turns by each signal."""
    config = resolve("sample", settings=[*SETTINGS, f"train.workers={workers}"])
    whole = engine.train(sample_dataset, config, tmp_path / "whole")
    (tmp_path / "config.toml").write_text(to_toml(config))
    draw, run = random.Random(workers), tmp_path / "runs" / "x"
    start = ["train", str(sample_dataset.path), "--config", "config.toml", "--name", "x", "--quiet"]
    for kill in range(int(os.environ.get("SPFEDREC_KILLS", str(len(SIGNALS))))):
        words = ["train", "--resume", "x", "--quiet"] if run.exists() else start
        number = SIGNALS[kill % len(SIGNALS)]
        code = ended(tmp_path, words, number, 1.0 + draw.random() * LONGEST)
        assert code in (0, -number, 128 + number)
        if run.exists():
            assert {finding.mend is not None for finding in examine(run).findings} <= {True}  # half a line, at most
    if not run.exists():
        assert ask(tmp_path, start).code == 0
    assert engine.resume(run).state_sha256 == whole.state_sha256
    assert examine(run).findings == ()
    assert sorted(path.name for path in run.parent.iterdir()) == ["x"]
    assert not list(run.rglob("*.part"))


traceable = pytest.mark.skipif(not available(), reason="this machine lets no process trace its child")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kills.prepared(tmp_path_factory.mktemp("kills").resolve() / "place")


@traceable
def test_a_training_killed_at_a_few_of_its_steps(place: Path) -> None:
    (subject,) = kills.trainings(place, 1, {"embedding": MODES["embedding"]})
    assert wrong(place, subject, 2) == []


@traceable
@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_killed_at_some_steps(place: Path, mode: str, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "launch", kills.Forked)
    (subject,) = kills.trainings(place, workers, {mode: MODES[mode]})
    assert wrong(place, subject, int(os.environ.get("SPFEDREC_KILLS", "2"))) == []


@traceable
@pytest.mark.slow
def test_every_other_command_that_writes_killed_at_some_steps(place: Path) -> None:
    kills.with_sources(place)
    for make in (kills.preparations, kills.writers):
        for subject in make(place):
            assert wrong(place, subject, int(os.environ.get("SPFEDREC_KILLS", "1"))) == []
