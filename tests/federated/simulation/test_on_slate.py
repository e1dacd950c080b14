"""Rounds in which nobody requests anything: slate and catalogue."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from worlds import SMALL, at_round, build_world, merged

from spfedrec_cli import run
from spfedrec_cli.config import validate
from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.device import client as device_client
from spfedrec_cli.federated.device.client import split_batches
from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.sampling.slate import Slate
from spfedrec_cli.federated.server.item_tower import serve
from spfedrec_cli.federated.server.publishing import draw_slate
from spfedrec_cli.federated.simulation import compiled, on_slate, one_by_one
from spfedrec_cli.federated.simulation.beginning import publish_popularity
from spfedrec_cli.federated.simulation.making import make_world
from spfedrec_cli.federated.simulation.on_slate import publish_catalogue, start_on_slate, without_target
from spfedrec_cli.federated.simulation.round import CohortResult, Start
from spfedrec_cli.federated.simulation.state import State, initial_state, state_from_tensors, state_tensors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire import messages

SLATE: dict[str, Any] = {"request": {"mode": "slate", "slate_size": 10, "refresh": 3}}
CATALOGUE: dict[str, Any] = {"request": {"mode": "catalogue"}}


def rounds(world: World, count: int, state: State | None = None) -> tuple[State, list[Report]]:
    state, reports = state or initial_state(world), []
    for _ in range(count):
        state, report = split_round(state, world)
        reports.append(report)
    return state, reports


def towers(state: State) -> str:
    """The bits of both, with their moments."""
    return run.digest({name: each for name, each in state_tensors(state).items() if name.startswith(("query", "item"))})


KEY = np.array([1, 2], np.uint64)


def slate_of(world: World, state: State) -> I64:
    """The items that are published in the next round."""
    return draw_slate(state.server, world.known, world.kept.rotation).items


def opened(world: World, state: State) -> Start:
    """Everybody at once, on the slate of the next round."""
    channel, everybody = world.channel(state.round + 1), world.known.eligible
    state = publish_popularity(state, world, channel)
    state = publish_catalogue(state, world, everybody, channel)
    return start_on_slate(state, world, everybody, channel)


@pytest.mark.parametrize("mode", [CATALOGUE, {"request": {"mode": "slate", "slate_size": 99}}])
@pytest.mark.parametrize("private", ["none", "embedding", "tower"])
def test_a_slate_of_everything_is_paper_with_a_pool_of_everything(mode: dict[str, Any], private: str) -> None:
    """The same targets, histories, negatives and embeddings, and so the same bits. (Obfuscating items would be in the
    pool as well, and be summed in another order.)"""
    kept = {"client": {"private_state": private, "pool_size": 99}, "request": {"rate": 0.0}}
    one, _ = rounds(build_world(merged(kept, mode)), 4)
    two, _ = rounds(build_world(kept), 4)
    assert towers(one) == towers(two)
    assert private == "none" or torch.equal(one.private, two.private)  # type: ignore[arg-type]


def test_targets_are_purchases_in_the_slate() -> None:
    """Of eight purchases four would be targets; three are in the slate, and all of them are, in batches of two."""
    config = build_world({"client": {"target_share": 0.5, "batch_size": 2, "local_epochs": 2}}).config
    eligible = np.array([False, True, False, False, True, True, False, False])
    batches = split_batches(config, KEY, 1, 8, eligible)
    assert [int(batch.sum()) for batch in batches] == [2, 1, 2, 1]
    for epoch in (batches[:2], batches[2:]):
        assert sum(batch.int() for batch in epoch).tolist() == eligible.astype(int).tolist()  # type: ignore[union-attr]
    most = split_batches(config, KEY, 1, 8, np.arange(8) > 1)
    assert sum(int(batch.sum()) for batch in most) == 8
    assert not split_batches(config, KEY, 1, 8, np.zeros(8, bool))


@pytest.mark.parametrize("engine", ["simulation", "reference"])
@pytest.mark.parametrize("private", ["none", "embedding", "tower"])
def test_a_client_without_target_uploads_zeros_and_is_counted(engine: str, private: str) -> None:
    """Whatever the optimiser; its private state stays as it was."""
    local = {"private_state": private, "optimizer": "adam", "batch_size": 1}
    world = build_world(merged(SLATE, {"client": local, "train": {"engine": engine, "shards": 1}}), [1] * 12)
    state, _ = rounds(world, 2)
    start = opened(world, state)
    slate = start.published.slate
    assert slate is not None
    idle = ~np.isin(world.devices.purchased.values, slate.items)
    assert 0 < idle.sum() == without_target(world, start, np.ones(12, np.bool_)) < 12
    cohort = start.cohort
    alone = replace(
        cohort,
        clients=cohort.clients[idle],
        keys=cohort.keys[idle],
        own=cohort.own.take(np.flatnonzero(idle)),
        hidden=cohort.hidden.take(np.flatnonzero(idle)),
        silent=cohort.silent[idle],
        private=None if cohort.private is None else cohort.private[torch.from_numpy(idle)],
    )
    train = compiled.train_cohort if engine == "simulation" else one_by_one.train_one_by_one
    result = train(world, start.published, alone, world.channel(3))
    assert result.sums.clients == idle.sum()
    assert not result.sums.query.count_nonzero()
    assert not result.sums.items.count_nonzero()
    assert not result.losses.count_nonzero()
    assert private == "none" or torch.equal(result.private, alone.private)  # type: ignore[arg-type]


def test_a_client_without_target_takes_as_many_steps_as_one_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the answer would come sooner."""
    world = build_world(merged(SLATE, {"train": {"engine": "reference"}}), [1] * 12)
    state, _ = rounds(world, 1)
    start, steps, taken = opened(world, state), list[int](), device_client._gradients

    def counted(device: device_client.Device, *more: Any) -> Any:
        steps.append(device.client)
        return taken(device, *more)

    monkeypatch.setattr(device_client, "_gradients", counted)
    one_by_one.train_one_by_one(world, start.published, start.cohort, world.channel(2))
    assert without_target(world, start, np.ones(12, np.bool_)) > 0
    assert sorted(steps) == start.cohort.clients.tolist()


def test_the_report_counts_them_and_its_loss_leaves_them_out() -> None:
    """Of 7 clients with one purchase each, those in whose slate it is have a loss, and the mean is over them."""
    world = build_world(SLATE, [1] * 12)
    state, (report,) = rounds(world, 1)
    slate = draw_slate(at_round(state, 0).server, world.known, world.kept.rotation)
    cohort = draw_cohort(world.config.federated, world.known.eligible, world.seed, 1)
    having = cohort[np.isin(world.devices.purchased.take(cohort).values, slate.items)]
    assert report.clients == 7
    assert report.without_target == 7 - len(having) > 0
    state, channel = publish_popularity(initial_state(world), world, world.channel(1)), world.channel(1)
    start = start_on_slate(publish_catalogue(state, world, cohort, channel), world, having, channel)
    losses = one_by_one.train_one_by_one(world, start.published, start.cohort, channel).losses
    assert len(having) == len(losses) > 0
    assert report.loss == pytest.approx(float(losses.mean()), rel=1e-4)
    assert rounds(build_world(CATALOGUE, [1] * 12), 1)[1][0].without_target == 0
    assert rounds(build_world({}, [1] * 12), 1)[1][0].without_target == 0


def test_only_the_rows_of_the_slate_are_summed() -> None:
    world = build_world(SLATE)
    start = opened(world, initial_state(world))
    slate = start.published.slate
    assert slate is not None
    assert len(start.published.rows) > len(slate.items)
    for train in (compiled.train_cohort, one_by_one.train_one_by_one):
        assert train(world, start.published, start.cohort, world.channel(1)).sums.items.shape == (len(slate.items), 8)
    assert start.served.embeddings.shape == (len(slate.items), 8)


def kinds(report: Report) -> list[str]:
    return [entry.kind for entry in report.ledger.entries]


def test_nobody_requests_anything() -> None:
    _, reports = rounds(build_world(SLATE), 5)
    each = ["broadcast", "slate", "update"]
    assert kinds(reports[0]) == ["popularity", "catalogue", *each]
    assert kinds(reports[3]) == ["catalogue", *each]
    _, reports = rounds(build_world(merged(SLATE, {"model": {"history": "none"}})), 2)
    assert [kinds(report) for report in reports] == [["popularity", *each], each]
    _, reports = rounds(build_world(CATALOGUE), 2)
    assert [kinds(report) for report in reports] == [each, each]


def test_the_ledger_counts_real_bytes() -> None:
    """The catalogue of 50 items in 8 dimensions: 10 + 9 + 4 · 8 + 9 + 50 · 8. The engines' own messages are compared
    in test_equivalence.py."""
    world = build_world(SLATE)
    _, reports = rounds(world, 1)
    entry = next(entry for entry in reports[0].ledger.entries if entry.kind == "catalogue")
    codes = np.zeros((50, 8), np.int8).view(np.uint8)
    real = messages.serialise(messages.PublishedCatalogue(1, np.zeros(8, np.float32), codes))
    assert (entry.largest, entry.count, entry.bytes) == (len(real), 7, 7 * len(real))
    assert len(real) == 10 + 9 + 32 + 9 + 400


def test_a_state_that_was_stored_goes_on_to_the_same_bytes_and_bits() -> None:
    """From between two publications, in a world that remembers nothing."""
    world = build_world(SLATE)
    state, _ = rounds(world, 4)
    tensors = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
    on, reports = rounds(world, 4, state)
    again, others = rounds(build_world(SLATE), 4, state_from_tensors(4, tensors, None))
    assert run.digest(state_tensors(on)) == run.digest(state_tensors(again))
    for report, other in zip(reports, others, strict=True):
        assert report.ledger.entries == other.ledger.entries


def test_the_catalogue_is_of_the_round_in_which_it_was_published() -> None:
    """Without dropout, and kept until the next one."""
    world = build_world(merged(SLATE, {"model": {"id_dropout": 0.9}}))
    state, _ = rounds(world, 3)
    before = state.catalogue
    assert before is not None
    items = np.arange(world.n_items)
    fresh = serve(world.config.model, state.item, world.known.items, items, 0.0, world.seed, 4).embeddings
    state, _ = rounds(world, 1, state)
    assert state.catalogue is not None
    assert (state.catalogue.codes != before.codes).any()
    torch.testing.assert_close(state.catalogue.rows(items), fresh, rtol=0, atol=1 / 254 + 1e-6)
    later, _ = rounds(world, 2, state)
    assert later.catalogue is state.catalogue


def test_popularity_that_is_given_is_asked_of_nobody() -> None:
    made = build_world(SLATE)
    counts = np.zeros(made.n_items, np.int64)
    counts[7] = 1000
    tables = made.known.items, made.devices.fields, made.devices.purchased
    world = make_world(validate(merged(SMALL, SLATE)), *tables, given_popularity=lambda: counts)
    state, reports = rounds(world, 3)
    assert "popularity" not in kinds(reports[0])
    assert state.popularity is not None
    assert state.popularity.tolist() == counts.tolist()
    shown = [slate_of(world, at_round(state, round_)) for round_ in range(8)]
    assert all(7 in items for items in shown)


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"client\.negatives = both has no meaning .*; set client\.negatives=public"):
        build_world(merged(SLATE, {"client": {"negatives": "both"}}))
    with pytest.raises(InputError, match=r"client\.negatives = request has no meaning under request\.mode = slate"):
        build_world(merged(SLATE, {"client": {"negatives": "request"}}))
    with pytest.raises(InputError, match=r"under request\.mode = catalogue"):
        build_world(merged(CATALOGUE, {"client": {"negatives": "request"}}))
    wide = {"model": {"dim": 1024}}
    with pytest.raises(InputError, match=r"gradients of 1,030 items.* 4\.0 MiB of at most 4 MiB.*request\.mode=slate"):
        build_world(merged(CATALOGUE, wide), [515])
    with pytest.raises(InputError, match=r"request\.slate_size=1024"):
        build_world(merged({"request": {"mode": "slate", "slate_size": 1030}}, wide), [515])


@pytest.mark.parametrize("engine", ["simulation", "reference"])
def test_a_slate_of_one_item_or_none_at_all_is_a_round(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """Small strata are in some slates with one item and in others with none."""
    tiny = {"request": {"mode": "slate", "slate_size": 2}, "train": {"engine": engine}}
    world = build_world(tiny)
    state, reports = rounds(world, 20)
    sizes = {len(slate_of(world, at_round(state, round_))) for round_ in range(200)}
    assert {1, 2} <= sizes
    assert all(0 < report.without_target <= report.clients == 7 for report in reports)
    before = towers(state)
    monkeypatch.setattr(on_slate, "draw_slate", lambda *told: Slate(np.empty(0, np.int64)))
    state, (report,) = rounds(world, 1, state)
    assert report.without_target == report.clients == 7
    assert report.loss == 0
    assert (towers(state) != before) == (world.config.server.beta1 > 0)  # momentum goes on by itself


PERTURBATIONS = {
    "slate that the client is told": ("slate_message", lambda f: lambda *told: other_rows(f(*told))),
    "catalogue that the client keeps": ("catalogue_message", lambda f: lambda *told: other_codes(f(*told))),
}


def other_rows(slate: messages.PublishedSlate) -> messages.PublishedSlate:
    return replace(slate, embeddings=slate.embeddings[::-1])


def other_codes(catalogue: messages.PublishedCatalogue) -> messages.PublishedCatalogue:
    return replace(catalogue, steps=catalogue.steps * np.float32(1.5))


@pytest.mark.parametrize("name", [None, *PERTURBATIONS])
def test_what_is_published_matters_to_both_engines(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    """Equal to one unit a client of 5e-5, unless one side is told something else."""
    world = build_world(SLATE)
    state = rounds(world, 2)[0]
    sides: list[CohortResult] = []
    for train in (compiled.train_cohort, one_by_one.train_one_by_one):
        start = opened(world, state)
        sides.append(train(world, start.published, start.cohort, world.channel(3)))
        if name is not None:
            attribute, change = PERTURBATIONS[name]
            for module in (on_slate, one_by_one):
                if hasattr(module, attribute):
                    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    apart = (sides[0].sums.query.long() - sides[1].sums.query.long()).abs().max()
    assert (int(apart) <= len(world.known.eligible)) == (name is None)
