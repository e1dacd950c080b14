"""What crosses goes through the channel: counted to the byte, recorded, transmitted; and nothing gets round it."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world, entries, merged

import spfedrec_cli.federated
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.simulation.state import initial_state, state_tensors
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel, Recorder, Role, Transmitter
from spfedrec_cli.federated.wire.messages import KINDS, Message, parse, serialise

REQUEST = messages.Request(3, np.array([4, 9], np.int32))
ANSWER = messages.Embeddings(3, np.ones((2, 5), np.float32))
SLATE = messages.PublishedSlate(3, np.arange(4, dtype=np.int32), np.zeros((4, 5), np.float32))


def test_sent_told_and_accounted_for_are_counted_alike() -> None:
    sent, accounted = Channel(3), Channel(3)
    received = sent.send(REQUEST, 7, Role.SERVER)
    sent.send(ANSWER, Role.SERVER, 7)
    shown = sent.tell(SLATE, np.array([7, 8, 9]))
    accounted.account(messages.Request, messages.size([2]))
    accounted.account(messages.Embeddings, [0, messages.size([10]), 0])
    accounted.account(messages.PublishedSlate, np.full(3, messages.size([4, 20])))
    assert entries(sent) == entries(accounted)
    assert sent.ledger().total("up") == len(serialise(REQUEST))
    assert sent.ledger().total("down") == len(serialise(ANSWER)) + 3 * len(serialise(SLATE))
    assert received.items.tolist() == [4, 9]
    assert shown.embeddings.shape == (4, 5)


def test_nothing_told_to_nobody() -> None:
    channel = Channel(3)
    channel.tell(SLATE, np.empty(0, np.int64))
    channel.account(messages.Request, [])
    assert entries(channel) == []


def test_the_other_ends_see_what_crosses_and_its_bytes() -> None:
    recorder, transmitted = Recorder(), list[Any]()
    ends = (recorder, Transmitter(lambda *way: transmitted.append(way)))
    channel = Channel(3, ends=ends)
    channel.send(REQUEST, 7, Role.SERVER)
    channel.send(ANSWER, Role.SERVER, 7)
    channel.tell(SLATE, np.array([7, 8]))
    ways = [(each.sender, each.receiver) for each in recorder.crossings]
    assert ways == [(7, Role.SERVER), (Role.SERVER, 7), (Role.SERVER, 7), (Role.SERVER, 8)]
    assert [(one, other) for one, other, _ in transmitted] == ways
    assert [type(parse(data)) for *_, data in transmitted] == [type(each.message) for each in recorder.crossings]
    assert [type(each.message).__name__ for each in recorder.view(8)] == ["PublishedSlate"]
    assert len(recorder.view(7)) == 3
    assert len(recorder.view(Role.SERVER)) == 4
    assert recorder.view(Role.AGGREGATOR) == []
    with pytest.raises(ValueError, match=r"train\.engine = reference"):
        channel.account(messages.Request, [10])


@pytest.mark.parametrize(
    "message, sender, receiver",
    [(REQUEST, Role.SERVER, 7), (REQUEST, 7, 8), (ANSWER, 7, Role.SERVER), (ANSWER, Role.SERVER, Role.AGGREGATOR)],
)
def test_no_message_goes_the_wrong_way(message: Message, sender: Any, receiver: Any) -> None:
    with pytest.raises(ValueError, match=r"goes (up|down), not from"):
        Channel(3).send(message, sender, receiver)


class Unheard:
    kind, direction, round = "gossip", "up", 3


MISSHAPEN = [
    replace(REQUEST, items=np.zeros((2, 2), np.int32)),
    replace(ANSWER, rows=np.zeros(5, np.float32)),
    replace(SLATE, embeddings=np.zeros((3, 5), np.float32)),
    messages.ChainCommitment(3, np.zeros(3, np.int32), np.zeros(32, np.uint8)),
    messages.ChainCommitment(3, np.zeros(2, np.int32), np.zeros(31, np.uint8)),
]


def test_what_is_not_declared_is_refused() -> None:
    with pytest.raises(SpfedrecError, match="Unheard is no message"):
        Channel(3).send(Unheard(), 7, Role.SERVER)  # type: ignore[type-var]
    with pytest.raises(KeyError):
        Channel(3).account(Unheard, [5])  # type: ignore[arg-type]
    for message in MISSHAPEN:
        ways: tuple[Any, Any] = (7, Role.SERVER) if message.direction == "up" else (Role.SERVER, 7)
        with pytest.raises(SpfedrecError, match=rf"A message {message.kind} has .* not of shape"):
            Channel(3).send(message, *ways)
        with pytest.raises(SpfedrecError):
            parse(serialise(message))
    with pytest.raises(SpfedrecError, match=r"request has items \(n\), and not of shape \(2,\)"):
        Channel(3, {"n": 1}).send(REQUEST, 7, Role.SERVER)


@pytest.mark.parametrize("place", [15, 19])
def test_a_header_that_promises_more_than_there_is_is_refused(place: int) -> None:
    """Four bytes of a shape, all ones: rows, and columns where there should be none."""
    data = bytearray(serialise(REQUEST))
    data[place - 4 : place] = b"\xff" * 4
    with pytest.raises(SpfedrecError, match="cut short or damaged"):
        parse(bytes(data))


def test_a_world_bounds_what_may_cross_in_it() -> None:
    """No more members than clients, no more items than the catalogue has, no more weights than the tower."""
    world = build_world()
    chain, most = np.zeros(2, np.int32), {"C": len(world.known.eligible), "U": world.n_items, "P": world.known.width}
    ids, nothing = (lambda n: np.arange(n, dtype=np.int32)), np.empty((0, 8), np.float32)
    made: dict[str, Any] = {
        "C": lambda n: messages.ChainCommitments(1, chain, ids(n), np.zeros((n, 32), np.uint8)),
        "U": lambda n: messages.ChainInvitation(1, chain, ids(1), ids(n)),
        "P": lambda n: messages.Broadcast(1, np.zeros(n, np.float32), ids(0), nothing),
    }
    for letter, of in made.items():
        world.channel(1).send(of(most[letter]), Role.SERVER, 1)
        with pytest.raises(SpfedrecError, match="and not of shape"):
            world.channel(1).send(of(most[letter] + 1), Role.SERVER, 1)


def test_processes_count_the_clients_that_live_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes: sums are summed, and the largest is that of both."""
    mine, other = Channel(3), Channel(3)
    mine.account(messages.Request, [10, 20])
    other.account(messages.Request, [30])
    other.account(messages.Embeddings, [5])
    seen = [other, mine]

    def both(team: Team, integers: torch.Tensor) -> torch.Tensor:
        """What the other process would add: it has no entry where this one has its largest."""
        counted = list(seen[0]._counted.values())
        if integers.shape[1] == 2 and not integers.any(0)[1:].any() and team.size == 2 and seen[1] is None:
            return integers
        if len(calls) == 0:
            integers += torch.tensor([[each.count, each.bytes] for each in counted])
        else:
            integers[:, 1] += torch.tensor([each.largest for each in counted])
        calls.append(1)
        return integers

    calls = list[int]()
    monkeypatch.setattr(Team, "sum", both)
    found = [entry.as_dict() for entry in mine.ledger(Team(0, 2)).entries]
    alike = {"round": 3}
    assert found == [
        {**alike, "kind": "request", "direction": "up", "count": 3, "bytes": 60, "largest": 30},
        {**alike, "kind": "embeddings", "direction": "down", "count": 1, "bytes": 5, "largest": 5},
    ]


WORLDS: dict[str, dict[str, Any]] = {
    "paper": {},
    "a tower of one's own": {"client": {"private_state": "tower"}},
    "slates": {"request": {"mode": "slate", "slate_size": 10}},
    "chains": {"federated": {"aggregation": "ring", "chain_length": 3}},
    "drop-outs": {"federated": {"aggregation": "ring", "chain_length": 3, "dropout": 0.3}},
    "full": {"federated": {"strategy": "full"}},
}
REFERENCE = {"train": {"engine": "reference"}}


@pytest.mark.parametrize("name", WORLDS)
def test_a_recorder_hears_all_that_the_ledger_counts(name: str) -> None:
    recorder = Recorder()
    world = replace(build_world(merged(WORLDS[name], REFERENCE)), ends=(recorder,))
    strategy, state = STRATEGIES[world.config.federated.strategy], initial_state(world)
    for _ in range(2):
        recorder.crossings.clear()
        state, report = strategy(state, world)
        heard: dict[str, list[int]] = {}
        for each in recorder.crossings:
            heard.setdefault(each.message.kind, []).append(len(serialise(each.message)))
        counted = {entry.kind: (entry.count, entry.bytes, entry.largest) for entry in report.ledger.entries}
        assert {kind: (len(sizes), sum(sizes), max(sizes)) for kind, sizes in heard.items()} == counted


# What a party would do with a message that reached it otherwise than through the channel, changing it shows.
CHANGES = {
    messages.PurchaseCounts: "counts",
    messages.Broadcast: "query",
    messages.Embeddings: "rows",
    messages.ClientUpdate: "items",
    messages.PublishedSlate: "embeddings",
    messages.WholeModel: "item",
    messages.WholeUpdate: "item",
}
CROSSING = [
    *[("paper", kind) for kind in (messages.PurchaseCounts, messages.Broadcast, messages.Embeddings)],
    ("paper", messages.ClientUpdate),
    ("slates", messages.PublishedSlate),
    ("slates", messages.ClientUpdate),
    ("full", messages.WholeModel),
    ("full", messages.WholeUpdate),
]


@pytest.mark.parametrize("name, kind", CROSSING)
def test_nobody_gets_round_the_channel(monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Any]) -> None:
    """What is changed on its way changes what comes of the round: its receiver has it from nowhere else."""

    def after() -> dict[str, torch.Tensor]:
        world = build_world(merged(WORLDS[name], REFERENCE))
        return state_tensors(STRATEGIES[world.config.federated.strategy](initial_state(world), world)[0])

    before, cross = after(), Channel._cross

    def changed(channel: Channel, message: Any, *way: Any) -> Any:
        received = cross(channel, message, *way)
        if type(received) is not kind:
            return received
        return replace(received, **{CHANGES[kind]: getattr(received, CHANGES[kind])[::-1].copy()})

    monkeypatch.setattr(Channel, "_cross", changed)
    assert not all(torch.equal(before[key], tensor) for key, tensor in after().items())


def test_only_the_channel_makes_bytes_of_messages() -> None:
    """And the digest of a chain, over what its members were told."""
    makers = set()
    for file in Path(spfedrec_cli.federated.__path__[0]).rglob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Name)}
        if {"serialise", "parse"} & names:
            makers.add(file.name)
    assert makers == {"channel.py", "terms.py"}


def test_every_kind_has_a_way_and_a_meaning() -> None:
    assert len({kind.kind for kind in KINDS}) == len(KINDS)
    assert {kind.direction for kind in KINDS} == {"up", "down"}
    assert all(kind.meaning for kind in KINDS)
