"""One writer a folder, whatever stands where the lock goes and whoever died with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spfedrec_cli import locks
from spfedrec_cli.errors import InputError
from spfedrec_cli.locks import Locked, lock_file, locked

HOLD = """
import sys, time
from pathlib import Path
from spfedrec_cli.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_with_the_name_of_the_first_and_a_dead_one_is_none(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(Locked, match=rf"Process {first.pid} \(.*\) is writing"), locked(tmp_path / "run", 0.2):
            pass
        first.kill()
        first.wait()
        assert lock_file(tmp_path / "run").exists()
        with locked(tmp_path / "run"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_gets_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = locked(tmp_path / "run")
    first.__enter__()
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: first.__exit__(None, None, None))
    with locked(tmp_path / "run", 5):
        assert lock_file(tmp_path / "run").exists()


def test_what_stands_in_the_file_stays(tmp_path: Path) -> None:
    """A file of that name may be somebody's own."""
    file = lock_file(tmp_path / "run")
    file.write_text("a letter to my mother\n")
    with locked(tmp_path / "run"):
        assert file.read_text() == "a letter to my mother\n"
        with pytest.raises(Locked, match="Another process is writing"), locked(tmp_path / "run"):
            pass


@pytest.mark.parametrize("kind", ["link", "folder", "FIFO"])
def test_what_is_no_file_is_not_locked(tmp_path: Path, kind: str) -> None:
    file, other = lock_file(tmp_path / "run"), tmp_path / "other"
    other.write_text("mine")
    {"link": lambda: file.symlink_to(other), "folder": file.mkdir, "FIFO": lambda: os.mkfifo(file)}[kind]()
    with pytest.raises(InputError, match="no file stands where the lock goes"), locked(tmp_path / "run"):
        pass
    assert other.read_text() == "mine"
