"""A small Dataset and a run trained on it, made once."""

from collections.abc import Callable

import pytest
from kills import Forked

from spfedrec_cli import engine
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine import team

SETTINGS = [
    "model.dim=8",
    "model.field_dim=4",
    "model.hidden=[8]",
    "client.private_state=embedding",
    "client.pool_size=64",
    "request.redraw=true",
    "federated.cohort_size=40",
    "train.rounds=6",
    "train.eval_every=2",
    "train.checkpoint_every=3",
]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("shop") / "shop"
    prepare(source="synthetic", input=None, output=folder, customers=300, items=200)
    return Dataset.open(folder)


@pytest.fixture(scope="session")
def config() -> Callable[..., Config]:
    return lambda *more: resolve(settings=[*SETTINGS, *more])


@pytest.fixture(scope="session")
def trained(
    shop: Dataset, config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> engine.TrainResult:
    return engine.train(shop, config(), tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are copies of this process, which need not import: for what they compute, not for how they start."""
    monkeypatch.setattr(team, "launch", Forked)
