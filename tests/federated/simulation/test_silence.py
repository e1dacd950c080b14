"""Clients that fall silent, phase by phase: what crosses until then, who is in the sum, who keeps what it learned."""

from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world, merged

from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.cohort import Phase, fall_silent
from spfedrec_cli.federated.simulation import round as round_module
from spfedrec_cli.federated.simulation.state import State, initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.split import ENGINES, split_round
from spfedrec_cli.federated.strategies.table import STRATEGIES

LENGTHS = [4, 5, 6, 7, 8, 9, 3, 4, 5]
EVERYBODY = {"federated": {"cohort_size": 9, "chain_length": 9}, "client": {"private_state": "embedding"}}


def a_round(monkeypatch: pytest.MonkeyPatch, silent: dict[int, Phase], **federated: Any) -> tuple[State, Report]:
    """Of nine clients, in which those named fall silent."""

    def falling(settings: Any, phases: Any, clients: np.ndarray, *address: int) -> np.ndarray:
        return np.array([silent.get(client, Phase.NEVER) for client in clients.tolist()], np.int64)

    monkeypatch.setattr(round_module, "fall_silent", falling)
    engine = federated.pop("engine", "simulation")
    world = build_world(merged(EVERYBODY, {"federated": federated, "train": {"engine": engine}}), LENGTHS)
    return split_round(initial_state(world), world)


def kept(state: State) -> list[int]:
    """Who has another private embedding than at first."""
    assert state.private is not None
    return state.private.abs().sum(1).nonzero()[:, 0].tolist()


def counts(report: Report) -> dict[str, int]:
    return {entry.kind: entry.count for entry in report.ledger.entries}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_phase_of_a_plain_sum(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    silent = {1: Phase.REQUEST, 4: Phase.UPLOAD, 6: Phase.AFTER}
    state, report = a_round(monkeypatch, silent, engine=engine)
    crossed = counts(report)
    assert [crossed[kind] for kind in ("broadcast", "request", "embeddings", "update")] == [9, 8, 8, 7]
    assert (report.clients, report.survivors) == (9, 7)
    assert report.silent == {"request": 1, "upload": 1, "after": 1}
    assert kept(state) == [0, 2, 3, 5, 6, 7, 8]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "phase, uploaded",
    [(Phase.REQUEST, 8), (Phase.SEAL, 0), (Phase.REVEAL, 0), (Phase.UPLOAD, 8), (Phase.AFTER, 9)],
)
def test_private_state_is_kept_if_and_only_if_the_upload_was_made(
    monkeypatch: pytest.MonkeyPatch, phase: Phase, uploaded: int, engine: str
) -> None:
    """In a chain of all: before its roster nobody uploads; after it all but the silent one do, for nothing. Before that
    all nine have summed their purchases once, in a chain of their own."""
    state, report = a_round(monkeypatch, {4: phase}, aggregation="ring", engine=engine)
    assert counts(report)["masked"] == 9 + uploaded
    assert kept(state) == [client for client in range(9) if client != 4 or phase == Phase.AFTER] * (uploaded > 0)
    whole = phase in (Phase.REQUEST, Phase.AFTER)
    assert (report.survivors, report.aborted) == ((uploaded, 0) if whole else (0, 1))
    assert report.silent == {each.name.lower(): int(each == phase) for each in AGGREGATIONS["ring"].phases}


@pytest.mark.parametrize(
    "mode", [{"request": {"mode": "slate", "slate_size": 12}}, {"federated": {"strategy": "full"}}]
)
def test_who_never_answers_is_told_and_no_more(mode: dict[str, Any]) -> None:
    world = build_world(merged(EVERYBODY, {"federated": {"dropout": 0.6}}, mode), LENGTHS)
    state = initial_state(world)
    for _ in range(3):
        before = state.private.clone() if state.private is not None else None
        state, report = STRATEGIES[world.config.federated.strategy](state, world)
        crossed = counts(report)
        assert crossed.get("broadcast", crossed.get("model")) == 9
        answered = crossed.get("update", crossed.get("delta", 0))
        assert answered == report.survivors == 9 - report.silent["request"] - report.silent["upload"]
        assert before is not None
        assert state.private is not None
        assert int((state.private != before).any(1).sum()) <= answered


def test_phases_are_drawn_once_and_evenly() -> None:
    settings, clients = build_world({"federated": {"dropout": 0.3}}).config.federated, np.arange(30_000)
    phases = AGGREGATIONS["ring"].phases
    drawn = fall_silent(settings, phases, clients, 1, 2)
    assert drawn.tolist() == fall_silent(settings, phases, clients, 1, 2).tolist()
    assert drawn[17] == fall_silent(settings, phases, np.array([17]), 1, 2)[0]
    shares = np.bincount(drawn, minlength=6) / len(clients)
    np.testing.assert_allclose(shares, [0.06] * 5 + [0.7], atol=4 * np.sqrt(0.21 / len(clients)))
    assert drawn.tolist() != fall_silent(settings, phases, clients, 1, 3).tolist()


def towers(world: World) -> list[torch.Tensor]:
    state = initial_state(world)
    for _ in range(2):
        state, _ = split_round(state, world)
    return [*state.query.values(), *state.item.values()]


def test_who_is_silent_after_the_upload_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_module, "fall_silent", lambda s, p, clients, *a: np.full(len(clients), Phase.AFTER))
    silent = towers(build_world(EVERYBODY, LENGTHS))
    monkeypatch.undo()
    assert all(torch.equal(*pair) for pair in zip(silent, towers(build_world(EVERYBODY, LENGTHS)), strict=True))
