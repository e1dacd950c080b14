"""A command whose every step that changes a file can be counted, and at any of which it can be stopped.

It runs in a child of this process, which has loaded everything already, under ptrace: whatever library writes, the
system is asked to. For Linux on x86-64; elsewhere `available` says no.
"""

import ctypes
import json
import os
import platform
import signal
import struct
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_TRACEME, _SYSCALL, _SETOPTIONS, _EVENT_MESSAGE, _SYSCALL_INFO = 0, 24, 0x4200, 0x4201, 0x420E
_SYSGOOD, _CLONE, _EXITKILL = 1, 8, 1 << 20  # PTRACE_O_…
_STOPPED_BY_CALL = signal.SIGTRAP | 0x80
_CLONED = 3
_ALL_THREADS = 0x40000000  # __WALL
_ENTERED = 1
_HERE = (1 << 32) - 100  # AT_FDCWD
_WRITING = os.O_CREAT | os.O_TRUNC

# name, and where its arguments tell of the file: a descriptor, a path, or a folder's descriptor and a path
_BY_DESCRIPTOR = {1: "write", 18: "pwrite", 20: "writev", 73: "flock", 74: "fsync", 75: "fdatasync", 77: "ftruncate"}
_BY_DESCRIPTOR |= {91: "fchmod", 285: "fallocate"}
_BY_PATH = {76: "truncate", 82: "rename", 83: "mkdir", 84: "rmdir", 86: "link", 87: "unlink", 88: "symlink"}
_BY_PATH |= {90: "chmod"}
_BY_BOTH = {257: "open", 258: "mkdir", 263: "unlink", 264: "rename", 316: "rename", 268: "chmod"}
_HALVED = ("write", "pwrite", "writev")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


@dataclass(frozen=True)
class Step:
    """One call to the system that changes a file or a folder, or locks one."""

    call: str
    file: Path

    @property
    def can_be_halved(self) -> bool:
        return self.call in _HALVED


@dataclass(frozen=True)
class Ended:
    """`code` as a shell has it, negative after a signal that nobody handled; None where it hung."""

    code: int | None
    out: str
    talk: str

    @property
    def said(self) -> Any:
        """What it wrote as JSON."""
        return json.loads(self.out)


def available() -> bool:
    """Whether this machine lets a process trace its child."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    child = os.fork()
    if child == 0:
        os._exit(_libc.ptrace(_TRACEME, 0, None, None) != 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@dataclass
class Traced:
    """A command, from its start on. Of one that is stopped at a step, the step is not done yet."""

    place: Path
    words: list[str]
    patience: float = 60.0
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._out, self._talk = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._entered: dict[int, Step | None] = {}
        self.process = _started(self.place, self.words, self._out, self._talk, traced=True)
        os.waitpid(self.process, 0)
        _ptrace(_SETOPTIONS, self.process, _SYSGOOD | _CLONE | _EXITKILL)
        self._stopped: set[int] = {self.process}
        self._pending = 0
        self._status: int | None = None

    def run_to(self, count: int | None, half: bool = False) -> bool:
        """Until it is about to do its step `count` (from 0), or, `half`, has done half of what that writes. False where
        it ends before; None runs it to its end."""
        until = time.monotonic() + self.patience
        self._go_on()
        while time.monotonic() < until:
            thread, status = _next_event()
            if thread == 0:
                time.sleep(0.0005)
            elif os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if thread == self.process:
                    self._status = status
                    return False
            elif self._is_there(thread, status, count, half):
                self._stopped = {thread}
                return True
        self.end(signal.SIGKILL)
        self._status = None
        return False

    def end(self, number: int) -> None:
        """Sends it a signal, which it gets before it does its step."""
        os.kill(self.process, number)
        if number == signal.SIGKILL:
            self._buried()

    def ended(self) -> Ended:
        """To the end; with what it said."""
        if self._status is None and self._stopped:
            self.run_to(None)
        with self._out, self._talk:
            code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
            return _read(code, self._out, self._talk)

    def _go_on(self) -> None:
        for thread in self._stopped:
            _resume(thread)
        self._stopped = set()

    def _is_there(self, thread: int, status: int, count: int | None, half: bool) -> bool:
        """What a thread has stopped for; where it is not the step sought, it goes on."""
        number = os.WSTOPSIG(status)
        if number == _STOPPED_BY_CALL:
            step, written = self._at(thread)
            entered = written is None
            if entered and step:
                self.steps.append(step)
            sought = step is not None and len(self.steps) - 1 == count
            if sought and entered and not (half and step and step.can_be_halved):
                return True
            if sought and written is not None and half and step:
                _halve(step.file, written)
                return True
            number = 0
        elif number == signal.SIGTRAP and status >> 16:
            number = 0  # a thread was made
        elif number == signal.SIGSTOP:
            number = 0  # a thread begins
        _resume(thread, number)
        return False

    def _at(self, thread: int) -> tuple[Step | None, int | None]:
        """The step that a thread enters, or leaves, with the number that the system returns then."""
        info = ctypes.create_string_buffer(88)
        _ptrace(_SYSCALL_INFO, thread, len(info), info)
        if info.raw[0] == _ENTERED:
            number, *arguments = struct.unpack_from("<7Q", info.raw, 24)
            self._entered[thread] = self._step(thread, number, arguments)
            return self._entered[thread], None
        return self._entered.pop(thread, None), int(struct.unpack_from("<q", info.raw, 24)[0])

    def _step(self, thread: int, number: int, arguments: list[int]) -> Step | None:
        if number in _BY_DESCRIPTOR:
            call, file = _BY_DESCRIPTOR[number], _link(f"/proc/{thread}/fd/{arguments[0]}")
        elif number in _BY_PATH:
            call, file = _BY_PATH[number], _link(f"/proc/{thread}/cwd") / _text(thread, arguments[0])
        elif number in _BY_BOTH and (_BY_BOTH[number] != "open" or arguments[2] & _WRITING):
            here = arguments[0] & 0xFFFFFFFF == _HERE
            folder = "cwd" if here else f"fd/{arguments[0]}"
            call, file = _BY_BOTH[number], _link(f"/proc/{thread}/{folder}") / _text(thread, arguments[1])
        else:
            return None
        return Step(call, file) if file.is_relative_to(self.place) else None

    def _buried(self) -> None:
        while self._status is None:
            thread, status = _next_event()
            if thread == self.process and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
                self._status = status


def run(place: Path, words: list[str], patience: float = 60.0) -> Ended:
    """A command in a child of this process, to its end, and untraced."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as talk:
        child, until = _started(place, words, out, talk), time.monotonic() + patience
        while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return _read(None, out, talk)
            time.sleep(0.002)
        return _read(os.waitstatus_to_exitcode(found[1]), out, talk)


def _started(place: Path, words: list[str], out: IO[str], talk: IO[str], traced: bool = False) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.chdir(place)
        os.dup2(out.fileno(), 1)
        os.dup2(talk.fileno(), 2)
        if traced:
            _libc.ptrace(_TRACEME, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
        _run(words)
    finally:
        os._exit(99)


def _run(words: list[str]) -> None:
    from spfedrec_cli.__main__ import main

    sys.stdin, sys.stdout, sys.stderr = open(os.devnull), open(1, "w"), open(2, "w")  # noqa: SIM115
    sys.argv = ["spfedrec", *words]
    code: Any = 0
    try:
        main()
    except SystemExit as error:
        code = error.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _read(code: int | None, out: IO[str], talk: IO[str]) -> Ended:
    for written in (out, talk):
        written.seek(0)
    return Ended(code, out.read(), talk.read())


def _ptrace(request: int, thread: int, number: int, data: Any = None) -> None:
    address, given = (number, data) if data is not None else (0, number)
    if _libc.ptrace(request, thread, address, given) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _resume(thread: int, number: int = 0) -> None:
    with suppress(ProcessLookupError):  # it was killed meanwhile
        _ptrace(_SYSCALL, thread, number)


def _next_event() -> tuple[int, int]:
    try:
        return os.waitpid(-1, _ALL_THREADS)
    except ChildProcessError:
        return 0, 0


def _link(path: str) -> Path:
    try:
        return Path(os.readlink(path))
    except OSError:
        return Path("/")


def _text(thread: int, address: int) -> str:
    with open(f"/proc/{thread}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read1(4096).partition(b"\0")[0].decode(errors="replace")


def _halve(file: Path, written: int) -> None:
    """As a kill in the midst of the write would have left it. (All our files are written from their beginning to their
    end.)"""
    with suppress(OSError):
        os.truncate(file, file.stat().st_size - max(written, 0) // 2)
