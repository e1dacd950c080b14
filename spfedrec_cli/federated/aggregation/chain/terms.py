"""What the members of a chain agree on before any key is made, and how a payload is laid out.

Its digest enters every key: members that were told different things make masks that do not cancel.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.wire.messages import Message, serialise

FEWEST = 3
RUN_BYTES = DIGEST_BYTES = 32
_FIXED = struct.Struct("<32s32sIIIIddI32sIIII")


def digest(tag: str, *parts: bytes) -> bytes:
    """SHA-256 of a tag of its own use, then the parts: no hash of one step can pass for that of another."""
    return hashlib.sha256(f"SFR1 chain {tag}".encode() + b"\0" + b"".join(parts)).digest()


def broadcast_digest(*told: Message) -> bytes:
    """SHA-256 of the messages that everybody was told alike (the broadcast; then the slate and the catalogue, where
    there are any) as received, one after another, so that a client that was sent another θ_u cannot be singled out.

    Pasquini, Francati and Ateniese, "Eluding secure aggregation in federated learning via model inconsistency", 2022.
    """
    return hashlib.sha256(b"".join(map(serialise, told))).digest()


@dataclass(frozen=True)
class Setting:
    """What every client of a round knows by itself: the run, the codec, the shape of an update, what all are told.

    query: P; dim: d; pool (M,): items of the public pool or of the slate; run and broadcast (`broadcast_digest`): 32
    bytes each, as is `settings`, a hash of the settings that everybody follows (`config.digest`).
    """

    run: bytes
    round: int
    range_query: float
    range_item: float
    qmax: int
    query: int
    dim: int
    pool: I32
    broadcast: bytes
    settings: bytes

    def __post_init__(self) -> None:
        if len(self.run) != RUN_BYTES or {len(self.broadcast), len(self.settings)} != {DIGEST_BYTES}:
            raise InputError("A chain's run, broadcast and settings are named by 32 bytes each")


@dataclass(frozen=True)
class Terms:
    """One attempt of one chain: `chain` is its number in the round, `members` how many clients it has.

    union (U,): the items that any of them requested, ascending.
    """

    setting: Setting
    chain: int
    attempt: int
    members: int
    union: I32

    def __post_init__(self) -> None:
        if self.members < FEWEST:
            raise InputError(
                f"A chain of {self.members} protects nobody",
                where=self.where,
                hint=f"put at least {FEWEST} clients into each",
            )
        if self.bound > 2**31 - 1:
            raise InputError(
                f"A sum of {self.members} numbers up to {self.setting.qmax} overflows 32 bits", where=self.where
            )
        if self.chain < 0 or self.attempt < 0:
            raise InputError("Chains and attempts are counted from 0", where=self.where)
        if self.union.ndim != 1 or (np.diff(self.union.astype(np.int64), prepend=-1) <= 0).any():
            raise InputError("The items of a chain have to be distinct and ascending", where=self.where)

    @property
    def where(self) -> str:
        return f"round {self.setting.round}, chain {self.chain}, attempt {self.attempt}"

    @property
    def bound(self) -> int:
        """No coordinate of an honest sum lies beyond it: n · qmax."""
        return self.members * self.setting.qmax

    @property
    def blindness(self) -> float:
        """The chance that noise stays within the bound in every coordinate, so that a mask left in the sum is not
        seen."""
        return float(((2 * self.bound + 1) / 2**32) ** self.length)

    @property
    def length(self) -> int:
        """N: P + (U + M) · d coordinates of a payload."""
        return self.setting.query + (len(self.union) + len(self.setting.pool)) * self.setting.dim

    @cached_property
    def digest(self) -> bytes:
        setting, union, pool = self.setting, self.union.astype("<i4"), self.setting.pool.astype("<i4")
        fixed = _FIXED.pack(
            setting.run,
            setting.settings,
            setting.round,
            self.attempt,
            self.chain,
            self.members,
            setting.range_query,
            setting.range_item,
            setting.qmax,
            setting.broadcast,
            setting.query,
            setting.dim,
            len(union),
            len(pool),
        )
        return digest("terms", fixed, union.tobytes(), pool.tobytes())


def within(numbers: I32, bound: int) -> bool:
    """Whether no coordinate is beyond ±bound."""
    return not numbers.size or (-bound <= int(numbers.min()) and int(numbers.max()) <= bound)


def check_members(terms: Terms, members: Sequence[int]) -> None:
    """Raises ValueError where these are not as many distinct clients as the terms say."""
    if not len(members) == len(set(members)) == terms.members:
        raise ValueError(f"a chain of {terms.members} has as many distinct members ({terms.where})")


def payload(terms: Terms, query: I32, items: npt.NDArray[np.integer], rows: I32, pool: I32) -> I32:
    """The vector that a client masks (N,): Δθ_u (P,), its rows (k, d) at the places of its items (k,) in the union,
    zeros for what only others requested, and the rows of the pool (M, d).

    Raises InputError where an item is not in the union or comes twice.
    """
    places = np.searchsorted(terms.union, items)
    if len(np.unique(items)) < len(items) or not np.array_equal(terms.union.take(places, mode="clip"), items):
        raise InputError("A client's items have to be distinct, and in the union of its chain", where=terms.where)
    block = np.zeros((len(terms.union), terms.setting.dim), np.int32)
    block[places] = rows
    return np.concatenate([query, block.ravel(), pool.ravel()]).astype(np.int32, copy=False)


def parts(terms: Terms, total: I32) -> tuple[I32, I32, I32]:
    """The sum taken apart: Δθ_u (P,), the rows of the union (U, d), the rows of the pool (M, d)."""
    start, dim = terms.setting.query, terms.setting.dim
    end = start + len(terms.union) * dim
    rows, pool = len(terms.union), len(terms.setting.pool)
    return total[:start], total[start:end].reshape(rows, dim), total[end:].reshape(pool, dim)


def chain_sizes(clients: int, length: int) -> I64:
    """The sizes of the chains that so many clients are cut into: none below `length` but where there are fewer clients
    (then one chain of all), and no two more than one apart. Raises InputError for fewer than three."""
    if clients < FEWEST:
        raise InputError(
            f"{clients} clients cannot form a chain: below {FEWEST}, a sum gives away who sent what",
            hint="set federated.cohort_size higher",
        )
    chains = max(1, clients // max(FEWEST, length))
    return np.diff(np.arange(chains + 1, dtype=np.int64) * clients // chains)


def unions(chain_of: I64, chains: int, lengths: I64, items: npt.NDArray[np.integer]) -> list[I32]:
    """The union of requests of each chain, ascending. `chain_of` (K,): each client's chain; `lengths` (K,) and `items`:
    their requests, one behind another."""
    most = int(items.max(initial=0)) + 1
    keys = np.unique(np.repeat(chain_of, lengths) * most + items)
    cuts = np.searchsorted(keys, np.arange(1, chains) * most)
    return [(part % most).astype(np.int32) for part in np.split(keys, cuts)]
