"""The order of a chain: from contributions of all its members, sealed before any is opened."""

import hashlib
import struct
from collections.abc import Sequence

from spfedrec_cli.federated.aggregation.chain.terms import digest

_ID = struct.Struct("<I")


def commit(terms: bytes, client: int, contribution: bytes, public_key: bytes) -> bytes:
    """The seal. It binds the client's id, so that nobody copies another's, and its key, so that none is chosen late."""
    return digest("commitment", terms, _ID.pack(client), contribution, public_key)


def roster_digest(
    terms: bytes, members: Sequence[int], contributions: Sequence[bytes], public_keys: Sequence[bytes]
) -> bytes:
    """All that the members agreed on and revealed; `members` ascending, the others in their order."""
    rows = zip(members, contributions, public_keys, strict=True)
    return digest("roster", terms, _ID.pack(len(members)), *(_ID.pack(m) + c + k for m, c, k in rows))


def circle(roster: bytes, members: Sequence[int]) -> list[int]:
    """Places in `members` in the order of the circle: by a hash that nobody could steer alone."""
    start = hashlib.sha256(b"SFR1 chain order\0" + roster)
    keys = []
    for member in members:
        key = start.copy()
        key.update(_ID.pack(member))
        keys.append(key.digest())
    return sorted(range(len(members)), key=keys.__getitem__)
