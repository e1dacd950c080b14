"""Signals to processes: what ends them, with which code, and that no worker outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset

START = [sys.executable, "-m", "spfedrec_cli"]
LOSE = """
import os, subprocess, sys, time
started = subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())], stdout=subprocess.PIPE)
print(started.pid, started.stdout.readline(), flush=True)
"""
AT_WORK = """
import sys, time
from spfedrec_cli import worker
{more}
worker.end_with(int(sys.argv[1]))
print(flush=True)
time.sleep(99)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", [0.15, 0.4, 1.2])
def test_a_command_that_is_stopped_in_its_first_moments_says_so(
    sample_dataset: Dataset, tmp_path: Path, number: signal.Signals, moment: float
) -> None:
    """From Python's own start on, where it may die by the signal itself. No traceback leads into the package."""
    words = [*START, "train", str(sample_dataset.path), "--preset", "sample", "--set", "train.rounds=9999", "--quiet"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as started:
        time.sleep(moment)
        started.send_signal(number)
        said = started.communicate(timeout=60)[1]
    own = number == signal.SIGINT and "Traceback" in said and "spfedrec_cli" not in said  # Python's, before the package
    assert own or "Traceback" not in said
    assert started.returncode in (128 + number, -number, *([1] if own else []))


@pytest.mark.parametrize("more", ["", "worker.sys.platform = 'other'"], ids=["by the kernel", "by the watch"])
def test_a_worker_ends_with_its_parent(more: str) -> None:
    script = LOSE.format(child=AT_WORK.format(more=more))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert is_gone(int(done.stdout.split()[0]))


PHASES = {"start-up": "runs", "training": "runs/x/metrics.jsonl", "validation": "validating"}
TRAIN_BY_THREE = """
import importlib, pathlib, time
def last(*unused):
    pathlib.Path("validating").touch()
    time.sleep(99)
importlib.import_module("spfedrec_cli.engine.train").validate = last
from spfedrec_cli.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are looked for in /proc")
@pytest.mark.parametrize("phase", PHASES)
def test_workers_end_with_a_training_that_is_killed(sample_dataset: Dataset, tmp_path: Path, phase: str) -> None:
    """While they import, while they train, and while they wait for the validation that one process does."""
    due = 2 if phase == "validation" else 9999
    settings = ["train.rounds=9999", "train.workers=3", f"train.eval_every={due}"]
    words = ["train", str(sample_dataset.path), "--preset", "sample", "--name", "x", "--quiet"]
    words += [word for setting in settings for word in ("--set", setting)]
    with subprocess.Popen([sys.executable, "-c", TRAIN_BY_THREE, *words], cwd=tmp_path, stderr=subprocess.PIPE) as one:
        until, found = time.monotonic() + 60, []
        while time.monotonic() < until and not ((tmp_path / PHASES[phase]).exists() and len(found) == 2):
            time.sleep(0.01)
            found = workers_of(one.pid)
        one.kill()
    assert len(found) == 2
    assert all(is_gone(worker) for worker in found)


def workers_of(parent: int) -> list[int]:
    mark = f"spfedrec_cli.worker\0{parent}\0".encode()
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if mark in cmdline(folder)]


def cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it has just ended


def test_a_worker_whose_parent_is_gone_already_ends() -> None:
    words = [sys.executable, "-m", "spfedrec_cli.worker", "1", "{}"]
    assert subprocess.run(words, capture_output=True, timeout=30, check=False).returncode != 0


def is_gone(process: int) -> bool:
    """Within 5 seconds."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{process}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # dead, and its new parent has not asked
        time.sleep(0.05)
    return False
