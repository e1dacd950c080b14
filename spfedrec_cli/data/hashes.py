"""The SHA-256 of files that do not change, so that each is computed once.

What was computed is kept in the user's cache by device, inode, size and times of a file, and believed no further: where
one of these differs, or nothing can be kept, the file is read again.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from spfedrec_cli import files
from spfedrec_cli.errors import SpfedrecError

_MOST = 1000  # files that are remembered, the latest
_SETTLED = 2_000_000_000  # ns: one written just now may be written again without a later time

Identity = tuple[int, int, int, int, int]


def identity(path: Path) -> Identity:
    """What another file, or the same one written to, does not share."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def unlike(hashes: dict[Path, str]) -> list[Path]:
    """Those of the files that do not have the hash given."""
    known = _known()
    found: dict[str, str] = {}
    wrong = []
    for path, expected in hashes.items():
        key = "-".join(map(str, identity(path)))
        if known.get(key) != expected and files.hash_of(path) != expected:
            wrong.append(path)
        elif known.get(key) != expected and time.time_ns() - max(identity(path)[3:]) > _SETTLED:
            found[key] = expected
    if found:
        _keep({**known, **found})
    return wrong


def cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "spfedrec" / "hashes.json"


def _known() -> dict[str, str]:
    path = cache_file()
    try:
        return {key: str(found) for key, found in files.unsealed(files.read_json(path), path).items()}
    except (OSError, SpfedrecError):
        return {}


def _keep(known: dict[str, str]) -> None:
    latest = dict([*known.items()][-_MOST:])
    path = cache_file()
    with suppress(OSError, SpfedrecError, RuntimeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, files.sealed(latest), files.PRIVATE)
