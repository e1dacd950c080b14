"""Folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spfedrec_cli.data.schema import MANIFEST, ORACLE, TABLES
from spfedrec_cli.errors import InputError, SpfedrecError

_KNOWN = {MANIFEST, *(f"{table}.parquet" for table in (*TABLES, ORACLE))}


def check_output(output: Path) -> None:
    """Raises InputError where `output` holds something other than a Dataset."""
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError("The output exists and is not a folder", where=str(output), hint="choose another --output")
    names = {path.name for path in output.iterdir()}
    if names and (MANIFEST not in names or names - _KNOWN):
        other = sorted(names - _KNOWN or names)[0]
        problem = f"The output folder holds something other than a Dataset: {other}"
        raise InputError(problem, where=str(output), hint="choose another --output")


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A new folder beside `output` that takes its place when the body ends, and is removed when it fails.

    What was at `output` stays until then. Raises SpfedrecError where the disk refuses.
    """
    output = output.resolve()
    made = [parent for parent in output.parents if not parent.exists()]
    new = output.with_name(f".{output.name}.{os.getpid()}.new")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        yield new
        _swap(new, output)
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        for parent in made:
            _remove_empty(parent)
        if isinstance(error, OSError):
            hint = str(error.strerror or error)
            raise SpfedrecError("The Dataset cannot be written", where=str(output), hint=hint) from None
        raise


def _swap(new: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.{os.getpid()}.old")
    if output.exists():
        output.rename(old)
    try:
        new.rename(output)
    except BaseException:
        if old.exists():
            old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
