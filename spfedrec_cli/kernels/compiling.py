"""How a loop becomes machine code: by numba, at its first call, kept on disk for the next process.

Floats may be added up in another order and multiplied and added at once, as vector units do; everything else is as
written, so that a value that is no number stays one. A division by zero gives what numpy gives: to check for it would
keep loops from being vectorised.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config as numba_config

F = TypeVar("F", bound=Callable[..., Any])
SUMS = frozenset({"reassoc", "contract", "nsz", "arcp", "afn"})
EXACT = frozenset({"contract"})  # for sums whose order keeps their last places right


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
    """One that Python calls, kept on disk with all that it calls. The interpreter is free for other threads meanwhile."""
    with _kept_apart():
        try:
            return cast(F, numba.njit(cache=True, **_options(SUMS))(function))
        except RuntimeError:  # no folder that can be written: it is compiled in every process
            return cast(F, numba.njit(**_options(SUMS))(function))


def _inner(function: F, fast: frozenset[str], **more: bool) -> F:
    return cast(F, numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **more, **_options(fast))(function))


def _options(fast: frozenset[str]) -> dict[str, Any]:
    return {"nogil": True, "error_model": "numpy", "fastmath": set(fast), "_nrt": False}


@contextmanager
def _kept_apart() -> Iterator[None]:
    """Machine code is kept in a folder named by all sources of this package: numba itself only asks whether the file of
    a function has changed, not those of the functions that it calls."""
    before = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(_folder())
    try:
        yield
    finally:
        numba_config.CACHE_DIR = before


def _folder() -> Path:
    kept = os.environ.get("NUMBA_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(kept) / "spfedrec" / _digest()


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()[:16]
