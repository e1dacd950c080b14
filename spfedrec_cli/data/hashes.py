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
_SETTLED = 1_000_000_000  # ns: one written just now may be written again without a later time

Identity = tuple[int, int, int, int, int]


def identity(path: Path) -> Identity:
    """What another file, or the same one written to, does not share."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def unlike(hashes: dict[Path, str]) -> list[Path]:
    """Those of the files that do not have the hash given."""
    known, before = _known(), {path: identity(path) for path in hashes}
    unknown = {path: expected for path, expected in hashes.items() if known.get(_key(before[path])) != expected}
    wrong = [path for path, expected in unknown.items() if files.hash_of(path) != expected]
    _keep({before[path]: found for path, found in unknown.items() if path not in wrong})
    return wrong


def remember(hashes: dict[Path, str]) -> None:
    """For whoever has just computed the hashes of files that nobody else could write to meanwhile."""
    _keep({identity(path): found for path, found in hashes.items()})


def _key(found: Identity) -> str:
    return "-".join(map(str, found))


def cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "spfedrec" / "hashes.json"


def _known() -> dict[str, str]:
    path = cache_file()
    try:
        return {key: str(found) for key, found in files.unsealed(files.read_json(path), path).items()}
    except (OSError, SpfedrecError):
        return {}


def _keep(hashes: dict[Identity, str]) -> None:
    now, path = time.time_ns(), cache_file()
    settled = {_key(found): sha256 for found, sha256 in hashes.items() if now - max(found[3:]) > _SETTLED}
    if not settled:
        return
    latest = dict([*{**_known(), **settled}.items()][-_MOST:])
    with suppress(OSError, SpfedrecError, RuntimeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, files.sealed(latest), files.PRIVATE)
