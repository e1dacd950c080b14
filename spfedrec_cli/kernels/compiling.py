"""How a loop becomes machine code: by numba, at its first call, kept on disk for the next process.

Floats may be added up in another order and multiplied and added at once, as vector units do; everything else is as
written, so that a value that is no number stays one. A division by zero gives what numpy gives: to check for it would
keep loops from being vectorised.
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config as numba_config

from spfedrec_cli.kernels.linking import PartCompiler, WholeCompiler

F = TypeVar("F", bound=Callable[..., Any])
SUMS = frozenset({"reassoc", "contract", "nsz", "arcp", "afn"})
EXACT = frozenset({"contract"})  # for sums whose order keeps their last places right
SAID = "Compiling the clients' training for this processor, once: about 20 seconds"
UNUSED = 30 * 24 * 3600.0  # seconds after which machine code of other versions of the sources is deleted
_njit: Any = numba.njit  # some of its options are in no annotation
_config: Any = numba_config


def compiled(function: F) -> F:
    """A loop over numbers for other compiled functions to call. It allocates nothing and counts no references."""
    return _inner(function, SUMS)


def inlined(function: F) -> F:
    """A short one, which becomes part of whoever calls it: a call takes as long as some tens of additions."""
    return _inner(function, SUMS, forceinline=True)


def inlined_as_written(function: F) -> F:
    """The same, but that floats are added up in the order written."""
    return _inner(function, EXACT, forceinline=True)


def called(function: F) -> F:
    """One that Python calls, kept on disk with all that it calls. Other threads may run meanwhile."""
    if folder() is None:
        return cast(F, _njit(**_options(WholeCompiler, SUMS))(function))
    with _kept_in_folder():
        kept = _njit(cache=True, **_options(WholeCompiler, SUMS))(function)
    kept._cache.save_overload = _if_possible(kept._cache.save_overload)
    return cast(F, kept)


def _if_possible(save: Callable[..., None]) -> Callable[..., None]:
    """What is compiled runs too where the disk has no room to keep it."""

    def saved(*of: Any) -> None:
        with suppress(OSError):
            save(*of)

    return saved


def announce(function: Callable[..., Any]) -> None:
    """Logs, once, that a function is about to be compiled, where it neither is nor was kept on disk."""
    if not cast(Any, function).signatures and not is_kept(function):
        logging.getLogger("spfedrec_cli").info(SAID)


def is_kept(function: Callable[..., Any]) -> bool:
    """Whether its machine code is on disk."""
    place, name = folder(), f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
    return place is not None and any(place.rglob(f"{name}-*.nbi"))


@cache
def folder() -> Path | None:
    """Where machine code is kept, or None where nothing can be written.

    It is named by all sources of this package: numba itself only asks whether the file of a function has changed, not
    those of the functions that it calls. Its time says when it was last used.
    """
    base = os.environ.get("NUMBA_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()[:16]
    place = Path(base) / "spfedrec" / digest
    is_new = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)
    except OSError:
        return None
    if is_new:
        _delete_unused(place)
    return place if os.access(place, os.W_OK) else None


def _delete_unused(place: Path) -> None:
    """Folders of other versions. Whoever reads one of them has loaded it, or compiles anew."""
    for other in place.parent.glob("[0-9a-f]" * len(place.name)):
        with suppress(OSError):
            if other != place and time.time() - other.stat().st_mtime > UNUSED:
                shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _kept_in_folder() -> Iterator[None]:
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(folder())
    try:
        yield
    finally:
        _config.CACHE_DIR = before


def _inner(function: F, fast: frozenset[str], **more: bool) -> F:
    no_wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(F, _njit(**no_wrappers, **more, **_options(PartCompiler, fast))(function))


def _options(compiler: type[PartCompiler], fast: frozenset[str]) -> dict[str, Any]:
    how = {"nogil": True, "error_model": "numpy", "_nrt": False}
    return {"pipeline_class": compiler, "fastmath": set(fast), **how}
