"""Who does what in a team, and that a team of one is no team. Several processes: tests/engine/test_team.py."""

import numpy as np
import pytest
import torch
from worlds import build_world

from spfedrec_cli.federated.processes import ALONE, Shards, Team, TeamLost

TEAMS = [(count, size) for count in (1, 2, 4, 7) for size in (1, 2, 3, 4, 9)]


@pytest.mark.parametrize("count, size", TEAMS)
def test_every_client_lives_in_one_process_and_has_a_seat_of_its_own(count: int, size: int) -> None:
    clients = np.arange(53)
    homes = [Shards(count, Team(rank, size)) for rank in range(size)]
    assert (sum(shards.mine(clients).astype(int) for shards in homes) == 1).all()
    for shards in homes:
        here = clients[shards.mine(clients)]
        assert shards.seats(here).tolist() == list(range(len(here)))
        assert shards.seats(here[::-2]).tolist() == list(range(len(here)))[::-2]


def test_a_shard_does_not_depend_on_the_team() -> None:
    clients = np.arange(20)
    assert (Shards(4, Team(1, 2)).of(clients) == Shards(4, ALONE).of(clients)).all()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pieces_of_work_are_each_done_once(size: int) -> None:
    assert sorted(number for rank in range(size) for number in Team(rank, size).mine(11)) == list(range(11))


def test_a_team_of_one_sends_nothing_and_changes_nothing() -> None:
    for values in (torch.tensor([1, -2]), torch.tensor([[0.5, -0.0]])):
        before = values.clone()
        assert ALONE.sum(values) is values
        assert ALONE.merge(values) is values
        assert torch.equal(values, before)
    assert ALONE.told("Grüße") == "Grüße"


class Transport:
    """What `all_reduce` would do if the other process held `other`."""

    def __init__(self, other: torch.Tensor) -> None:
        self.other = other

    def __call__(self, integers: torch.Tensor) -> None:
        assert not integers.is_floating_point()
        integers += self.other.view(integers.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_merged_values_keep_their_bits(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    odd = torch.tensor([-0.0, float("nan"), 1e-42, float("-inf"), 1 / 3], dtype=dtype)
    mine, theirs = odd.clone(), odd.clone()
    mine[::2], theirs[1::2] = 0, 0
    monkeypatch.setattr(torch.distributed, "all_reduce", Transport(theirs))
    merged = Team(0, 2).merge(mine)
    width = torch.int32 if dtype == torch.float32 else torch.int64
    assert torch.equal(merged.view(width), odd.view(width))


def test_a_lost_process_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(integers: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1234\nC++ stack trace")

    monkeypatch.setattr(torch.distributed, "all_reduce", broken)
    with pytest.raises(TeamLost, match=r"has stopped \(Connection closed.*1234\); .*--resume\.$"):
        Team(0, 2).sum(torch.zeros(1, dtype=torch.int64))


def test_devices_of_another_process_are_not_held() -> None:
    whole = build_world()
    parts = [build_world(team=Team(rank, 2)) for rank in range(2)]
    for client, row in enumerate(whole.devices.purchased.lengths):
        assert sorted(part.devices.purchased.lengths[client] for part in parts) == [0, row]
    assert all((part.known.eligible == whole.known.eligible).all() for part in parts)
