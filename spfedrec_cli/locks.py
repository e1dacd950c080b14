"""One writer a folder. The operating system lets go of a lock when its process ends, however it ends."""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spfedrec_cli.errors import InputError

_WIDTH = 20  # of the process that the file names
_POLL = 0.05
_CAREFULLY = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Locked(InputError):
    """Somebody else is writing there."""


@contextmanager
def locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Nobody else writes into the folder, which need not exist, until the body ends.

    Raises Locked where somebody does, after `patience` seconds, and OSError where no lock can be made.
    """
    path = lock_file(folder)
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _taken(path, folder, time.monotonic() + patience)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)
        with suppress(OSError):  # those that are used are not empty
            for parent in made:
                parent.rmdir()


def lock_file(folder: Path) -> Path:
    """Beside the folder, so that one that is only about to be made can be locked too."""
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.lock")


def _taken(path: Path, folder: Path, until: float) -> int:
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                _sign(descriptor)
                return descriptor
        except BlockingIOError:
            if time.monotonic() >= until:
                owner = _owner(descriptor)
                os.close(descriptor)
                hint = "wait until it has ended, or stop it"
                raise Locked(f"{owner} is writing there", where=str(folder), hint=hint) from None
        os.close(descriptor)  # held, or let go and removed by another between the two calls
        time.sleep(_POLL)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, _CAREFULLY, 0o600)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise _no_lock(path) from None
        raise error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_lock(path)
    return descriptor


def _no_lock(path: Path) -> InputError:
    return InputError("Something that is no file stands where the lock goes", where=str(path), hint="move it away")


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    """Over the name of an earlier process; what else may stand in the file stays."""
    if re.fullmatch(rb"|\d+ *\n", os.pread(descriptor, 1 << 12, 0)):
        os.pwrite(descriptor, f"{os.getpid():<{_WIDTH}}\n".encode(), 0)


def _owner(descriptor: int) -> str:
    number = os.pread(descriptor, _WIDTH + 1, 0).strip()
    if not number.isdigit():
        return "Another process"
    return f"Process {number.decode()}{_command(number.decode())}"


def _command(number: str) -> str:
    """How it was called, where the system tells."""
    try:
        words = Path("/proc", number, "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    return f" ({' '.join(' '.join(words).split())[:100]})"
