"""Where secrets come from: the operating system on a device, the run's seed in a simulation."""

import hashlib
import hmac
import os
import struct
from typing import Protocol

SECRET_BYTES = 32
_NAMED = struct.Struct("<QIIB")
KEY, CONTRIBUTION = 0, 1


class Secrets(Protocol):
    """`origin` is what a run records: "system" or "seed"."""

    origin: str

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        """32 secret bytes for a client's KEY or CONTRIBUTION in one attempt of one round."""
        ...


class SystemSecrets:
    """A device's: os.urandom, new at every call."""

    origin = "system"

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        return os.urandom(SECRET_BYTES)


class SeededSecrets:
    """A simulation's: HMAC-SHA256 under the run's seed. Whoever has the seed has every mask: never for a device."""

    origin = "seed"

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"SFR1 simulated secrets\0{seed}".encode()).digest()

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        return hmac.digest(self._key, _NAMED.pack(client, round_, attempt, purpose), "sha256")


def simulated_run(seed: int) -> bytes:
    """The 32 bytes that name a simulated run."""
    return hashlib.sha256(f"SFR1 simulated run\0{seed}".encode()).digest()
