"""A round with the server on another device, in every mode: pretended where there is no GPU, real where there is one.

Clients train on the CPU all the same, by the compiled loop.
"""

from typing import Any

import pytest
import torch
from devices import THERE, Astray, Place, as_elsewhere, pretended
from federated.simulation.test_equivalence import assert_equal, every_pair, trained_a_little
from worlds import build_world, merged

from spfedrec_cli import run
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.simulation import compiled, round
from spfedrec_cli.federated.simulation.state import State, initial_state, stored_tensors
from spfedrec_cli.federated.strategies import rounds
from spfedrec_cli.placement import CPU, chosen, repeatable

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that CUDA can use")
SLATE = {"mode": "slate", "slate_size": 10}
MODES = {
    "one step, a public pool": {},
    "an embedding, recency": {"client": {"private_state": "embedding"}, "model": {"history": "recency"}},
    "a tower, Adam in batches": {
        "client": {"private_state": "tower", "negatives": "request", "optimizer": "adam", "batch_size": 3},
    },
    "a pool by popularity": {"client": {"pool": "popularity", "pool_size": 12}},
    "both kinds of negatives": {"client": {"negatives": "both", "batch_size": 3}},
    "a slate": {"request": SLATE},
    "a slate and chains": {"request": SLATE, "federated": {"aggregation": "ring", "chain_length": 3}},
    "a slate, one device at a time": {"request": SLATE, "train": {"engine": "reference"}},
    "the whole catalogue": {"request": {"mode": "catalogue"}},
    "one device at a time": {"client": {"private_state": "embedding"}, "train": {"engine": "reference"}},
}


# Where a round moves something: to the server's device, or from it to the clients.
MOVING = (
    "catalogue.py",
    "round.py",
    "features.py",
    "item_tower.py",
    "opening.py",
    "optimizers.py",
    "state.py",
    "rounds.py",
)


@pytest.fixture(autouse=True)
def comparable(monkeypatch: pytest.MonkeyPatch) -> None:
    as_elsewhere(monkeypatch)


def digest(state: State) -> str:
    private = {} if state.private is None else {"private": state.private}
    return run.digest(stored_tensors(state) | private)


def after_a_round(settings: dict[str, Any], device: torch.device = CPU) -> str:
    world = build_world(settings, device=device)
    return digest(rounds.split_round(initial_state(world), world)[0])


@pytest.mark.parametrize("setting", [*every_pair(), *MODES.values()])
def test_nothing_is_left_behind_and_the_bits_are_the_same(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, Any]
) -> None:
    """The server computes on the device, by the same operations; clients read nothing that lies there."""
    expected = after_a_round(setting)
    with pretended(monkeypatch) as device:
        assert after_a_round(setting, device) == expected


def test_a_move_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[Place, dict[str, Any]] = {}
    for setting in MODES.values():
        moves: set[Place] = set()
        with pretended(monkeypatch, moves) as device:
            after_a_round(setting, device)
        found = dict.fromkeys(moves, setting) | found
    assert {file for file, _ in found} == {*MOVING}
    assert [place for place, setting in found.items() if not is_noticed(monkeypatch, place, setting)] == []


def is_noticed(monkeypatch: pytest.MonkeyPatch, place: Place, setting: dict[str, Any]) -> bool:
    try:
        with pretended(monkeypatch, without=place) as device:
            after_a_round(setting, device)
    except Astray:
        return True
    return False


@pytest.mark.parametrize("aggregation", ["sum", "ring"])
def test_clients_train_by_the_compiled_loop_from_what_is_fetched_once(
    monkeypatch: pytest.MonkeyPatch, aggregation: str
) -> None:
    """Every survivor passes through the loop, also a client at a time; θ_u and ṽ cross once, weight by weight."""
    trained, brought, train = list[int](), list[torch.Size](), compiled._train

    def watched(layout: Any, some: range, uploads: Any) -> int:
        trained.extend(some)
        return train(layout, some, uploads)

    with pretended(monkeypatch) as device, monkeypatch.context() as patch:
        chains = {"aggregation": aggregation, "chain_length": 3}
        world = build_world({"federated": chains}, device=device)
        start, fetched = initial_state(world), round.fetched
        patch.setattr(compiled, "COORDINATES", 1)
        patch.setattr(compiled, "_train", watched)
        patch.setattr(round, "fetched", lambda values: (brought.append(values.shape), fetched(values))[1])
        _, report = rounds.split_round(start, world)
    assert trained == list(range(report.clients))
    assert brought == [*(weight.shape for weight in start.query.values()), (brought[-1][0], 8)]


def test_what_is_private_stays_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch) as device:
        world = build_world({"client": {"private_state": "embedding"}}, device=device)
        state, _ = rounds.split_round(initial_state(world), world)
        assert state.private is not None
        assert state.popularity is not None
        of_clients = state.private, state.popularity, world.devices.fields.codes
        assert [tensor.device == THERE for tensor in of_clients] == [False] * 3
        assert {tensor.device == THERE for tensor in state.query.values()} == {True}
        assert {tensor.device == THERE for tensor in state.item_moments.steps.values()} == {True}


@pytest.mark.parametrize("transport_there", [True, False])
@pytest.mark.parametrize("values_there", [True, False])
def test_sums_cross_where_the_transport_wants_them(
    monkeypatch: pytest.MonkeyPatch, transport_there: bool, values_there: bool
) -> None:
    with pretended(monkeypatch) as device:
        places = {True: device, False: CPU}

        def all_reduce(integers: torch.Tensor) -> None:
            assert (integers.device == THERE) == transport_there
            integers.mul_(2)

        monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
        values = torch.full((2, 3), 5, device=places[values_there])
        assert Team(0, 2, places[transport_there]).sum(values) is values
        assert values.tolist() == [[10] * 3] * 2
        assert (values.device == THERE) == values_there


def test_the_pretended_device_refuses_what_a_gpu_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch) as device:
        there, here = torch.ones(3, device=device), torch.ones(3)
        assert (there + torch.tensor(1.0)).tolist() == [2.0] * 3
        with pytest.raises(Astray, match="mixes"):
            there + here
        with pytest.raises(Astray, match="mixes"):
            there[1:].view(2, 1).index_select(0, torch.tensor([0]))
        with pytest.raises(Astray, match="NumPy"):
            (there * 2).numpy()
        with pytest.raises(Astray, match="64-bit"):
            there.double()


@CUDA
@pytest.mark.parametrize("setting", every_pair())
def test_on_a_gpu_simulation_equals_reference(setting: dict[str, Any]) -> None:
    world = build_world(setting, device=repeatable(chosen("cuda")))
    assert_equal(world, trained_a_little(world, 3), len(world.known.eligible))


@CUDA
@pytest.mark.parametrize("setting", [*every_pair(), *MODES.values()])
def test_on_a_gpu_the_same_bits_twice(setting: dict[str, Any]) -> None:
    many = merged(setting, {"federated": {"cohort_size": 200}})
    device, lengths = repeatable(chosen("cuda")), [1 + (7 * client) % 40 for client in range(200)]
    one, two = (digest(trained_a_little(build_world(many, lengths, device=device), 3)) for _ in range(2))
    assert one == two


REQUESTS = {"paper": {}, "slate": SLATE, "catalogue": {"mode": "catalogue"}}


@CUDA
@pytest.mark.parametrize("private", ["none", "embedding", "tower"])
@pytest.mark.parametrize("mode", REQUESTS)
def test_on_a_gpu_rounds_come_to_what_they_come_to_on_the_cpu(mode: str, private: str) -> None:
    """Not to the bit: the server adds floats up in another order there."""
    setting = {"request": REQUESTS[mode], "client": {"private_state": private}}
    there, here = (
        trained_a_little(build_world(setting, device=device), 3) for device in (repeatable(chosen("cuda")), CPU)
    )
    assert {tensor.device.type for tensor in there.item.values()} == {"cuda"}
    one, two = stored_tensors(there), stored_tensors(here)
    for name in two:
        if name.startswith(("query/", "item/")):
            torch.testing.assert_close(one[name], two[name], rtol=1e-2, atol=2e-3)
    torch.testing.assert_close(there.private, here.private, rtol=1e-3, atol=1e-4)
