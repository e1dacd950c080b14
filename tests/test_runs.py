"""What is gathered of runs, without what trained them."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from answers import evaluated

from spfedrec_cli import run, runs
from spfedrec_cli.config import Config, presets, resolve, to_toml

SHA = "0" * 64


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(name: str, config: Config | None = None, validation: float | None = 0.25, **about: Any) -> Path:
    """A run of two rounds, of which the first was validated."""
    folder = Path("runs") / name
    origin = {"dataset": "/d", "dataset_sha256": SHA, "dataset_name": "sample", **about}
    run.create(folder, to_toml(config or Config()), origin, {})
    scores = [validation and {"ndcg@10": validation}, None]
    run.append(folder / "metrics.jsonl", ({"round": n, "validation": found} for n, found in enumerate(scores, 1)))
    return folder


def gathered() -> tuple[list[runs.Run], list[str]]:
    told: list[str] = []
    return runs.gather(runs.folders(), told.append), told


def test_what_a_run_says_of_itself(place: Path) -> None:
    folder = make("first", resolve(settings=["train.seed=7"]), started="2026-11-28T18:00:00+00:00", preset="mine")
    evaluated(folder, 0.125)
    (found,), told = gathered()
    assert told == []
    assert (found.path, found.dataset, found.preset, found.seed) == (folder, "sample", "mine", 7)
    assert found.started == datetime(2026, 11, 28, 18, tzinfo=UTC)
    assert (found.rounds, found.rounds_planned, found.monitor) == (2, 100, "ndcg@10")
    assert (found.validation, found.test) == (0.25, 0.125)


def test_an_older_run_is_dated_by_its_files(place: Path) -> None:
    os.utime(make("first") / "run.json", (86400, 86400))
    assert gathered()[0][0].started == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("preset", sorted(presets()))
def test_the_preset_of_an_older_run_is_recognised_by_its_settings(place: Path, preset: str) -> None:
    make("first", resolve(preset, settings=["train.rounds=3", "train.seed=9", "train.workers=2"]))
    assert gathered()[0][0].preset == preset


def test_settings_that_are_those_of_no_preset(place: Path) -> None:
    make("defaults")
    make("near", resolve("sample", settings=["server.lr=0.5"]))
    make("said", resolve("sample"), preset=None)
    assert [found.preset for found in gathered()[0]] == [None, None, None]


def test_a_run_that_was_not_evaluated_on_the_test_split_has_no_value_there(place: Path) -> None:
    make("first")
    evaluated(make("second"), 0.5, "validation/full/all")
    evaluated(make("third"), 0.5, "test/sampled/all")
    assert [found.test for found in gathered()[0]] == [None, None, None]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"test/full/all": 3}', '{"test/full/all": {"metrics": {"ndcg@10": "x"}}}']
)
def test_a_damaged_evaluation_is_told_and_left_blank(place: Path, text: str) -> None:
    (make("first") / "evaluation.json").write_text(text)
    (found,), told = gathered()
    assert found.test is None
    assert told == ["The evaluation cannot be read (runs/first/evaluation.json); move it away and evaluate again"]


@pytest.mark.parametrize(
    "file, text",
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("run.json", '{"layout": 1}'),
        ("run.json", '{"layout": 1, "dataset_name": "x", "started": "yesterday"}'),
        ("config.toml", "[model"),
        ("config.toml", "[model]\ndimension = 3"),
        ("metrics.jsonl", "{\n"),
        ("metrics.jsonl", "3\n"),
    ],
)
def test_a_run_that_cannot_be_read_is_named_and_hides_no_other(place: Path, file: str, text: str) -> None:
    make("first")
    (make("second") / file).write_text(text)
    found, told = gathered()
    assert [one.path.name for one in found] == ["first"]
    assert len(told) == 1
    assert told[0].startswith("runs/second is left out: ")


def test_the_best_come_first_and_the_unmeasured_last(place: Path) -> None:
    for name, validation, test, started in [("c", 0.5, 0.25, 1), ("a", None, None, 3), ("b", 0.75, 0.125, 2)]:
        folder = make(name, validation=validation, dataset_name=f"of-{name}", started=f"2026-01-0{started}")
        if test:
            evaluated(folder, test)
    found = gathered()[0]
    orders = {by: "".join(one.path.name for one in runs.in_order(found, by)) for by in runs.ORDERS}
    assert orders == {"name": "abc", "date": "abc", "dataset": "abc", "validation": "bca", "test": "cba"}


def test_settings_that_differ(place: Path) -> None:
    make("first")
    make("second", resolve(settings=["model.dim=8", "train.seed=3"]))
    found = gathered()[0]
    assert runs.changed(found) == ["model.dim", "train.seed"]
    assert runs.changed(found[:1]) == []
    assert runs.changed([]) == []


def test_a_folder_that_may_not_be_written_to_is_read(place: Path) -> None:
    folder = make("first")
    for file in (*folder.iterdir(), folder):
        file.chmod(0o555 if file.is_dir() else 0o444)
    before = sorted(path.name for path in folder.iterdir())
    assert [len(part) for part in gathered()] == [1, 0]
    assert sorted(path.name for path in folder.iterdir()) == before
    folder.chmod(0o755)


def test_neither_torch_nor_pandas_nor_arrow_is_loaded(place: Path) -> None:
    evaluated(make("first"), 0.5)
    script = (
        "import sys\nfrom spfedrec_cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        "heavy = [name for name in ('torch', 'pandas', 'pyarrow', 'numpy', 'scipy') if name in sys.modules]\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    for more in ([], ["--json"], ["--csv"], ["--changed"]):
        command = [sys.executable, "-c", script, "runs", *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "file, told",
    [
        ("evaluation.json", "evaluation cannot be read"),
        ("metrics.jsonl", "Lines of the run are damaged or gone"),
        ("checkpoints/round-000002.safetensors", "The checkpoint is damaged"),
    ],
)
def test_what_was_changed_afterwards_is_told(place: Path, file: str, told: str) -> None:
    folder = make("first")
    evaluated(folder, 0.5)
    assert gathered()[1] == []
    flip(folder / file)
    assert told in " ".join(gathered()[1])


def test_an_evaluation_that_is_gone_is_missed_where_its_values_remain(place: Path) -> None:
    folder = make("first")
    evaluated(folder, 0.5)
    (folder / "evaluation.json").unlink()
    assert gathered()[1] == []
    (folder / "evaluation-test-full.parquet").touch()
    assert gathered()[1] == ["The evaluation is gone (runs/first/evaluation.json); evaluate again"]


def test_an_evaluation_of_another_run_or_checkpoint_is_not_shown(place: Path) -> None:
    first, second = make("first"), make("second")
    evaluated(first, 0.5)
    evaluated(second, 0.25)
    shutil.copy(first / "evaluation.json", second)
    found, told = gathered()
    assert [one.test for one in found] == [0.5, None]
    assert "of another run, Dataset or checkpoint (runs/second/evaluation.json)" in told[0]
