"""Threads that share pieces of work."""

import threading

import pytest
import torch

from spfedrec_cli import threads
from spfedrec_cli.config import TrainConfig
from spfedrec_cli.placement import one_of_torch


@pytest.mark.parametrize("number", [1, 2, 5])
def test_what_comes_of_each_piece_is_in_their_order(number: int) -> None:
    assert threads.shared(lambda piece: piece * piece, range(20), number) == [piece * piece for piece in range(20)]
    assert threads.shared(str, [], number) == []


def test_pieces_are_shared() -> None:
    meeting = threading.Barrier(2, timeout=10)
    assert threads.shared(lambda piece: meeting.wait() >= 0, range(2), 2) == [True, True]


def test_a_single_piece_needs_no_thread() -> None:
    assert threads.shared(lambda piece: threading.current_thread(), [0], 4) == [threading.current_thread()]


def test_a_failure_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        threads.shared(lambda piece: 1 // piece, [1, 0, 2], 2)


@pytest.mark.parametrize("said, expected", [("3", 3), ("", 6), ("many", 6), ("0", 6)])
def test_how_many_may_work(monkeypatch: pytest.MonkeyPatch, said: str, expected: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert threads.cores() == expected


def test_cores_are_left_to_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert [TrainConfig(workers=workers).threads_here for workers in (1, 2, 4, 9)] == [6, 3, 1, 1]
    assert TrainConfig(workers=2, threads=5).threads_here == 5


def test_torch_works_by_one_thread_for_a_while() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_of_torch():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError):
            one_of_torch()(lambda: 1 // 0)()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
