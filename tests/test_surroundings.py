"""Full disks, folders that cannot be written to, and a clock that goes back: a sentence, and nothing lost."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kills
import pytest
from kills import MODES, SHORT, SIZE, SMALL
from surroundings import apart, larger_disk, read_only, small_disk
from traced import Ended, run

from spfedrec_cli.data import hashes
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError

SETTINGS = [word for setting in (*SMALL, *SHORT, *MODES["embedding"]) for word in ("--set", setting)]
TRAIN = ["train", "shop", "--name", "x", *SETTINGS, "--quiet", "--json"]
RESUME = ["train", "--resume", "x", "--quiet", "--json"]
PREPARE = ["prepare", "--source", "synthetic", *SIZE, "--seed", "1", "--output", "datasets/new", "--quiet", "--json"]
PAGE = 4096
PLENTY = 64 << 20
WRITERS = {
    "train": ["train", "shop", "--name", "y", *SETTINGS],
    "resume": ["train", "--resume", "x", "--set", "train.rounds=5"],
    "prepare": PREPARE,
    "prepare over": [*PREPARE[:-4], "--output", "datasets/shop"],
    "export": ["export", "x", "--output", "runs/exported"],
    "recommend to all": ["recommend", "x", "--all", "--output", "runs/lists.csv"],
    "doctor --repair": ["doctor", "x", "--repair"],
}
READERS = {
    "evaluate": ["evaluate", "x", "--json"],
    "recommend": ["recommend", "x", "--history", "{article}", "--json"],
    "runs": ["runs", "--json"],
    "describe": ["describe", "shop", "--json"],
    "doctor": ["doctor", "x", "--json"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop."""
    return kills.prepared(tmp_path_factory.mktemp("surroundings").resolve() / "place")


@pytest.fixture(scope="module")
def unbroken(place: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a training comes to where nothing hinders it."""
    copy = tmp_path_factory.mktemp("unbroken") / "place"
    shutil.copytree(place, copy)
    return str(said(run(copy, TRAIN))["state_sha256"])


@pytest.fixture(scope="module")
def trained(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("trained").resolve() / "place"
    shutil.copytree(place, copy)
    said(run(copy, TRAIN))
    return copy


def said(ended: Ended) -> Any:
    assert ended.code == 0, ended
    return ended.said


def in_a_sentence(ended: Ended) -> str:
    """What a command said that could not do its work."""
    assert ended.code in (1, 2), ended
    assert "Traceback" not in ended.talk
    assert "Internal error" not in ended.talk
    assert "Error: " in ended.talk.splitlines()[-1]
    return ended.talk


def or_skip(work: Callable[[], Any]) -> Any:
    try:
        return apart(work)
    except OSError as error:
        pytest.skip(f"this system lets nobody mount anything: {error}")


def left(folder: Path) -> list[str]:
    """What only killed commands may leave."""
    return [str(file) for file in folder.rglob("*") if file.name.startswith(".") or file.name.endswith(".part")]


def on_a_full_disk(place: Path, pages: int) -> str:
    """A training, and where the disk was too small, its successor once there is room; the hash that it comes to."""
    small_disk(place / "runs", pages * PAGE)
    first = run(place, TRAIN)
    if first.code:
        assert "The disk is full" in in_a_sentence(first), first.talk
        assert left(place / "runs") == []
    larger_disk(place / "runs", PLENTY)
    return str(said(run(place, RESUME if (place / "runs/x").exists() else TRAIN))["state_sha256"])


@pytest.mark.parametrize(
    "pages", [pytest.param(pages, marks=() if pages == 8 else pytest.mark.slow) for pages in range(2, 30, 3)]
)
def test_a_training_on_a_full_disk_goes_on_once_there_is_room(place: Path, unbroken: str, pages: int) -> None:
    assert or_skip(lambda: on_a_full_disk(place, pages)) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("pages", [1, 3, 6, 9, 12, 15, 18])
def test_a_dataset_on_a_full_disk_is_whole_or_not_there(place: Path, pages: int) -> None:
    def work() -> list[Any]:
        small_disk(place / "disk", pages * PAGE)
        ended = run(place, [*PREPARE[:-4], "--output", "disk/new"])
        if ended.code:
            assert "The disk is full" in in_a_sentence(ended), ended.talk
        else:
            Dataset.open(place / "disk/new")
        return [ended.code, left(place / "disk"), (place / "disk/new").exists()]

    code, remains, is_there = or_skip(work)
    assert (remains, is_there) == ([], code == 0)


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name == "train" else pytest.mark.slow) for name in WRITERS]
)
def test_what_cannot_be_written_is_said(trained: Path, command: str) -> None:
    def work() -> str:
        for folder in ("runs", "datasets"):
            read_only(trained / folder)
        return in_a_sentence(run(trained, WRITERS[command]))

    assert "Read-only file system" in or_skip(work)


@pytest.mark.slow
@pytest.mark.parametrize("command", READERS)
def test_what_can_be_read_is_answered_from_a_folder_that_cannot_be_written_to(trained: Path, command: str) -> None:
    article = run(trained, ["recommend", "x", "--customer", example(trained), "--json"]).said["customers"][0]["items"][
        0
    ]
    words = [word.format(article=article["article_id"]) for word in READERS[command]]

    def work() -> list[Any]:
        for folder in ("runs", "datasets"):
            read_only(trained / folder)
        ended = run(trained, words)
        return [ended.code, ended.out, ended.talk]

    code, out, talk = or_skip(work)
    assert code == 0, talk
    assert out.strip()
    if command == "evaluate":
        assert "not kept" in out + talk


def example(place: Path) -> str:
    return str(said(run(place, ["describe", "shop", "--json"]))["example_client"])


def test_a_training_goes_on_though_the_clock_went_back(
    place: Path, unbroken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ten years: all files are from the future."""
    copy = tmp_path / "place"
    shutil.copytree(place, copy)
    said(run(copy, [*TRAIN, "--set", "train.rounds=1"]))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3e8)
    monkeypatch.setattr(time, "time_ns", lambda: int((now - 3e8) * 1e9))
    resumed = said(run(copy, [*RESUME, "--set", "train.rounds=3"]))
    assert resumed["state_sha256"] == unbroken
    assert run(copy, ["doctor", "x"]).code == 0


@pytest.mark.parametrize("shift", [-3e8, 3e8])
def test_a_file_whose_times_were_set_back_is_hashed_again(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    """Size and time of modification are as before; its inode's own time, which nobody can set, is not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy = tmp_path / "shop"
    shutil.copytree(place / "datasets/shop", copy)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(max(shift, 10) * 1e9))
    Dataset.open(copy)
    assert hashes.cache_file().exists()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(shift * 1e9))
    file = copy / "train.parquet"
    before, data = file.stat(), bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match="was changed"):
        Dataset.open(copy)
