"""What crosses the network, and how many bytes it is.

Every message is a header (magic, kind, round, number of arrays) and little-endian arrays of 4-byte numbers or of single
bytes, each with its shape in front. The ledger counts these bytes: `size` gives them without building the message.

An array is declared by the type of its numbers and its sizes, a letter each: P weights of θ_u and Q of the item tower,
d of an embedding, I items of the catalogue and F fields, M items of the pool or the slate, n items of a request and R
of an update, C members of a chain, U items of their union, N words of a payload, S weights of the second stage, W
weeks.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F32, I32, U8
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.wire.chain_messages import (
    ChainCommitment as ChainCommitment,
)
from spfedrec_cli.federated.wire.chain_messages import (
    ChainCommitments as ChainCommitments,
)
from spfedrec_cli.federated.wire.chain_messages import (
    ChainInvitation as ChainInvitation,
)
from spfedrec_cli.federated.wire.chain_messages import (
    ChainReveal as ChainReveal,
)
from spfedrec_cli.federated.wire.chain_messages import (
    ChainRoster as ChainRoster,
)
from spfedrec_cli.federated.wire.chain_messages import (
    MaskedUpdate as MaskedUpdate,
)
from spfedrec_cli.federated.wire.ranker_messages import (
    PublishedWeeks as PublishedWeeks,
)
from spfedrec_cli.federated.wire.ranker_messages import (
    Ranker as Ranker,
)
from spfedrec_cli.federated.wire.ranker_messages import (
    RankerUpdate as RankerUpdate,
)
from spfedrec_cli.federated.wire.ranker_messages import (
    WeeklyBuyers as WeeklyBuyers,
)

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
    query: Annotated[F32, "P"]  # empty where every client keeps a tower of its own
    pool_items: Annotated[I32, "M"]  # empty where training negatives are the client's own
    pool_embeddings: Annotated[F32, "M d"]


@dataclass(frozen=True)
class Request:
    """Client to server: the items whose embeddings it wants, purchased ones hidden among obfuscating ones."""

    kind: ClassVar[str] = "request"
    meaning: ClassVar[str] = "items asked for: the server sees each client's own list"
    direction: ClassVar[str] = "up"
    round: int
    items: Annotated[I32, "n"]


@dataclass(frozen=True)
class Embeddings:
    """Server to client: ṽ of the requested items, in the order of the request."""

    kind: ClassVar[str] = "embeddings"
    meaning: ClassVar[str] = "what the item tower makes of those items"
    direction: ClassVar[str] = "down"
    round: int
    rows: Annotated[F32, "n d"]


@dataclass(frozen=True)
class ClientUpdate:
    """Client to aggregator, in fixed point: Δθ_u, then g_v of the request and of the pool."""

    kind: ClassVar[str] = "update"
    meaning: ClassVar[str] = "what the device learned: its cohort's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    query: Annotated[I32, "P"]  # empty where every client keeps a tower of its own
    items: Annotated[I32, "R d"]  # of the request's items, then of the pool's


@dataclass(frozen=True)
class PurchaseCounts:
    """Client to aggregator, once: which items it bought, as ones in a vector over the catalogue."""

    kind: ClassVar[str] = "popularity"
    meaning: ClassVar[str] = "items bought, once: the sum over all clients is seen"
    direction: ClassVar[str] = "up"
    round: int
    counts: Annotated[I32, "I"]


@dataclass(frozen=True)
class FirstTower:
    """Server to client, once, where every client keeps a query tower of its own: θ_u, from which it starts."""

    kind: ClassVar[str] = "tower"
    meaning: ClassVar[str] = "the query tower, once: from there each device goes its own way"
    direction: ClassVar[str] = "down"
    round: int
    query: Annotated[F32, "P"]


@dataclass(frozen=True)
class PublishedSlate:
    """Server to every client of the cohort, where nobody requests: the round's slate."""

    kind: ClassVar[str] = "slate"
    meaning: ClassVar[str] = "items that everybody is told of, so that nobody asks for any"
    direction: ClassVar[str] = "down"
    round: int
    items: Annotated[I32, "M"]  # ascending
    embeddings: Annotated[F32, "M d"]


@dataclass(frozen=True)
class PublishedCatalogue:
    """Server to a client of the cohort that does not hold it yet: the embeddings of all items in eight bits."""

    kind: ClassVar[str] = "catalogue"
    meaning: ClassVar[str] = "all items in eight bits, to whoever lacks the last ones"
    direction: ClassVar[str] = "down"
    round: int
    steps: Annotated[F32, "d"]  # what one unit of a code is
    codes: Annotated[U8, "I d"]  # int8 in two's complement


@dataclass(frozen=True)
class PublishedCounts:
    """Server to every client that trains, once, where clients draw by it or train with a prior: item popularity."""

    kind: ClassVar[str] = "counts"
    meaning: ClassVar[str] = "how often each item was bought, once: obfuscating items are drawn by it, or it is a prior"
    direction: ClassVar[str] = "down"
    round: int
    counts: Annotated[I32, "I"]


@dataclass(frozen=True)
class ItemFields:
    """Server to client, once, where clients run the item tower: the codes of every item's fields."""

    kind: ClassVar[str] = "fields"
    meaning: ClassVar[str] = "the fields of the whole catalogue, once"
    direction: ClassVar[str] = "down"
    round: int
    codes: Annotated[I32, "I F"]  # without the id, which is the row


@dataclass(frozen=True)
class WholeModel:
    """Server to every client of the cohort, where clients run the item tower: both towers, and which items are public
    training negatives."""

    kind: ClassVar[str] = "model"
    meaning: ClassVar[str] = "both towers whole, and which items are public training negatives"
    direction: ClassVar[str] = "down"
    round: int
    query: Annotated[F32, "P"]
    item: Annotated[F32, "Q"]
    pool_items: Annotated[I32, "M"]  # empty where training negatives are the client's own


@dataclass(frozen=True)
class WholeUpdate:
    """Client to aggregator, in fixed point: Δ of both towers, tables and all, so that no row tells what was bought."""

    kind: ClassVar[str] = "delta"
    meaning: ClassVar[str] = "what the device learned of both towers: its cohort's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    query: Annotated[I32, "P"]
    item: Annotated[I32, "Q"]


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
    | WeeklyBuyers
    | PublishedWeeks
    | Ranker
    | RankerUpdate
)
KINDS: tuple[type[Any], ...] = get_args(Message)  # whose places are their numbers on the wire
_BEFORE = (PurchaseCounts, PublishedCounts, FirstTower, ItemFields, PublishedCatalogue, Broadcast, PublishedSlate)
IN_ORDER: tuple[type[Any], ...] = (
    *_BEFORE,
    *(kind for kind in KINDS if kind not in _BEFORE),
)  # as they cross in a round


@dataclass(frozen=True)
class _Declared:
    """An array of a message: its name, the code of its type, and its sizes by letter or number."""

    name: str
    code: int
    sizes: tuple[str, ...]


def _declared(kind: type[Any]) -> tuple[_Declared, ...]:
    pairs = [(field.name, *get_args(field.type)) for field in fields(kind)[1:]]
    return tuple(_Declared(name, _CODES[array], tuple(sizes.split())) for name, array, sizes in pairs)


_DECLARED = {kind: _declared(kind) for kind in KINDS}


def check_shapes(message: Message, most: Mapping[str, int] | None = None) -> None:
    """Raises SpfedrecError where the message is of no declared kind, or an array of another rank or size than its kind
    declares: a letter stands for the same size everywhere in a message, which `most` may bound."""
    if type(message) not in _DECLARED:
        raise SpfedrecError(f"{type(message).__name__} is no message of this protocol")
    seen: dict[str, int] = {}
    for declared in _DECLARED[type(message)]:
        shape = np.shape(getattr(message, declared.name))
        if len(shape) != len(declared.sizes):
            raise _misshapen(message, declared, shape)
        for letter, size in zip(declared.sizes, shape, strict=True):
            awaited = int(letter) if letter.isdigit() else seen.setdefault(letter, size)
            if size != awaited or size > (most or {}).get(letter, size):
                raise _misshapen(message, declared, shape)


def _misshapen(message: Message, declared: _Declared, shape: tuple[int, ...]) -> SpfedrecError:
    sizes = ", ".join(declared.sizes)
    return SpfedrecError(f"A message {message.kind} has {declared.name} ({sizes}), and not of shape {shape}")


def serialise(message: Message) -> bytes:
    """The bytes of a message as they would be sent."""
    declared = _DECLARED[type(message)]
    parts = [_HEADER.pack(MAGIC, KINDS.index(type(message)), message.round, len(declared))]
    for each in declared:
        array = np.asarray(getattr(message, each.name))
        rows, columns = array.shape if array.ndim == 2 else (array.shape[0], 0)
        parts += [_SHAPE.pack(each.code, rows, columns), array.astype(_TYPES[each.code], copy=False).tobytes()]
    return b"".join(parts)


def parse(data: bytes) -> Message:
    """The message of its bytes. Raises SpfedrecError where they are no whole message of this version, or one whose
    arrays have other types, ranks or sizes than its kind declares."""
    try:
        magic, kind, round_, count = _HEADER.unpack_from(data)
        if magic != MAGIC or kind >= len(KINDS):
            raise SpfedrecError("The bytes are not a message of this protocol version")
        declared = _DECLARED[KINDS[kind]]
        if count != len(declared):
            raise ValueError
        arrays, place = [], _HEADER.size
        for each in declared:
            array, place = _array(data, place, each)
            arrays.append(array)
        message: Message = KINDS[kind](round_, *arrays)
    except (struct.error, ValueError):
        raise SpfedrecError("The message is cut short or damaged") from None
    if place != len(data):
        raise SpfedrecError("The message has bytes behind its end")
    check_shapes(message)
    return message


def _array(data: bytes, place: int, declared: _Declared) -> tuple[npt.NDArray[Any], int]:
    """The array that begins at `place`, and where it ends. Raises ValueError where it cannot be there."""
    code, rows, columns = _SHAPE.unpack_from(data, place)
    size, start = rows * (columns if len(declared.sizes) == 2 else 1), place + _SHAPE.size
    if code != declared.code or (len(declared.sizes) == 1) != (columns == 0):
        raise ValueError
    end = start + size * _TYPES[code].itemsize
    if end > len(data):
        raise ValueError
    array = np.frombuffer(data, _TYPES[code], size, start)
    return (array if len(declared.sizes) == 1 else array.reshape(rows, columns)), end


Count = int | npt.NDArray[np.integer]


def size(numbers: Sequence[Count], octets: Sequence[Count] = ()) -> Any:
    """Bytes of a message whose arrays hold so many numbers each, and so many single bytes (arrays of them for many
    messages at once)."""
    return (
        _HEADER.size + sum(_SHAPE.size + 4 * count for count in numbers) + sum(_SHAPE.size + count for count in octets)
    )
