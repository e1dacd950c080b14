"""Files that are there whole or not at all: read without waiting, written beside, brought to disk, renamed into place.

What is sealed holds the SHA-256 of all its other values, so that whoever reads it knows that it is as it was written.
"""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from spfedrec_cli.errors import DiskFull, InputError, SpfedrecError

SEAL = "sha256"
PART = ".part"
_RUST = ".tmp*"  # what safetensors writes beside the file that it is given
PRIVATE = 0o600
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CAREFULLY = os.O_NONBLOCK | os.O_CLOEXEC  # to open a FIFO would wait for whoever writes to it
_FULL_WORDS = tuple(f"os error {number}" for number in FULL)  # as Rust's libraries say it


class Damaged(InputError):
    """A file that is not as it was written."""


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file, open. Raises FileNotFoundError where there is none, InputError for what is not a file."""
    with os.fdopen(_opened(path, os.O_RDONLY), "rb") as stream:
        yield stream


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises FileNotFoundError, and Damaged where it is no such thing."""
    try:
        with reading(path) as stream:
            found = json.loads(stream.read())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Damaged("The file holds no JSON object", where=str(path))
    return found


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with their seal."""
    return {**_bare(values), SEAL: seal(values)}


def unsealed(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The values without their seal. Raises Damaged where it is not theirs, or there is none."""
    if values.get(SEAL) != seal(values):
        raise Damaged("The file was changed after it was written", where=str(path))
    return _bare(values)


def seal(values: Mapping[str, Any]) -> str:
    """SHA-256 over the values but for a seal, whatever their order."""
    read = json.loads(json.dumps(_bare(values)))  # as it will be read: keys are texts then
    return sha256(json.dumps(read, sort_keys=True, separators=(",", ":")).encode())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bare(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != SEAL}


def hash_of(path: Path, size: int | None = None) -> str:
    """SHA-256 of the file, or of its first `size` bytes."""
    state = hashlib.sha256()
    with reading(path) as stream:
        left = os.fstat(stream.fileno()).st_size if size is None else size
        while left and (piece := stream.read(min(left, 1 << 20))):
            state.update(piece)
            left -= len(piece)
    return state.hexdigest()


def named(path: Path) -> dict[str, Any]:
    """Hash and size, by which a manifest knows the file."""
    return {SEAL: hash_of(path), "bytes": path.stat().st_size}


@contextmanager
def beside(path: Path, needed: int = 0, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `path` to be written to, which takes its place at the end, or goes when the body fails.

    No symbolic link is followed. Raises SpfedrecError where the disk is full; `needed`: about as many bytes.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    with disk_told(path, needed):
        _sweep_beside(path)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | _CAREFULLY, mode))
        try:
            yield part
            sync(part)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync(path.parent)


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write beside and rename into place."""
    with beside(path, len(text), mode) as part:
        part.write_bytes(text.encode())


def write_json(path: Path, value: Mapping[str, Any], mode: int = 0o666) -> None:
    """Write JSON beside and rename into place."""
    write_text(path, json.dumps(value, indent=2) + "\n", mode)


def append(path: Path, text: str) -> None:
    """At the end of the file, which is made where there is none. A symbolic link is not followed."""
    with disk_told(path, len(text)):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(_opened(path, flags), "ab") as stream:
            stream.write(text.encode())


def sync(path: Path) -> None:
    """What was written to the file or folder survives a loss of power from here on, where the system can say so."""
    descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    try:
        with suppress(OSError):  # some file systems know no such call for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_told(path: Path, needed: int = 0) -> Iterator[None]:
    """Turns what the system, or a library, says of a full disk into a sentence."""
    try:
        yield
    except SpfedrecError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        raise full_disk(path, needed) from None


def is_full(error: BaseException) -> bool:
    """Whether the disk, or the user's share of it, is full."""
    return getattr(error, "errno", None) in FULL or any(words in str(error) for words in _FULL_WORDS)


def full_disk(path: Path, needed: int = 0) -> DiskFull:
    free = shutil.disk_usage(next(parent for parent in path.absolute().parents if parent.exists())).free
    room = f": about {needed / 1e6:,.1f} MB are needed, and {free / 1e6:,.1f} MB are free" if needed else ""
    return DiskFull(f"The disk is full{room}", where=str(path), hint="make room and run the command again")


def sweep(folder: Path) -> None:
    """Removes what a command that was killed had begun to write there; for whoever has locked the folder."""
    for pattern in (f"*{PART}", _RUST):
        for part in folder.glob(pattern) if folder.is_dir() else ():
            with suppress(OSError):
                part.unlink()


def _sweep_beside(path: Path) -> None:
    """Removes what processes that are gone had begun to write in the place of this file."""
    for name in _names(path.parent):
        number = name.removeprefix(f"{path.name}.").removesuffix(PART)
        if name == f"{path.name}.{number}{PART}" and number.isdecimal() and _is_gone(int(number)):
            with suppress(OSError):
                path.with_name(name).unlink()


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # that it is not there, or may not be looked into, whoever writes is told


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # somebody else's
    return False


def _opened(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _CAREFULLY, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _no_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path)
    return descriptor


def _no_file(path: Path) -> InputError:
    hint = "put the file itself there"
    return InputError("A file is awaited, not a folder, a link, a device or a FIFO", where=str(path), hint=hint)
