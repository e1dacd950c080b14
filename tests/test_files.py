"""Files that are whole or not there, whatever stands in their place and however full the disk is."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.files import Damaged


def test_a_seal_is_that_of_the_values_whatever_their_order(tmp_path: Path) -> None:
    assert files.seal({10: 0, 9: 0}) == files.seal({"9": 0, "10": 0})  # type: ignore[dict-item]
    sealed = files.sealed({"b": 1, "a": [2.5, None]})
    assert files.unsealed({"a": [2.5, None], **sealed}, tmp_path) == {"b": 1, "a": [2.5, None]}
    for other in ({**sealed, "b": 2}, {**sealed, "c": 2}, {"b": 1, "a": [2.5, None]}, {**sealed, "sha256": "0"}):
        with pytest.raises(Damaged, match="was changed"):
            files.unsealed(other, tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=lambda content: str(content[:4]))
def test_what_is_no_object(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(Damaged, match="no JSON object"):
        files.read_json(tmp_path / "x.json")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("/dev/zero")])
def test_what_is_no_file_is_neither_read_nor_appended_to(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises(InputError, match="A file is awaited"):
        files.read_json(tmp_path / "x")
    with pytest.raises(InputError, match="A file is awaited"):
        files.append(tmp_path / "x", "line")


def test_no_link_is_followed_on_writing(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    for name in ("x", f"x.{os.getpid()}.part"):
        (tmp_path / name).symlink_to(other)
    files.write_text(tmp_path / "x", "new")
    assert (other.read_text(), (tmp_path / "x").read_text()) == ("mine", "new")
    (tmp_path / "y").symlink_to(other)
    with pytest.raises(InputError):
        files.append(tmp_path / "y", "line")
    assert other.read_text() == "mine"


def test_what_dead_processes_began_to_write_goes(tmp_path: Path) -> None:
    """And neither what a living one writes, nor what is another file's."""
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    kept = [f"x.{os.getppid()}.part", f"xx.{dead.pid}.part", "x.old.part"]
    for name in (f"x.{dead.pid}.part", "x.99999999999999999999.part", *kept):
        (tmp_path / name).touch()
    files.write_text(tmp_path / "x", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["x", *kept])


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError), files.beside(tmp_path / "x") as part:
        part.write_text(str(1 / 0))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("I/O error: … (os error 28)")])
def test_a_full_disk_says_how_much_room_is_needed(tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(SpfedrecError, match=r"disk is full: about 3\.0 MB are needed, and [\d,.]+ MB are free"),
        files.beside(tmp_path / "x", 3_000_000),
    ):
        raise error


def test_a_training_on_a_full_disk_says_so(sample_dataset: Dataset, tmp_path: Path) -> None:
    """No file may grow beyond 8 kB, so that config.toml can be written and no checkpoint."""
    words = [
        sys.executable,
        "-m",
        "spfedrec_cli",
        "train",
        str(sample_dataset.path),
        "--preset",
        "sample",
        "--name",
        "x",
    ]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    assert done.returncode == 1, done.stderr
    told = done.stderr.splitlines()[-1]
    assert "The disk is full: about" in told
    assert "`spfedrec train --resume runs/x`" in told
    assert not list(tmp_path.rglob("*.part"))
    assert json.loads((tmp_path / "runs" / "x" / "run.json").read_text())["layout"] == 2
