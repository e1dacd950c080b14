"""What crosses the network, and how many bytes it is.

Every message is a header (magic, kind, round, number of arrays) and little-endian arrays of 4-byte numbers, each with
its shape in front. The ledger counts these bytes: `size` gives them without building the message.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from spfedrec_cli.errors import SpfedrecError

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

MAGIC = b"SFR1"
_HEADER = struct.Struct("<4sBIB")
_SHAPE = struct.Struct("<BII")
_TYPES: tuple[npt.DTypeLike, ...] = ("<f4", "<i4")


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
    meaning: ClassVar[str] = "what the device learned: only the sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    query: I32  # (P,), empty where every client keeps a tower of its own
    items: I32  # (n + M, d)


@dataclass(frozen=True)
class PurchaseCounts:
    """Client to aggregator, once: which items it bought, as ones in a vector over the catalogue."""

    kind: ClassVar[str] = "popularity"
    meaning: ClassVar[str] = "items bought, once: only the sum is seen"
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
    meaning: ClassVar[str] = "what the device learned of both towers: only the sum is seen"
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
    | ItemFields
    | WholeModel
    | WholeUpdate
)
KINDS: tuple[type[Any], ...] = (
    Broadcast,
    Request,
    Embeddings,
    ClientUpdate,
    PurchaseCounts,
    FirstTower,
    ItemFields,
    WholeModel,
    WholeUpdate,
)


def serialise(message: Message) -> bytes:
    """The bytes of a message as they would be sent."""
    arrays = [np.asarray(getattr(message, field.name)) for field in fields(message)[1:]]
    parts = [_HEADER.pack(MAGIC, KINDS.index(type(message)), message.round, len(arrays))]
    for array in arrays:
        code = 0 if array.dtype.kind == "f" else 1
        rows, columns = array.shape if array.ndim == 2 else (array.shape[0], 0)
        parts += [_SHAPE.pack(code, rows, columns), array.astype(_TYPES[code], copy=False).tobytes()]
    return b"".join(parts)


def parse(data: bytes) -> Message:
    """The message of its bytes. Raises SpfedrecError where they are no whole message of this version."""
    try:
        magic, kind, round_, count = _HEADER.unpack_from(data)
        if magic != MAGIC or kind >= len(KINDS):
            raise SpfedrecError("The bytes are not a message of this protocol version")
        arrays, place = [], _HEADER.size
        for _ in range(count):
            code, rows, columns = _SHAPE.unpack_from(data, place)
            size = rows * (columns if columns else 1)
            arrays.append(np.frombuffer(data, _TYPES[code], size, place + _SHAPE.size))
            arrays[-1] = arrays[-1].reshape(rows, columns) if columns else arrays[-1]
            place += _SHAPE.size + 4 * size
        message: Message = KINDS[kind](round_, *arrays)
    except (struct.error, ValueError, TypeError, IndexError):
        raise SpfedrecError("The message is cut short or damaged") from None
    if place != len(data):
        raise SpfedrecError("The message has bytes behind its end")
    return message


def size(numbers: Sequence[int | npt.NDArray[np.integer]]) -> Any:
    """Bytes of a message whose arrays hold so many numbers each (arrays of them for many messages at once)."""
    return _HEADER.size + sum(_SHAPE.size + 4 * count for count in numbers)
