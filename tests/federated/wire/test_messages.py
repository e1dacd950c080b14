"""Messages are what the ledger counts, to the byte, and what they were when they come back."""

import contextlib
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.messages import KINDS, parse, serialise, size


def example(kind: type[Any]) -> Any:
    floats, ints = np.arange(6, dtype=np.float32), np.arange(4, dtype=np.int32)
    chain, digest, digests = np.array([2, 1], np.int32), np.arange(32, dtype=np.uint8), np.ones((4, 32), np.uint8)
    return {
        messages.Broadcast: lambda: messages.Broadcast(3, floats, ints, np.ones((4, 2), np.float32)),
        messages.Request: lambda: messages.Request(3, ints),
        messages.Embeddings: lambda: messages.Embeddings(3, np.ones((4, 2), np.float32)),
        messages.ClientUpdate: lambda: messages.ClientUpdate(3, ints, np.ones((4, 2), np.int32)),
        messages.PurchaseCounts: lambda: messages.PurchaseCounts(0, ints),
        messages.FirstTower: lambda: messages.FirstTower(1, floats),
        messages.ChainInvitation: lambda: messages.ChainInvitation(3, chain, np.array([4], np.int32), ints),
        messages.ChainCommitment: lambda: messages.ChainCommitment(3, chain, digest),
        messages.ChainCommitments: lambda: messages.ChainCommitments(3, chain, ints, digests),
        messages.ChainReveal: lambda: messages.ChainReveal(3, chain, digest, digest[::-1]),
        messages.ChainRoster: lambda: messages.ChainRoster(3, chain, digests, digests),
        messages.MaskedUpdate: lambda: messages.MaskedUpdate(3, chain, ints),
        messages.ItemFields: lambda: messages.ItemFields(1, np.ones((5, 3), np.int32)),
        messages.WholeModel: lambda: messages.WholeModel(3, floats, np.ones(7, np.float32), ints),
        messages.WholeUpdate: lambda: messages.WholeUpdate(3, ints, np.ones(7, np.int32)),
        messages.PublishedSlate: lambda: messages.PublishedSlate(3, ints, np.ones((4, 2), np.float32)),
        messages.PublishedCatalogue: lambda: messages.PublishedCatalogue(3, floats, np.ones((4, 6), np.uint8)),
        messages.PublishedCounts: lambda: messages.PublishedCounts(1, ints),
        messages.WeeklyBuyers: lambda: messages.WeeklyBuyers(1, np.ones((5, 3), np.int32)),
        messages.PublishedWeeks: lambda: messages.PublishedWeeks(1, np.ones((5, 3), np.int32)),
        messages.Ranker: lambda: messages.Ranker(3, floats),
        messages.RankerUpdate: lambda: messages.RankerUpdate(3, ints),
    }[kind]()


def names(message: Any) -> list[str]:
    """The arrays of a message."""
    return [field.name for field in fields(message)[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_comes_back(kind: type[Any]) -> None:
    sent = example(kind)
    received = parse(serialise(sent))
    assert type(received) is kind
    assert received.round == sent.round
    for name in names(sent):
        np.testing.assert_array_equal(getattr(received, name), getattr(sent, name))


@pytest.mark.parametrize("kind", KINDS)
def test_size_counts_real_bytes(kind: type[Any]) -> None:
    sent = example(kind)
    arrays = [np.asarray(getattr(sent, name)) for name in names(sent)]
    numbers = [array.size for array in arrays if array.dtype != np.uint8]
    octets = [array.size for array in arrays if array.dtype == np.uint8]
    assert size(numbers, octets) == len(serialise(sent))


def test_a_request_by_hand() -> None:
    """Header 4 + 1 + 4 + 1, shape 1 + 4 + 4, two items of 4 bytes: 27."""
    data = serialise(messages.Request(7, np.array([1, 258], np.int32)))
    assert len(data) == 10 + 9 + 8
    assert data == b"SFR1" + b"\x01" + b"\x07\0\0\0" + b"\x01" + b"\x01\x02\0\0\0\0\0\0\0" + b"\x01\0\0\0\x02\x01\0\0"


def test_kinds_keep_their_numbers() -> None:
    """The number of a kind is its place; somebody else's implementation knows it."""
    assert [kind.kind for kind in KINDS[:6]] == ["broadcast", "request", "embeddings", "update", "popularity", "tower"]
    assert [kind.kind for kind in KINDS[6:9]] == ["invitation", "commitment", "commitments"]
    assert [kind.kind for kind in KINDS[9:12]] == ["reveal", "roster", "masked"]
    assert [kind.kind for kind in KINDS[12:15]] == ["fields", "model", "delta"]
    assert [kind.kind for kind in KINDS[15:18]] == ["slate", "catalogue", "counts"]


def test_a_commitment_by_hand() -> None:
    """Header 10, shape 9 and two numbers of 4 bytes, shape 9 and 32 single bytes: 68."""
    data = serialise(messages.ChainCommitment(7, np.array([1, 0], np.int32), np.full(32, 0xAB, np.uint8)))
    assert len(data) == 10 + 9 + 8 + 9 + 32
    assert data[27:36] == b"\x02" + b"\x20\0\0\0" + b"\0\0\0\0"


def test_an_array_of_another_type_is_refused() -> None:
    """A request whose items are floats: type 0 where the kind says 1."""
    data = bytearray(serialise(example(messages.Request)))
    data[10] = 0
    with pytest.raises(SpfedrecError, match="damaged"):
        parse(bytes(data))


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_and_every_flipped_byte_is_a_message_or_an_error(kind: type[Any]) -> None:
    data = serialise(example(kind))
    for end in range(len(data)):
        with pytest.raises(SpfedrecError):
            parse(data[:end])
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 0xFF
        with contextlib.suppress(SpfedrecError):
            parse(bytes(flipped))


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"SFR2" + d[4:], lambda d: d[:5], lambda d: b""]
)
def test_damaged_bytes_are_refused(damage: Any) -> None:
    with pytest.raises(SpfedrecError):
        parse(damage(serialise(example(messages.ClientUpdate))))
