"""Sweeps over the sample, whose trainings are processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli import engine, files, runs, sweeps
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import sweep as _function
from spfedrec_cli.engine.told import SECOND
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.locks import Locked, locked

module = sys.modules["spfedrec_cli.engine.sweep"]
FIXED = ["train.rounds=2", "train.eval_every=1", "client.pool_size=8", "train.monitor=ndcg@1"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_trials_are_trained_ranked_and_not_trained_again(
    workplace: Path, sample_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[tuple[int, int]] = []
    words = [*FIXED, "client.lr=0.05,0.1"]

    def swept() -> engine.Swept:
        told = lambda outcome, done, total: watched.append((done, total))  # noqa: E731
        return engine.sweep(sample_dataset.path, "lr", words, preset="sample", jobs=2, watch=told)

    found = swept()
    assert watched == [(1, 2), (2, 2)]
    assert {each.run: each.settings for each in found.trials} == {
        "lr-001": {"client.lr": "0.05"},
        "lr-002": {"client.lr": "0.1"},
    }
    assert found.trials[0].validation >= found.trials[1].validation  # type: ignore[operator]
    assert found.best == found.trials[0]
    for each in found.trials:
        assert each.validation == runs.read(Path("runs") / each.run).validation
        assert engine.load_config(each.run).client.lr == float(each.settings["client.lr"])
    monkeypatch.setattr(module, "_words", lambda *_: pytest.fail("trained again"))
    assert swept() == found


@pytest.mark.slow
def test_a_sweep_that_is_stopped_goes_on(workplace: Path, sample_dataset: Dataset) -> None:
    fixed = [setting for setting in FIXED if not setting.startswith("train.rounds")]
    words = [word for setting in (*fixed, "train.rounds=400", "client.lr=0.05,0.1") for word in ("--set", setting)]
    command = [sys.executable, "-m", "spfedrec_cli", "sweep", str(sample_dataset.path), "--preset", "sample"]
    command += [*words, "--name", "s", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stderr is not None
        assert started.stderr.readline().startswith("1 of 2: s-001")
        started.send_signal(signal.SIGTERM)
        told = started.stderr.read()
    assert started.returncode == 128 + signal.SIGTERM
    assert "Stopped; 1 of 2 trials are done, what had begun is saved" in told
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr.count(" of 2: s-") == 2
    assert {runs.read(Path("runs") / name).rounds for name in ("s-001", "s-002")} == {400}


@pytest.mark.slow
def test_a_search_goes_on_to_the_trials_of_an_unbroken_one(
    workplace: Path, sample_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while its second trial is trained; what was chosen then is trained, and what follows is the same."""
    pytest.importorskip("optuna")
    words = [*FIXED, "client.lr=0.01..1", "model.dim=8,16"]

    def searched(name: str, search: int = 3) -> engine.Swept:
        return engine.sweep(sample_dataset.path, name, words, preset="sample", jobs=1, search=search)

    whole = searched("whole")
    assert len(whole.trials) == 3
    assert whole.best == whole.trials[0]
    train = module._train

    def killed(training: object, trial: engine.Outcome, children: object) -> engine.Outcome:
        if trial.run == "part-002":
            raise KeyboardInterrupt
        return train(training, trial, children)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_train", killed)
    with pytest.raises(engine.Interrupted, match="1 of 3 trials are done"):
        searched("part")
    monkeypatch.setattr(module, "_train", train)
    with pytest.raises(InputError, match="another sweep 'part'"):
        searched("part", 4)
    part = searched("part")
    assert [(each.settings, each.validation) for each in part.trials] == [
        (each.settings, each.validation) for each in whole.trials
    ]
    assert [folder.name for folder in sweeps.folders("part")] == [f"part-00{n}" for n in range(1, 4)]


def test_what_a_search_is_refused_for(workplace: Path, sample_dataset: Dataset) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(InputError, match=r"client\.lr"):
        engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=-1..1"], preset="sample", search=3)
    with pytest.raises(InputError, match=r"A range has no list of combinations: client\.lr=0\.1\.\.1"):
        engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.1..1"], preset="sample")
    with pytest.raises(InputError, match="give one of them"):
        engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.1,1"], preset="sample", random=2, search=2)
    assert not Path("runs").exists()


def test_a_trial_is_done_with_its_second_stage(workplace: Path, shop: Dataset, config: Callable[..., Config]) -> None:
    """The towers have all their rounds long before."""

    def press(progress: engine.Progress) -> None:
        if (progress.stage, progress.round) == (SECOND, 1):
            os.kill(os.getpid(), signal.SIGINT)

    settings = config("train.rounds=2", "second_stage.rounds=4", "second_stage.label_weeks=2")
    with pytest.raises(engine.Interrupted):
        engine.train(shop, settings, Path("s-001"), watch=press)
    assert not module._is_done(Path("s-001"))
    engine.resume("s-001")
    assert module._is_done(Path("s-001"))
    next(Path("s-001/checkpoints").glob("round-*")).unlink()
    assert not module._is_done(Path("s-001"))


def test_a_file_of_settings_that_was_changed_meanwhile_is_refused(
    workplace: Path, sample_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained before would stand beside what follows."""
    file = Path("mine.toml")

    def swept() -> engine.Swept:
        return engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.05,0.1"], config=file, jobs=1)

    file.write_text("")
    engine.train(sample_dataset, resolve(settings=[*FIXED, "client.lr=0.05"]), Path("runs/s-001"))
    plan = module.planned(sample_dataset, "s", [*FIXED, "client.lr=0.05,0.1"], None, str(file), None, 0)
    files.write_json(sweeps.file_of("s"), files.sealed(sweeps._record(plan)))
    monkeypatch.setattr(module, "_words", lambda *_: [sys.executable, "-c", "import sys; sys.exit(3)"])
    assert [each.failure for each in swept().trials] == [None, "exit code 3"]
    file.write_text("[server]\nlr = 0.1\n")
    with pytest.raises(InputError, match="s-001 was trained with other settings than this file has now"):
        swept()


def test_a_name_that_no_run_can_have_is_refused_before_anything_is_written(
    workplace: Path, sample_dataset: Dataset
) -> None:
    with pytest.raises(InputError, match="'a b' is no name for a sweep"):
        engine.sweep(sample_dataset.path, "a b", [*FIXED, "client.lr=0.1,1"], preset="sample")
    assert not Path("runs").exists()


def test_settings_that_can_be_read_only_once_are_refused(workplace: Path, sample_dataset: Dataset) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[train]\nrounds = 2\n")
    os.close(writing)
    with pytest.raises(InputError, match="write the settings into a file"):
        engine.sweep(sample_dataset.path, "s", ["client.lr=0.1,1"], config=f"/dev/fd/{reading}")
    os.close(reading)
    assert not Path("runs").exists()


def test_a_sweep_that_is_under_way_is_not_begun_once_more(workplace: Path, sample_dataset: Dataset) -> None:
    """Each would call the other's trials failed, and rank without them."""
    with locked(sweeps.file_of("s")), pytest.raises(Locked, match="is writing there"):
        engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.1,1"], preset="sample")
    assert not Path("runs").exists()


def test_a_combination_that_does_not_fit_is_refused_before_any_training(
    workplace: Path, sample_dataset: Dataset
) -> None:
    with pytest.raises(InputError, match=r"client\.lr"):
        engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.1,-1"], preset="sample")
    with pytest.raises(InputError, match="compared by one measure"):
        engine.sweep(
            sample_dataset.path, "s", ["train.monitor=ndcg@1,hit_rate@1", "client.pool_size=8"], preset="sample"
        )
    assert not Path("runs").exists()


def test_a_trial_that_fails_is_named_and_the_others_go_on(
    workplace: Path, sample_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one fails, the second leaves a run that another process made."""
    made = engine.train(sample_dataset, _config(), Path("made")).run

    def words(plan: object, trial: engine.Outcome, *_: object) -> list[str]:
        fails = "import sys; sys.stderr.write('Error: no luck.\\n'); sys.exit(1)"
        copies = f"import shutil; shutil.copytree({str(made)!r}, 'runs/{trial.run}')"
        return [sys.executable, "-c", fails if trial.run.endswith("1") else copies]

    monkeypatch.setattr(module, "_words", words)
    found = engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.05,0.1"], preset="sample", jobs=1)
    assert [(each.run, each.failure) for each in found.trials] == [("s-002", None), ("s-001", "no luck.")]
    assert found.best is not None
    assert found.best.run == "s-002"


def test_where_all_fail_the_first_reason_is_told(
    workplace: Path, sample_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_words", lambda *_: [sys.executable, "-c", "import sys; sys.exit('Error: no luck.')"])
    with pytest.raises(SpfedrecError, match="Every trial failed; the first: no luck; mend it"):
        engine.sweep(sample_dataset.path, "s", [*FIXED, "client.lr=0.05,0.1"], preset="sample", jobs=2)
    assert _function is engine.sweep


def _config():  # type: ignore[no-untyped-def]
    return resolve("sample", settings=[*FIXED, "client.lr=0.1"])
