"""Rounds of the second stage: single devices against the whole cohort at once, and what crosses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import build_world, entries

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.federated.device import ranking as device
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.server.ranking import RankingState, ranking_step, start
from spfedrec_cli.federated.simulation import labelled as memory
from spfedrec_cli.federated.simulation.labelled import Labelled, sum_weeks
from spfedrec_cli.federated.simulation.ranking import RankingRound, rank_cohort
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.ranking import BEFORE, first_ranking, ranking_round
from spfedrec_cli.federated.wire.channel import Channel, Recorder, Role
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import PublishedWeeks, Ranker, RankerUpdate
from spfedrec_cli.second_stage.examples import Catalogue, Moments
from spfedrec_cli.second_stage.features import columns
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.losses import LOSSES
from spfedrec_cli.second_stage.rows import Rows

UNTIL = 100
RING = {"federated": {"aggregation": "ring", "chain_length": 3}}


def a_world(more: dict[str, Any] | None = None, **second: Any) -> World:
    """Ten clients, one of whom bought nothing."""
    stage = {"rounds": 3, "cohort_size": 7, "hidden": 4, "label_weeks": 2, "popular": 5, **second}
    return build_world({"second_stage": stage, **(more or {})})


def labelled_in(world: World, seed: int = 0) -> Labelled:
    """Purchases of its clients on random days, the more the more they bought."""
    draw = np.random.default_rng(seed)
    lengths = 6 * world.devices.purchased.lengths
    items = Ragged.from_lengths(lengths, draw.integers(0, 12, lengths.sum()))
    day = np.concatenate([np.sort(draw.integers(0, UNTIL, length)) for length in lengths]).astype(np.int32)
    rows = Rows(items, day, np.ones(len(day), np.int32))
    shop = Catalogue(world.n_items, columns([], np.zeros((world.n_items, 0), np.int32), days=True), repeats=True)
    return Labelled(rows, UNTIL, 6, Moments((93, 86)), (5, 4), shop)


def engines(world: World) -> tuple[World, World]:
    """The same world with either engine."""
    train = world.config.train.model_copy(update={"engine": "reference"})
    config = world.config.model_copy(update={"train": train})
    return world, replace(world, known=replace(world.known, config=config))


@pytest.mark.parametrize("more", [{}, RING, {"federated": {"dropout": 0.4}}], ids=["sum", "ring", "some fall silent"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", FORMS)
def test_a_cohort_at_once_does_what_single_devices_do(form: str, loss: str, more: dict[str, Any]) -> None:
    fast, plain = engines(a_world(more, form=form, loss=loss))
    state, other = (first_ranking(world, labelled_in(world)) for world in (fast, plain))
    for _ in range(3):
        state, of_fast = ranking_round(state, fast, labelled_in(fast))
        other, of_plain = ranking_round(other, plain, labelled_in(plain))
        assert of_fast.ledger == of_plain.ledger
        assert replace(of_fast, loss=0.0) == replace(of_plain, loss=0.0)
        assert of_fast.loss == pytest.approx(of_plain.loss)
        torch.testing.assert_close(state.weights, other.weights, atol=1e-4, rtol=1e-4)
    assert not torch.equal(state.weights, first_ranking(fast, labelled_in(fast)).weights)


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), form=st.sampled_from(list(FORMS)), loss=st.sampled_from(list(LOSSES)))
def test_their_integers_differ_by_one_unit_at_most(seed: int, form: str, loss: str) -> None:
    """What a device sends, plainly and by the compiled loop, after weights that are not the first ones."""
    world = a_world(form=form, loss=loss)
    labelled, codec = labelled_in(world, seed), Codec(world.config.second_stage.clip, 2**20 - 1)
    width = len(first_ranking(world, labelled).weights)
    told = Ranker(1, np.random.default_rng(seed).normal(size=width).astype(np.float32))
    weeks = PublishedWeeks(1, sum_weeks(world, labelled, world.channel(1)).numpy())
    common = device.Common(world.config.second_stage, codec, labelled.moments, labelled.ends, labelled.shop)
    for client in (5, 6):
        one = RankingRound(world.config.federated, np.array([client]), np.array([Phase.NEVER]), told, weeks, codec)
        fast = rank_cohort(world, labelled, one, world.channel(1)).sums.query.numpy()
        mine = device.RankingDevice(client, labelled.rows.of(np.array([client])))
        plain = device.learn(common, device.make_lists(mine, common, weeks), told).update.weights
        assert np.abs(fast - plain).max() <= 1
        assert np.abs(plain).max() > 1000 or form == "network"  # whose hidden units may all be off


def test_all_that_crosses_is_counted_as_it_is() -> None:
    """Real messages of single devices against sizes by formula."""
    fast, plain = engines(a_world())
    recorder = Recorder()
    state, report = ranking_round(first_ranking(fast, labelled_in(fast)), fast, labelled_in(fast))
    heard = replace(plain, ends=(recorder,))
    ranking_round(first_ranking(heard, labelled_in(heard)), heard, labelled_in(heard))
    kinds = [(entry.kind, entry.count, entry.largest) for entry in report.ledger.entries]
    assert [(kind, count) for kind, count, _ in kinds] == [
        ("weeks", 9),
        ("weekly", 9),
        ("ranker", 7),
        ("ranker_update", 7),
    ]
    assert len(recorder.crossings) == 9 + 9 + 7 + 7
    assert report.round == 1
    assert {entry.round for entry in report.ledger.entries} == {BEFORE + 1}
    assert state.weeks.shape == (7, fast.n_items)


def test_the_server_sees_no_purchase() -> None:
    """Of a round under the ideal sum it sends weights and gets nothing; the aggregator gets vectors of P integers."""
    world, recorder = engines(a_world())[1], Recorder()
    heard = replace(world, ends=(recorder,))
    state, _ = ranking_round(first_ranking(heard, labelled_in(heard)), heard, labelled_in(heard))
    recorder.crossings.clear()
    ranking_round(state, heard, labelled_in(heard))
    assert {type(crossing.message) for crossing in recorder.view(Role.SERVER)} == {Ranker}
    updates = [each.message for each in recorder.view(Role.AGGREGATOR)]
    assert {type(message) for message in updates} == {RankerUpdate}
    assert {message.weights.shape for message in updates} == {(len(state.weights),)}  # type: ignore[union-attr]


def test_a_device_without_lists_sends_zeros_and_is_counted() -> None:
    world = a_world(cohort_size=10)
    labelled = labelled_in(world)
    nothing = replace(labelled, rows=replace(labelled.rows, day=np.zeros_like(labelled.rows.day)))
    begun = first_ranking(world, nothing)
    state, report = ranking_round(begun, world, nothing)
    assert (report.without_lists, report.survivors, report.loss) == (9, 9, 0.0)
    assert torch.equal(state.weights, begun.weights)


def test_no_gradient_is_longer_than_the_clip() -> None:
    assert device.clipped(np.array([3.0, 4.0]), 1.0).tolist() == pytest.approx([0.6, 0.8])
    assert device.clipped(np.array([0.3, 0.4]), 1.0).tolist() == [0.3, 0.4]
    assert device.clipped(np.zeros(2), 1.0).tolist() == [0.0, 0.0]


def test_weekly_sums_are_the_same_by_either_engine() -> None:
    sums = [sum_weeks(world, labelled_in(world), world.channel(1)) for world in engines(a_world())]
    assert torch.equal(*sums)
    assert int(sums[0].sum()) > 0


def test_what_is_remembered_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    world, labelled = a_world(), labelled_in(a_world())
    state = first_ranking(world, labelled)
    for _ in range(3):
        state, _ = ranking_round(state, world, labelled)
    monkeypatch.setattr(memory, "REMEMBERED", 0)
    forgetful, other = labelled_in(world), first_ranking(world, labelled)
    for _ in range(3):
        other, _ = ranking_round(other, world, forgetful)
    assert labelled.kept
    assert not forgetful.kept
    assert torch.equal(state.weights, other.weights)


def test_the_step_goes_along_the_mean_of_the_survivors() -> None:
    config = a_world(lr=0.5).config.second_stage
    begun, codec = start(torch.zeros(2), 3, 5), Codec(1.0, 100)
    after = ranking_step(begun, config, codec, torch.tensor([100, -200], dtype=torch.int32), 2)
    mean = torch.tensor([0.5, -1.0])
    first, second = 0.1 * mean, 0.99 * begun.second + 0.01 * mean**2
    torch.testing.assert_close(after.weights, 0.5 * first / (second.sqrt() + 1e-4))
    assert torch.equal(after.average, after.weights)
    lonely = ranking_step(begun, config, codec, torch.tensor([0, 0], dtype=torch.int32), 0)
    assert (lonely.round, lonely.weights.tolist()) == (1, [0, 0])


@pytest.mark.parametrize("share, last", [(0.5, 2), (1.0, 4), (0.0, 1)])
def test_lists_are_ranked_by_the_mean_of_the_last_weights(share: float, last: int) -> None:
    """Of four rounds the last two, all, or the last weights alone."""
    config = a_world(rounds=4, average=share).config.second_stage
    state, codec, weights = start(torch.zeros(2), 3, 5), Codec(1.0, 100), []
    for total in ([100, -50], [20, 30], [-70, 10], [5, 5]):
        state = ranking_step(state, config, codec, torch.tensor(total, dtype=torch.int32), 2)
        weights.append(state.weights)
    torch.testing.assert_close(state.average, torch.stack(weights[-last:]).mean(0))


def test_a_run_of_before_ranks_by_its_last_weights() -> None:
    begun = start(torch.arange(4.0), 3, 5)
    found = RankingState.from_tensors({k: v for k, v in begun.tensors().items() if "average" not in k})
    assert found is not None
    assert torch.equal(found.average, begun.weights)


def test_its_state_comes_back_from_its_tensors() -> None:
    begun = start(torch.arange(4.0), 3, 5)
    found = RankingState.from_tensors(begun.tensors())
    assert found is not None
    assert found.round == 0
    assert all(
        torch.equal(getattr(found, name), getattr(begun, name)) for name in ("weights", "average", "weeks", "mix")
    )
    assert RankingState.from_tensors({"query/x": torch.zeros(1)}) is None


def test_cohorts_too_small_for_a_chain_are_refused() -> None:
    with pytest.raises(InputError, match=r"The second stage: a cohort of 2|The second stage: A cohort of 2") as refused:
        a_world(RING, cohort_size=2)
    assert "second_stage.cohort_size" in (refused.value.hint or "")


def test_central_has_no_second_stage() -> None:
    with pytest.raises(InputError, match="learned on devices"):
        a_world({"federated": {"strategy": "central"}})


def test_a_loss_that_is_no_number_stops_it() -> None:
    world = a_world()
    state = first_ranking(world, labelled_in(world))
    broken = replace(state, weights=torch.full_like(state.weights, torch.nan))
    with pytest.raises(SpfedrecError, match="of the second stage is nan"):
        ranking_round(broken, world, labelled_in(world))


def test_entries_tell_kinds_apart() -> None:
    channel = Channel(1)
    channel.account(RankerUpdate, [100, 100])
    assert entries(channel)[0]["kind"] == "ranker_update"
