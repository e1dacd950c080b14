"""Runs of several local steps, and of clients that keep a query tower of their own."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine import Progress, TrainResult, checkpoint, load, scoring
from spfedrec_cli.federated.simulation.round import Cohort, CohortResult
from spfedrec_cli.federated.simulation.state import State, initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.split import ENGINES, split_round
from spfedrec_cli.model.towers import flatten

STEPS = ["client.batch_size=4", "client.local_epochs=2", "client.optimizer=adam", "client.lr=0.01"]


@pytest.fixture(scope="module", params=["none", "embedding", "tower"])
def settings(request: pytest.FixtureRequest) -> list[str]:
    return [*STEPS, f"client.private_state={request.param}"]


@pytest.fixture(scope="module")
def stepped(
    settings: list[str], shop: Dataset, config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    return engine.train(shop, config(*settings), tmp_path_factory.mktemp("runs") / "whole")


def test_an_interrupted_run_goes_on_to_the_same_bits(
    stepped: TrainResult, settings: list[str], shop: Dataset, config: Callable[..., Config], tmp_path: Path
) -> None:
    def press(progress: Progress) -> None:
        if progress.round == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(engine.Interrupted):
        engine.train(shop, config(*settings), tmp_path / "run", press)
    resumed = engine.resume(tmp_path / "run")
    unlike = {"run": resumed.run, "clients_per_second": resumed.clients_per_second}
    assert replace(stepped, **unlike) == resumed
    ours, theirs = (run.load_checkpoint(folder, 6) for folder in (stepped.run, resumed.run))
    assert (ours.private is None) == (theirs.private is None)
    if ours.private is not None and theirs.private is not None:
        assert torch.equal(ours.private, theirs.private)


def test_what_is_served_comes_from_each_clients_own_tower(stepped: TrainResult, tmp_path: Path) -> None:
    """Another client's tower, another answer: for the scorer, for recommendations, in the export."""
    dataset, world = load.open_run(stepped.run)
    if world.config.client.private_state != "tower":
        pytest.skip("no towers of their own")
    state, _ = checkpoint.load_state(stepped.run, 6)
    assert state.private is not None
    assert torch.equal(flatten(state.query), flatten(initial_state(world).query))
    clients = np.flatnonzero((state.private != flatten(state.query)).any(1).numpy())[:3]
    scores = scoring.model_scorer(dataset, world, state, "test")(clients)
    swapped = replace(state, private=state.private.flip(0))
    assert not np.allclose(scores, scoring.model_scorer(dataset, world, swapped, "test")(clients))
    customer = dataset.client_ids[int(clients[0])]
    (found,) = engine.recommend(stepped.run, [customer], checkpoint="last")
    engine.export(stepped.run, tmp_path / "out", ["parquet"], checkpoint="last")
    query = pq.read_table(tmp_path / "out" / "clients.parquet")["embedding"].to_numpy()[clients[0]]
    items = np.stack(pq.read_table(tmp_path / "out" / "items.parquet")["embedding"].to_numpy())
    best = dataset.item_ids[int((items @ query).argmax())]
    assert best == found.items[0].article_id
    (stranger,) = engine.recommend(stepped.run, history=[dataset.item_ids[3]])
    assert len(stranger.items) == 12


def rank_of_the_test_item(dataset: Dataset, world: World, state: State, client: int) -> int:
    (scores,) = scoring.model_scorer(dataset, world, state, "test")(np.array([client], np.int32))
    return int((scores > scores[dataset.truth("test").row(client)[0]]).sum()) + 1


@pytest.mark.parametrize("seed", [0, 1])
def test_the_notebooks_clients_learn_by_towers_of_their_own(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of five clients a round. The losses of the first two customers fall below a tenth of their first ones, and
    the first one's test item is among its ten best of 134, above where the untrained tower has it. (The second one
    has bought 110 of the 134 articles and learns from the few others as negatives, its test item once among them.)"""
    prepare("sample", None, tmp_path / "sample")
    dataset = Dataset.open(tmp_path / "sample")
    world = load.load_world(dataset, resolve("notebook", settings=[f"train.seed={seed}"]))
    losses: dict[int, list[float]] = {0: [], 1: [], 2: [], 3: [], 4: []}
    simulation = ENGINES["simulation"]

    def watched(world: World, published: object, cohort: Cohort, channel: object) -> CohortResult:
        result: CohortResult = simulation(world, published, cohort, channel)  # type: ignore[arg-type]
        for member, loss in zip(cohort.clients.tolist(), result.losses.tolist(), strict=True):
            losses[member].append(loss)
        return result

    monkeypatch.setitem(ENGINES, "simulation", watched)
    state = initial_state(world)
    untrained = rank_of_the_test_item(dataset, world, state, 0)
    for _ in range(world.config.train.rounds):
        state, report = split_round(state, world)
        assert report.clients == 2
    assert all(losses[member][-1] < 0.1 * losses[member][0] for member in (0, 1))
    assert rank_of_the_test_item(dataset, world, state, 0) <= min(10, untrained - 10)
