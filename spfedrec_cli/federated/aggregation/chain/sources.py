"""Where secrets come from: the operating system on a device, a root in a simulation."""

import hashlib
import hmac
import os
import struct
from typing import Protocol

SECRET_BYTES = 32
_NAMED = struct.Struct("<QIIB")
KEY, CONTRIBUTION = 0, 1


class Secrets(Protocol):
    """Of one device, or of all devices of a simulation."""

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        """32 secret bytes for a client's KEY or CONTRIBUTION in one attempt of one round."""
        ...


class SystemSecrets:
    """A device's: os.urandom, new at every call."""

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        return os.urandom(SECRET_BYTES)


class SeededSecrets:
    """A simulation's: HMAC-SHA256 under its root. Whoever has the root has every mask: never for a device."""

    def __init__(self, root: int | str) -> None:
        self._key = hashlib.sha256(f"SFR1 simulated secrets\0{root}".encode()).digest()

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        return hmac.digest(self._key, _NAMED.pack(client, round_, attempt, purpose), "sha256")


def simulated_run(seed: int, part: str = "") -> bytes:
    """The 32 bytes that name a simulated run, or a part of it that has its own rounds."""
    return hashlib.sha256(f"SFR1 simulated run{part}\0{seed}".encode()).digest()
