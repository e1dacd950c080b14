"""Whom a training ranks for while it goes on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.engine.load import load_world, open_run
from spfedrec_cli.engine.scoring import model_scorer
from spfedrec_cli.engine.told import TrainResult
from spfedrec_cli.engine.validation import Validation, validate
from spfedrec_cli.retrieval.evaluate import evaluate, make_task

Make = Callable[..., Config]


def test_everybody_is_ranked_for_where_they_are_few(trained: TrainResult, shop: Dataset) -> None:
    dataset, world = open_run(trained.run)
    state, _ = load_state(trained.run, trained.best_round)
    expected = evaluate(model_scorer(dataset, world, state, "validation"), make_task(shop, "validation"), [10]).metrics
    assert validate(Validation(dataset, world), state)[1] == expected == trained.validation


@pytest.mark.parametrize("limit", [1, 5])
def test_some_are_drawn_where_they_are_many(shop: Dataset, config: Make, tmp_path: Path, limit: int) -> None:
    """What the training is told is the mean over the clients drawn, each with its own history."""
    limited = config("train.rounds=2", f"train.eval_clients={limit}")
    done = engine.train(shop, limited, tmp_path / "run")
    dataset, world = open_run(done.run)
    state, _ = load_state(done.run, 2)
    every = evaluate(model_scorer(dataset, world, state, "validation"), make_task(shop, "validation"), [10])
    drawn = Validation(dataset, world).task.clients
    assert len(drawn) == limit == len(np.unique(drawn))
    of_drawn = np.isin(every.clients, drawn)
    assert done.validation["ndcg@10"] == pytest.approx(every.per_client["ndcg@10"][of_drawn].mean())
    assert done.validation["recall@10"] == pytest.approx(every.per_client["recall@10"][of_drawn].mean())


def test_the_seed_draws_them(shop: Dataset, config: Make) -> None:
    drawn = [
        tuple(Validation(shop, load_world(shop, config("train.eval_clients=8", f"train.seed={seed}"))).task.clients)
        for seed in (0, 0, 1, 2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3
    assert all(list(each) == sorted(each) for each in drawn)


def test_zero_is_everybody(shop: Dataset, config: Make) -> None:
    every = make_task(shop, "validation").clients
    limited = Validation(shop, load_world(shop, config("train.eval_clients=0"))).task.clients
    assert np.array_equal(limited, every)


def test_what_is_read_is_read_once(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr("spfedrec_cli.engine.validation.make_task", lambda *of: read.append(of[1]) or make_task(*of))
    done = engine.train(shop, config("train.rounds=6", "train.eval_every=2"), tmp_path / "run")
    assert read == ["validation"] * 2  # checked before the training, then once for all validations
    assert sum(bool(each["validation"]) for each in run.records(done.run / "metrics.jsonl")) == 3
