"""What crosses the network, and how many bytes it is.

Every message is a header (magic, kind, round, number of arrays) and little-endian arrays of 4-byte numbers or of single
bytes, each with its shape in front. The ledger counts these bytes: `size` gives them without building the message.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F32, I32, U8
from spfedrec_cli.errors import SpfedrecError

MAGIC = b"SFR1"
_HEADER = struct.Struct("<4sBIB")
_SHAPE = struct.Struct("<BII")
_TYPES = (np.dtype("<f4"), np.dtype("<i4"), np.dtype("u1"))
_CODES: dict[Any, int] = {F32: 0, I32: 1, U8: 2}


@dataclass(frozen=True)
class Broadcast:
    """Server to every client of the cohort: the query tower, and the public pool of training negatives."""

    kind: ClassVar[str] = "broadcast"
    meaning: ClassVar[str] = "the query tower, and public training negatives"
    direction: ClassVar[str] = "down"
    round: int
    query: F32  # (P,), empty where every client keeps a tower of its own
    pool_items: I32  # (M,), empty where training negatives are the client's own
    pool_embeddings: F32  # (M, d)


@dataclass(frozen=True)
class Request:
    """Client to server: the items whose embeddings it wants, purchased ones hidden among obfuscating ones."""

    kind: ClassVar[str] = "request"
    meaning: ClassVar[str] = "items asked for: the server sees each client's own list"
    direction: ClassVar[str] = "up"
    round: int
    items: I32  # (n,)


@dataclass(frozen=True)
class Embeddings:
    """Server to client: ṽ of the requested items, in the order of the request."""

    kind: ClassVar[str] = "embeddings"
    meaning: ClassVar[str] = "what the item tower makes of those items"
    direction: ClassVar[str] = "down"
    round: int
    rows: F32  # (n, d)


@dataclass(frozen=True)
class ClientUpdate:
    """Client to aggregator, in fixed point: Δθ_u, then g_v of the request and of the pool."""

    kind: ClassVar[str] = "update"
    meaning: ClassVar[str] = "what the device learned: its cohort's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    query: I32  # (P,), empty where every client keeps a tower of its own
    items: I32  # (n + M, d)


@dataclass(frozen=True)
class PurchaseCounts:
    """Client to aggregator, once: which items it bought, as ones in a vector over the catalogue."""

    kind: ClassVar[str] = "popularity"
    meaning: ClassVar[str] = "items bought, once: the sum over all clients is seen"
    direction: ClassVar[str] = "up"
    round: int
    counts: I32  # (n_items,)


@dataclass(frozen=True)
class FirstTower:
    """Server to client, once, where every client keeps a query tower of its own: θ_u, from which it starts."""

    kind: ClassVar[str] = "tower"
    meaning: ClassVar[str] = "the query tower, once: from there each device goes its own way"
    direction: ClassVar[str] = "down"
    round: int
    query: F32  # (P,)


@dataclass(frozen=True)
class PublishedSlate:
    """Server to every client of the cohort, where nobody requests: the round's slate."""

    kind: ClassVar[str] = "slate"
    meaning: ClassVar[str] = "items that everybody is told of, so that nobody asks for any"
    direction: ClassVar[str] = "down"
    round: int
    items: I32  # (M,) ascending
    embeddings: F32  # (M, d)


@dataclass(frozen=True)
class PublishedCatalogue:
    """Server to a client of the cohort that does not hold it yet: the embeddings of all items in eight bits."""

    kind: ClassVar[str] = "catalogue"
    meaning: ClassVar[str] = "all items in eight bits, to whoever lacks the last ones"
    direction: ClassVar[str] = "down"
    round: int
    steps: F32  # (d,) what one unit of a code is
    codes: U8  # (n_items, d) int8 in two's complement


@dataclass(frozen=True)
class PublishedCounts:
    """Server to every client that trains, once, where clients draw obfuscating items by it: item popularity."""

    kind: ClassVar[str] = "counts"
    meaning: ClassVar[str] = "how often each item was bought, once: obfuscating items are drawn by it"
    direction: ClassVar[str] = "down"
    round: int
    counts: I32  # (n_items,)


@dataclass(frozen=True)
class ChainInvitation:
    """Server to a member of a secret-sharing chain: which one, of how many, and over which items its sum goes.

    Every message of a chain names it by (number, attempt).
    """

    kind: ClassVar[str] = "invitation"
    meaning: ClassVar[str] = "the chain's items: each member is told the union of all its requests"
    direction: ClassVar[str] = "down"
    round: int
    chain: I32  # (2,)
    members: I32  # (1,) how many
    union: I32  # (U,) ascending


@dataclass(frozen=True)
class ChainCommitment:
    """Member to aggregator: the hash of its contribution to the order and of its public key."""

    kind: ClassVar[str] = "commitment"
    meaning: ClassVar[str] = "the sealed contribution to the chain's order"
    direction: ClassVar[str] = "up"
    round: int
    chain: I32  # (2,)
    commitment: U8  # (32,)


@dataclass(frozen=True)
class ChainCommitments:
    """Aggregator to every member: all commitments, before anything is revealed."""

    kind: ClassVar[str] = "commitments"
    meaning: ClassVar[str] = "the sealed contributions of all members"
    direction: ClassVar[str] = "down"
    round: int
    chain: I32  # (2,)
    members: I32  # (n,) their ids, ascending
    commitments: U8  # (n, 32)


@dataclass(frozen=True)
class ChainReveal:
    """Member to aggregator: what it committed to."""

    kind: ClassVar[str] = "reveal"
    meaning: ClassVar[str] = "the contribution opened, and a public key for this attempt"
    direction: ClassVar[str] = "up"
    round: int
    chain: I32  # (2,)
    contribution: U8  # (32,)
    public_key: U8  # (32,)


@dataclass(frozen=True)
class ChainRoster:
    """Aggregator to every member: what all revealed, in the order of the commitments."""

    kind: ClassVar[str] = "roster"
    meaning: ClassVar[str] = "all contributions and public keys: they fix the order"
    direction: ClassVar[str] = "down"
    round: int
    chain: I32  # (2,)
    contributions: U8  # (n, 32)
    public_keys: U8  # (n, 32)


@dataclass(frozen=True)
class MaskedUpdate:
    """Member to aggregator: its payload under two masks. In place of `ClientUpdate`."""

    kind: ClassVar[str] = "masked"
    meaning: ClassVar[str] = "what the device learned, masked: its chain's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    chain: I32  # (2,)
    words: I32  # (N,) modulo 2^32


@dataclass(frozen=True)
class ItemFields:
    """Server to client, once, where clients run the item tower: the codes of every item's fields."""

    kind: ClassVar[str] = "fields"
    meaning: ClassVar[str] = "the fields of the whole catalogue, once"
    direction: ClassVar[str] = "down"
    round: int
    codes: I32  # (n_items, fields) without the id, which is the row


@dataclass(frozen=True)
class WholeModel:
    """Server to every client of the cohort, where clients run the item tower: both towers, and which items are public
    training negatives."""

    kind: ClassVar[str] = "model"
    meaning: ClassVar[str] = "both towers whole, and which items are public training negatives"
    direction: ClassVar[str] = "down"
    round: int
    query: F32  # (P,)
    item: F32  # (Q,)
    pool_items: I32  # (M,), empty where training negatives are the client's own


@dataclass(frozen=True)
class WholeUpdate:
    """Client to aggregator, in fixed point: Δ of both towers, tables and all, so that no row tells what was bought."""

    kind: ClassVar[str] = "delta"
    meaning: ClassVar[str] = "what the device learned of both towers: its cohort's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    query: I32  # (P,)
    item: I32  # (Q,)


Message = (
    Broadcast
    | Request
    | Embeddings
    | ClientUpdate
    | PurchaseCounts
    | FirstTower
    | ChainInvitation
    | ChainCommitment
    | ChainCommitments
    | ChainReveal
    | ChainRoster
    | MaskedUpdate
    | ItemFields
    | WholeModel
    | WholeUpdate
    | PublishedSlate
    | PublishedCatalogue
    | PublishedCounts
)
KINDS: tuple[type[Any], ...] = (
    Broadcast,
    Request,
    Embeddings,
    ClientUpdate,
    PurchaseCounts,
    FirstTower,
    ChainInvitation,
    ChainCommitment,
    ChainCommitments,
    ChainReveal,
    ChainRoster,
    MaskedUpdate,
    ItemFields,
    WholeModel,
    WholeUpdate,
    PublishedSlate,
    PublishedCatalogue,
    PublishedCounts,
)
_DECLARED = {kind: [_CODES[field.type] for field in fields(kind)[1:]] for kind in KINDS}


def serialise(message: Message) -> bytes:
    """The bytes of a message as they would be sent."""
    arrays = [np.asarray(getattr(message, field.name)) for field in fields(message)[1:]]
    parts = [_HEADER.pack(MAGIC, KINDS.index(type(message)), message.round, len(arrays))]
    for code, array in zip(_DECLARED[type(message)], arrays, strict=True):
        rows, columns = array.shape if array.ndim == 2 else (array.shape[0], 0)
        parts += [_SHAPE.pack(code, rows, columns), array.astype(_TYPES[code], copy=False).tobytes()]
    return b"".join(parts)


def parse(data: bytes) -> Message:
    """The message of its bytes. Raises SpfedrecError where they are no whole message of this version."""
    try:
        magic, kind, round_, count = _HEADER.unpack_from(data)
        if magic != MAGIC or kind >= len(KINDS):
            raise SpfedrecError("The bytes are not a message of this protocol version")
        codes, arrays, place = [], [], _HEADER.size
        for _ in range(count):
            code, rows, columns = _SHAPE.unpack_from(data, place)
            size = rows * (columns if columns else 1)
            arrays.append(np.frombuffer(data, _TYPES[code], size, place + _SHAPE.size))
            arrays[-1] = arrays[-1].reshape(rows, columns) if columns else arrays[-1]
            place += _SHAPE.size + _TYPES[code].itemsize * size
            codes.append(code)
        if codes != _DECLARED[KINDS[kind]]:
            raise ValueError
        message: Message = KINDS[kind](round_, *arrays)
    except (struct.error, ValueError, IndexError):
        raise SpfedrecError("The message is cut short or damaged") from None
    if place != len(data):
        raise SpfedrecError("The message has bytes behind its end")
    return message


Count = int | npt.NDArray[np.integer]


def size(numbers: Sequence[Count], octets: Sequence[Count] = ()) -> Any:
    """Bytes of a message whose arrays hold so many numbers each, and so many single bytes (arrays of them for many
    messages at once)."""
    return (
        _HEADER.size + sum(_SHAPE.size + 4 * count for count in numbers) + sum(_SHAPE.size + count for count in octets)
    )
