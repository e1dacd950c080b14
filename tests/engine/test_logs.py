"""What TensorBoard and MLflow have of a training, read back by their own libraries: what metrics.jsonl says, once."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import logs
from spfedrec_cli.engine.logs import logged, values_of
from spfedrec_cli.errors import InputError

# MLflow calls what SQLAlchemy, protobuf and others would rather not have called.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

Values = dict[str, list[tuple[int, float]]]
ROUNDS = 6
LASTING = ("loss", "bytes_up", "validation/ndcg@10")  # others depend on the machine


def of_tensorboard(folder: Path) -> Values:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def of_mlflow(folder: Path) -> Values:
    tracking = pytest.importorskip("mlflow.tracking")
    client = tracking.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "spfedrec"]
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == folder.name
    assert found.info.status == "FINISHED"
    assert found.data.params["client.lr"] == str(engine.load_config(folder).client.lr)
    names = {name: name.replace("_at_", "@") for name in found.data.metrics}
    histories = {name: client.get_metric_history(found.info.run_id, name) for name in names}
    return {names[name]: sorted((each.step, each.value) for each in every) for name, every in histories.items()}


READ: dict[str, Callable[[Path], Values]] = {"tensorboard": of_tensorboard, "mlflow": of_mlflow}


def truth(folder: Path) -> Values:
    found: Values = {}
    for line in run.records(folder / "metrics.jsonl"):
        for name, value in values_of(line).items():
            found.setdefault(name, []).append((line["round"], value))
    return found


def agree(found: Values, folder: Path) -> None:
    said = truth(folder)
    for name in LASTING:
        assert [step for step, _ in found[name]] == [step for step, _ in said[name]], name
        assert [each for _, each in found[name]] == pytest.approx([each for _, each in said[name]], rel=1e-6)
    assert [step for step, _ in found["loss"]] == list(range(1, ROUNDS + 1))
    assert [step for step, _ in found["validation/ndcg@10"]] == [2, 4, 6]


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("log", list(READ))
def test_a_log_has_what_the_file_has(log: str, shop: Dataset, config: Callable[..., Config], tmp_path: Path) -> None:
    pytest.importorskip(log)
    plain = engine.train(shop, config(), tmp_path / "plain")
    done = engine.train(shop, config(), tmp_path / "run", log=[log])
    agree(READ[log](done.run), done.run)
    assert done.state_sha256 == plain.state_sha256
    assert engine.examine(done.run).findings == ()


@pytest.mark.parametrize("log", list(READ))
def test_a_training_that_resumes_adds_nothing_twice(
    log: str, shop: Dataset, config: Callable[..., Config], tmp_path: Path
) -> None:
    """Stopped in round 5, of which the checkpoint of round 3 knows nothing, but the log does."""
    pytest.importorskip(log)

    def stop(progress: engine.Progress) -> None:
        if progress.round == 5:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        engine.train(shop, config(), tmp_path / "run", stop, log=[log])
    assert run.rounds(tmp_path / "run")[-1] < 5
    engine.resume(tmp_path / "run", log=[log])
    agree(READ[log](tmp_path / "run"), tmp_path / "run")
    engine.resume(tmp_path / "run", log=[log])
    agree(READ[log](tmp_path / "run"), tmp_path / "run")


@pytest.mark.parametrize("log", list(READ))
def test_a_log_that_comes_later_has_every_round(
    log: str, trained: engine.TrainResult, shop: Dataset, config: Callable[..., Config], tmp_path: Path
) -> None:
    pytest.importorskip(log)
    engine.train(shop, config(), tmp_path / "run")
    engine.resume(tmp_path / "run", log=[log])
    found = READ[log](tmp_path / "run")
    assert [step for step, _ in found["loss"]] == list(range(1, ROUNDS + 1))
    agree(found, tmp_path / "run")


def test_mlflow_goes_where_its_variable_says(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'all.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    for name in ("one", "two"):
        engine.train(shop, config("train.rounds=2"), tmp_path / name, log=["mlflow"])
        assert not (tmp_path / name / "mlflow.db").exists()
    client = tracking.MlflowClient(f"sqlite:///{tmp_path / 'all.db'}")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    assert {each.info.run_name for each in client.search_runs([experiment.experiment_id])} == {"one", "two"}


class Broken:
    """A log that fails at its second round."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.steps: list[int] = []

    def reached(self, value: str) -> int:
        return 0

    def write(self, steps: Sequence[tuple[int, dict[str, float]]]) -> None:
        self.steps += [step for step, _ in steps]
        if len(self.steps) > 1:
            raise OSError("no route to\nhost")

    def close(self, whole: bool) -> None:
        raise AssertionError("it was left behind")


def test_a_log_that_fails_is_left_behind_with_a_warning(
    shop: Dataset,
    config: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[Broken] = []
    monkeypatch.setitem(logs.LOGS, "broken", (lambda *about: made.append(Broken(*about)) or made[0], ()))
    with caplog.at_level(logging.WARNING, "spfedrec_cli"):
        done = engine.train(shop, config(), tmp_path / "run", log=["broken"])
    assert done.rounds == ROUNDS
    assert made[0].steps == [1, 2]
    (told,) = [record.getMessage() for record in caplog.records if "left behind" in record.getMessage()]
    assert "no route to host" in told
    assert f"spfedrec train --resume {tmp_path / 'run'} --log broken" in told


def test_the_second_stage_has_names_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []

    class Listening:
        def __init__(self, folder: Path, config: Config) -> None: ...

        def reached(self, value: str) -> int:
            return 1 if value == "second_stage/loss" else 0

        def write(self, steps: Sequence[tuple[int, dict[str, float]]]) -> None:
            taken.extend(steps)

        def close(self, whole: bool) -> None:
            taken.append(whole)

    monkeypatch.setitem(logs.LOGS, "listening", (Listening, ()))
    lines = {"metrics.jsonl": [1], "second_stage.jsonl": [1, 2]}
    for name, rounds in lines.items():
        text = "".join(json.dumps({"round": each, "loss": 0.5, "clients": 3}) + "\n" for each in rounds)
        (tmp_path / name).write_text(text + '{"round": 9, "los')
    with logged(tmp_path, Config(), ["listening"], lambda progress: None):
        pass
    assert taken == [
        (1, {"loss": 0.5, "clients": 3.0}),
        (2, {"second_stage/loss": 0.5, "second_stage/clients": 3.0}),
        True,
    ]


def test_values_of_a_line() -> None:
    line = {
        "round": 3,
        "rounds": 9,
        "loss": float("nan"),
        "clients": 4,
        "prior": None,
        "warning": "no",
        "stage": "towers",
    }
    assert values_of({**line, "validation": {"ndcg@10": 0.25}}) == {"clients": 4.0, "validation/ndcg@10": 0.25}
    assert values_of({"loss": 0.5}, "x/") == {"x/loss": 0.5}


def test_what_cannot_be_logged_is_refused_before_anything_is_made(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no log 'tensorbord'; did you mean tensorboard"):
        engine.train(shop, config(), tmp_path / "run", log=["tensorbord"])
    monkeypatch.setattr("spfedrec_cli.extras.find_spec", lambda name: None)
    for log in READ:
        with pytest.raises(InputError, match=rf"The log {log} needs {log}.*pip install 'spfedrec\[log\]'"):
            engine.train(shop, config(), tmp_path / "run", log=[log])
    assert not (tmp_path / "run").exists()
