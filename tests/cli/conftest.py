"""A terminal that is none, and an engine that answers at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers import Calls, Invoke, StandIn
from typer.testing import CliRunner

from spfedrec_cli import engine, run
from spfedrec_cli.cli.app import app
from spfedrec_cli.config import Config, resolve, to_toml
from spfedrec_cli.data.dataset import Dataset


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COLUMNS", raising=False)
    return folder


@pytest.fixture
def invoke(workplace: Path) -> Invoke:
    """Calls `spfedrec` with these words, in the workplace."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def sample(workplace: Path, sample_dataset: Dataset) -> Dataset:
    """The sample as datasets/sample."""
    (workplace / "datasets").mkdir()
    (workplace / "datasets" / "sample").symlink_to(sample_dataset.path)
    return sample_dataset


@pytest.fixture
def a_run(workplace: Path, sample: Dataset) -> Path:
    """runs/first, with three rounds of which two were validated, and no checkpoint."""
    folder = Path("runs/first")
    about = {"dataset": str(sample.path.resolve()), "dataset_sha256": sample.fingerprint, "dataset_name": sample.name}
    run.create(folder, to_toml(Config()), about, {})
    scores = [{"ndcg@10": 0.25}, None, {"ndcg@10": 0.125}]
    run.append(folder / "metrics.jsonl", ({"round": n, "validation": found} for n, found in enumerate(scores, 1)))
    return folder


@pytest.fixture(scope="session")
def made(sample_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    settings = ["train.rounds=1", "train.monitor=ndcg@1", "client.pool_size=8"]
    done = engine.train(sample_dataset, resolve("sample", settings=settings), folder / "run")
    engine.export(done.run, folder / "bundle", ("device",))
    return folder / "bundle"


@pytest.fixture(scope="session")
def stored(made: Path) -> Path:
    engine.export(made.parent / "run", made.parent / "store", ("store",))
    return made.parent / "store"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Replaces engine functions: each answers with the value given, raises it, or calls it."""

    def replace(**answers: Any) -> Calls:
        calls = Calls()
        for name, answer in answers.items():
            monkeypatch.setattr(engine, name, _recorded(calls, name, answer))
        return calls

    return replace


def _recorded(calls: Calls, name: str, answer: Any) -> Callable[..., Any]:
    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        calls.made.append((name, arguments, keywords))
        if isinstance(answer, BaseException):
            raise answer
        return answer(*arguments, **keywords) if callable(answer) else answer

    return stand_in
