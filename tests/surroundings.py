"""A part of this machine that is only a child's: small disks, and folders that cannot be written to."""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def apart(work: Callable[[], Any]) -> Any:
    """What `work` returns, as JSON has it, where what is mounted concerns nobody else. OSError where this system lets
    nobody do so."""
    came, sent = os.pipe()
    child = os.fork()
    if child == 0:
        _told(sent, work)
    os.close(sent)
    with open(came) as stream:
        told = json.loads(stream.read() or '{"wrong": "it died"}')
    os.waitpid(child, 0)
    if "refused" in told:
        raise OSError(told["refused"])
    assert "wrong" not in told, told["wrong"]
    return told["found"]


def _told(sent: int, work: Callable[[], Any]) -> None:
    try:
        try:
            _unshare()
            told = {}
        except OSError as error:
            told = {"refused": str(error)}
        try:
            told = told or {"found": work()}
        except BaseException as error:
            told = {"wrong": repr(error)}
        with open(sent, "w") as stream:
            json.dump(told, stream)
    finally:
        os._exit(0)


def _unshare() -> None:
    if sys.platform != "linux":
        raise OSError("not Linux")
    user, group = os.getuid(), os.getgid()
    _called(_libc.unshare(_NEW_USER | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("none", Path("/"), None, _RECURSIVE | _PRIVATE)


def small_disk(folder: Path, size: int) -> None:
    """Of so many bytes, at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("none", folder, "tmpfs", 0, f"size={size}")


def larger_disk(folder: Path, size: int) -> None:
    _mount("none", folder, "tmpfs", _REMOUNT, f"size={size}")


def read_only(folder: Path) -> None:
    _mount(str(folder), folder, None, _BIND)
    _mount("none", folder, None, _BIND | _REMOUNT | _READ_ONLY)


def _mount(what: str, where: Path, kind: str | None, flags: int, more: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (what, str(where), kind)]
    _called(_libc.mount(*words, ctypes.c_ulong(flags), None if more is None else more.encode()))


def _called(result: int) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
