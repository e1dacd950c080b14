"""Folders that appear whole or not at all."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spfedrec_cli.data.parallel import each
from spfedrec_cli.data.schema import MANIFEST, ORACLE, SKIPPED, TABLES
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.files import FULL, sync
from spfedrec_cli.locks import locked

_KNOWN = {MANIFEST, SKIPPED, *(f"{table}.parquet" for table in (*TABLES, ORACLE))}
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


def check_output(output: Path, files: Sequence[str] = ()) -> None:
    """Raises InputError where `output` holds something other than a Dataset, or than the `files`."""
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError("The output exists and is not a folder", where=str(output), hint="choose another --output")
    names = {path.name for path in output.iterdir()}
    if names and (names - set(files) if files else MANIFEST not in names or names - _KNOWN):
        other = sorted(names - (set(files) or _KNOWN) or names)[0]
        problem = f"The output folder holds something other than {'its files' if files else 'a Dataset'}: {other}"
        raise InputError(problem, where=str(output), hint="choose another --output")


class NewFolder:
    """A folder that is being filled."""

    def __init__(self, path: Path) -> None:
        self.path, self.needed = path, 0

    def need(self, size: int) -> None:
        """To be called before about `size` bytes are written. Raises SpfedrecError where the disk has fewer left."""
        self.needed = size
        if shutil.disk_usage(self.path).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def replacing(output: Path, what: str = "The Dataset") -> Iterator[NewFolder]:
    """A new folder beside `output` that takes its place when the body ends, and is removed when it fails.

    What was at `output` stays until then, and a process that is killed leaves it. Raises InputError where another
    process is at it, SpfedrecError where the disk refuses.
    """
    output = output.resolve()
    made = [parent for parent in output.parents if not parent.exists()]
    new = NewFolder(_beside(output, "new"))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with locked(output):
            _recover(output)
            new.path.mkdir()
            try:
                yield new
                each(sync, [*new.path.iterdir(), new.path])
                _swap(new.path, output)
                sync(output.parent)
            finally:
                shutil.rmtree(new.path, ignore_errors=True)
    except BaseException as error:
        for parent in made:
            _remove_empty(parent)
        if isinstance(error, OSError):
            raise _refused(error, output, new.needed, what) from None
        raise


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(f".{output.name}.{ending}")


def _recover(output: Path) -> None:
    """Tidies up after a process that was killed."""
    shutil.rmtree(_beside(output, "new"), ignore_errors=True)
    old = _beside(output, "old")
    if old.exists() and not output.exists():
        old.rename(output)
    shutil.rmtree(old, ignore_errors=True)


def _swap(new: Path, output: Path) -> None:
    """In one step where the system can exchange two folders, else in two."""
    if not output.exists():
        new.rename(output)
    elif not _exchange(new, output):
        old = _beside(output, "old")
        output.rename(old)
        try:
            new.rename(output)
        except BaseException:
            old.rename(output)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, two: Path) -> bool:
    """Whether the system has exchanged the two (renameat2 of Linux)."""
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return bool(call and call(_HERE, os.fsencode(one), _HERE, os.fsencode(two), _EXCHANGE) == 0)


def _refused(error: OSError, output: Path, needed: int, what: str) -> SpfedrecError:
    if error.errno not in FULL:
        return SpfedrecError(f"{what} cannot be written", where=str(output), hint=str(error.strerror or error))
    free = shutil.disk_usage(next(parent for parent in output.parents if parent.exists())).free
    problem = f"The disk is full: about {needed / 1e6:,.0f} MB are needed, and {free / 1e6:,.0f} MB are free"
    return SpfedrecError(problem, where=str(output), hint="make room, or choose another --output")


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
