"""Messages are what the ledger counts, to the byte, and what they were when they come back."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated import messages
from spfedrec_cli.federated.messages import KINDS, parse, serialise, size


def example(kind: type[Any]) -> Any:
    floats, ints = np.arange(6, dtype=np.float32), np.arange(4, dtype=np.int32)
    return {
        messages.Broadcast: lambda: messages.Broadcast(3, floats, ints, np.ones((4, 2), np.float32)),
        messages.Request: lambda: messages.Request(3, ints),
        messages.Embeddings: lambda: messages.Embeddings(3, np.ones((4, 2), np.float32)),
        messages.ClientUpdate: lambda: messages.ClientUpdate(3, ints, np.ones((4, 2), np.int32)),
        messages.PurchaseCounts: lambda: messages.PurchaseCounts(0, ints),
        messages.FirstTower: lambda: messages.FirstTower(1, floats),
        messages.ItemFields: lambda: messages.ItemFields(1, np.ones((5, 3), np.int32)),
        messages.WholeModel: lambda: messages.WholeModel(3, floats, np.ones(7, np.float32), ints),
        messages.WholeUpdate: lambda: messages.WholeUpdate(3, ints, np.ones(7, np.int32)),
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
    numbers = [np.asarray(getattr(sent, name)).size for name in names(sent)]
    assert size(numbers) == len(serialise(sent))


def test_a_request_by_hand() -> None:
    """Header 4 + 1 + 4 + 1, shape 1 + 4 + 4, two items of 4 bytes: 27."""
    data = serialise(messages.Request(7, np.array([1, 258], np.int32)))
    assert len(data) == 10 + 9 + 8
    assert data == b"SFR1" + b"\x01" + b"\x07\0\0\0" + b"\x01" + b"\x01\x02\0\0\0\0\0\0\0" + b"\x01\0\0\0\x02\x01\0\0"


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"SFR2" + d[4:], lambda d: d[:5], lambda d: b""]
)
def test_damaged_bytes_are_refused(damage: Any) -> None:
    with pytest.raises(SpfedrecError):
        parse(damage(serialise(example(messages.ClientUpdate))))
