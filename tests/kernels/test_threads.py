"""Any number of threads comes to the same bits; and machine code is kept where something can be written."""

import errno
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from worlds import build_world, merged

from spfedrec_cli import run
from spfedrec_cli.federated.simulation import compiled
from spfedrec_cli.federated.simulation.state import initial_state, stored_tensors
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.kernels import clients, compiling

MODES: dict[str, dict[str, Any]] = {
    "a sum": {"client": {"negatives": "both"}},
    "chains": {"federated": {"aggregation": "ring", "chain_length": 3, "dropout": 0.02}},
    "a slate": {"request": {"mode": "slate", "slate_size": 12}},
    "chains on a slate": {"request": {"mode": "slate", "slate_size": 12}, "federated": {"aggregation": "ring"}},
    "towers of their own": {"client": {"private_state": "tower", "batch_size": 3, "optimizer": "adam"}},
    "embeddings": {"client": {"private_state": "embedding", "batch_size": 2, "momentum": 0.5}},
}


def after_two_rounds(setting: dict[str, Any], threads: int) -> str:
    lengths = [1 + place % 13 for place in range(150)]
    built = build_world(merged(setting, {"federated": {"cohort_size": 120}, "train": {"threads": threads}}), lengths)
    state = initial_state(built)
    for _ in range(2):
        state, _ = split_round(state, built)
    private = {} if state.private is None else {"private": state.private}
    return run.digest(stored_tensors(state) | private)


@pytest.mark.parametrize("name", MODES)
def test_any_number_of_threads_comes_to_the_same_bits(name: str) -> None:
    assert len({after_two_rounds(MODES[name], threads) for threads in (1, 2, 4)}) == 1


def test_threads_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    both_there = threading.Barrier(2)

    def watched(*arguments: Any) -> int:
        if len(seen) < 2 and threading.get_ident() not in seen:  # in the second round some threads are new
            seen.add(threading.get_ident())
            both_there.wait(20)
        return inner(*arguments)

    inner = clients.train
    monkeypatch.setattr(compiled.kernel, "train", watched)
    monkeypatch.setattr(compiled, "announce", lambda function: None)
    after_two_rounds({}, 2)
    assert len(seen) >= 2


def test_a_loss_that_is_no_number_is_no_number() -> None:
    """Though e^x of it would be a number."""
    for name in ("softmax", "bce", "bpr"):
        built = build_world({"client": {"loss": name}})
        state = initial_state(built)
        state.item["mlp.0.weight"][0, 0] = torch.nan
        with pytest.raises(Exception, match="The loss of round 1 is nan"):
            split_round(state, built)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Machine code of what is compiled from here on is kept in a folder of the test."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    compiling.folder.cache_clear()
    monkeypatch.setattr(compiling, "folder", compiling.folder.__wrapped__)
    return tmp_path


def double(number: int) -> int:
    return 2 * number


def test_machine_code_is_kept_and_announced_once(elsewhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "spfedrec_cli")
    first = compiling.called(double)
    compiling.announce(first)
    assert caplog.messages == [compiling.SAID]
    assert first(4) == 8
    assert [file.name.split("-")[0] for file in elsewhere.rglob("*.nbi")] == ["test_threads.double"]
    second = compiling.called(double)
    compiling.announce(second)
    assert caplog.messages == [compiling.SAID]
    assert (second(4), sum(second.stats.cache_hits.values())) == (8, 1)  # type: ignore[attr-defined]


def test_without_a_folder_it_is_compiled_in_every_process(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(elsewhere / "file"))
    assert compiling.folder() is None
    assert compiling.called(double)(4) == 8
    assert list(elsewhere.rglob("*.nbi")) == []


def test_without_room_to_keep_it_it_runs_and_is_compiled_again(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*names: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    first = compiling.called(double)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert first(4) == 8
    assert [file for file in elsewhere.rglob("*") if file.is_file()] == []
    assert compiling.called(double)(4) == 8
    assert len(list(elsewhere.rglob("*.nbc"))) == 1


def test_machine_code_of_other_versions_goes_when_nobody_used_it_for_a_month(elsewhere: Path) -> None:
    names = {"0" * 16: 31, "1" * 16: 29, "not-ours": 31}
    for name, days in names.items():
        place = elsewhere / "spfedrec" / name
        place.mkdir(parents=True)
        (place / "file").write_text("")
        os.utime(place, (0, time.time() - days * 24 * 3600))
    mine = compiling.folder()
    assert mine is not None
    assert {place.name for place in mine.parent.iterdir()} == {mine.name, "1" * 16, "not-ours"}


def test_using_it_keeps_it(elsewhere: Path) -> None:
    mine = compiling.folder()
    assert mine is not None
    os.utime(mine, (0, 0))
    assert compiling.folder() == mine
    assert time.time() - mine.stat().st_mtime < compiling.UNUSED
