"""A training whose embeddings have collapsed says so; healthy ones never do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, ModelConfig, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.collapse import ITEMS, QUERIES, nearness, spread

# Steps far too long throw towers to where ReLUs pass nothing on, or one direction drowns all others.
ITEMS_COLLAPSE = ["model.hidden=[4, 4]", "server.item_optimizer=sgd", "server.item_lr=300", "train.seed=1"]
QUERIES_COLLAPSE = ["model.hidden=[4, 4]", "server.optimizer=fedavg", "server.lr=300"]
ROUNDS = ["train.rounds=20", "train.eval_every=10", "client.private_state=none", "federated.cohort_size=256"]


def said(folder: Path) -> dict[int, str]:
    """Round -> what it warned of."""
    return {each["round"]: each["warning"] for each in run.records(folder / "metrics.jsonl") if each["warning"]}


@pytest.mark.parametrize("planted, warning", [(ITEMS_COLLAPSE, ITEMS), (QUERIES_COLLAPSE, QUERIES)])
def test_a_collapse_is_told_of_after_the_first_validation(
    shop: Dataset, tmp_path: Path, planted: list[str], warning: str
) -> None:
    done = engine.train(shop, resolve(settings=[*ROUNDS, *planted]), tmp_path / "run")
    assert warning in done.warnings
    assert said(done.run) == {20: warning}


def test_it_is_told_of_once(shop: Dataset, tmp_path: Path) -> None:
    often = ["train.rounds=40", "train.eval_every=10"]
    done = engine.train(shop, resolve(settings=[*ROUNDS, *often, *ITEMS_COLLAPSE]), tmp_path / "run")
    assert list(said(done.run)) == [20]


@pytest.mark.parametrize("private", ["none", "embedding", "tower"])
def test_healthy_trainings_are_not_suspected(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path, private: str
) -> None:
    """From the second round on, when towers have hardly moved."""
    healthy = ["train.rounds=8", "train.eval_every=1", f"client.private_state={private}"]
    assert engine.train(shop, config(*healthy), tmp_path / "run").warnings == ()


@pytest.mark.parametrize("preset", ["sample", "notebook"])
def test_presets_of_the_sample_are_not_suspected(sample_dataset: Dataset, tmp_path: Path, preset: str) -> None:
    settings = ["train.rounds=20", "train.eval_every=1"]
    assert engine.train(sample_dataset, resolve(preset, settings=settings), tmp_path / "run").warnings == ()


def test_the_preset_of_the_made_up_shop_is_not_suspected(synthetic_dataset: Dataset, tmp_path: Path) -> None:
    settings = ["train.rounds=10", "train.eval_every=1"]
    assert engine.train(synthetic_dataset, resolve("synthetic", settings=settings), tmp_path / "run").warnings == ()


def test_clients_without_a_history_may_be_equal(shop: Dataset, tmp_path: Path) -> None:
    """Where the model takes none, clients of the same fields have the same embedding."""
    settings = [*ROUNDS, *QUERIES_COLLAPSE, "model.history=none"]
    assert QUERIES not in engine.train(shop, resolve(settings=settings), tmp_path / "run").warnings


def test_spread_by_hand() -> None:
    """(1, 0) and (0, 1) are each √½ from their mean; of one direction nothing is left."""
    assert spread(torch.eye(2)) == pytest.approx(0.5**0.5)
    assert spread(torch.tensor([[0.6, 0.8]]).repeat(5, 1)) == pytest.approx(0, abs=1e-6)


def test_a_low_temperature_tells_nearer_embeddings_apart() -> None:
    assert nearness(ModelConfig(temperature=0.1)) == pytest.approx(0.02)
    assert nearness(ModelConfig(temperature=0.01)) == pytest.approx(0.002)
    assert nearness(ModelConfig(temperature=1.0)) == 0.02
