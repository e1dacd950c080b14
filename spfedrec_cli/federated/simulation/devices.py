"""What lies on the devices of a simulation: no function of the server is given any of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64, U64
from spfedrec_cli.federated.aggregation.chain.sources import SeededSecrets
from spfedrec_cli.model.features import Features


@dataclass(frozen=True)
class Held:
    """Purchases that are read when a device first needs them, and who has any (K,), ascending. To rank for customers
    needs the latter alone, and those of all H&M are an eighth of a gigabyte, and three while they are made."""

    eligible: I64
    read: Callable[[], Ragged]

    @classmethod
    def of(cls, purchased: Ragged) -> "Held":
        return cls(np.flatnonzero(purchased.lengths > 0), lambda: purchased)

    def most(self) -> int:
        """Of one client."""
        return int(self.read().lengths.max(initial=0))


@dataclass(frozen=True)
class Devices:
    """`read` gives `purchased`; `fields` what each client's fields are. All secrets of all devices come from `root`.
    `decayed` gives what each purchase counts in a prior that decays, row by row as `purchased`, in units of
    `data.decay`."""

    read: Callable[[], Ragged] = field(compare=False, repr=False)
    fields: Features
    root: str
    decayed: Callable[[], Ragged] | None = field(default=None, compare=False, repr=False)

    @cached_property
    def purchased(self) -> Ragged:
        """The distinct training items of every client that lives in this process, by last purchase, oldest first."""
        return self.read()

    def __len__(self) -> int:
        return len(self.fields)

    def keys(self, clients: I64) -> U64:
        """The key of each client's own draws (K, 2): AES-256 of its id, under a hash of the root."""
        key = hashlib.sha256(f"spfedrec simulated devices\0{self.root}".encode()).digest()
        blocks = np.zeros((len(clients), 2), "<i8")
        blocks[:, 0] = clients
        secret = Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update(blocks.tobytes())
        return np.frombuffer(secret, "<u4").reshape(-1, 4)[:, :2].astype(np.uint64)

    def secrets(self) -> SeededSecrets:
        """Where their keys and contributions to chains come from."""
        return SeededSecrets(self.root)
