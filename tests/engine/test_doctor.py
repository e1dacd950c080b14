"""What is found of a run or a Dataset, and what a repaired one is worth: a resume ends with the same bits."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import TrainResult, examine
from spfedrec_cli.errors import InputError

Spoil = Callable[[Path], object]


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def half_a_line(file: Path) -> None:
    with file.open("a") as stream:
        stream.write('{"round": 7, "lo')


@pytest.fixture
def copy(trained: TrainResult, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.run, tmp_path / "run"))


def test_a_whole_run_and_a_whole_dataset(copy: Path, shop: Dataset) -> None:
    engine.evaluate(copy, ks=(10,), baselines=["popularity"])
    assert (examine(copy).kind, examine(copy).findings) == ("run", ())
    assert (examine(shop.path).kind, examine(shop.path).findings) == ("Dataset", ())


REPAIRED: dict[str, tuple[str, Spoil, str]] = {
    "the last checkpoint": ("checkpoints/round-000006.safetensors", flip, "checkpoint is damaged"),
    "the last checkpoint, gone": ("checkpoints/round-000006.safetensors", Path.unlink, "checkpoint is missing"),
    "the list of checkpoints": ("checkpoints/saved.json", flip, "list of checkpoints is damaged"),
    "half a line": ("metrics.jsonl", half_a_line, "last line is not whole"),
    "the last line": ("ledger.jsonl", lambda file: file.write_bytes(file.read_bytes()[:-9]), "Lines are damaged"),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_what_can_be_repaired_is(trained: TrainResult, copy: Path, case: str) -> None:
    name, spoil, problem = REPAIRED[case]
    spoil(copy / name)
    (found,) = examine(copy).findings
    assert problem in found.problem
    assert found.mend is not None
    assert examine(copy, repair=True).left == []
    assert examine(copy).findings == ()
    assert engine.resume(copy).state_sha256 == trained.state_sha256
    assert examine(copy).findings == ()


def test_every_checkpoint_damaged_is_repaired_to_a_run_that_begins_anew(trained: TrainResult, copy: Path) -> None:
    for file in (copy / "checkpoints").glob("*.safetensors"):
        flip(file)
    assert examine(copy, repair=True).left == []
    assert engine.resume(copy).state_sha256 == trained.state_sha256


@pytest.mark.parametrize("name", ["run.json", "config.toml"])
def test_what_cannot_be_repaired_says_so(copy: Path, name: str) -> None:
    flip(copy / name)
    diagnosis = examine(copy, repair=True)
    assert [finding.where.name for finding in diagnosis.left] == [name]
    assert "put back a copy" in diagnosis.left[0].advice


def test_a_lost_best_checkpoint_is_not_repaired(trained: TrainResult, copy: Path) -> None:
    assert trained.best_round == 4
    flip(copy / "checkpoints/round-000004.safetensors")
    (left,) = examine(copy, repair=True).left
    assert "--checkpoint last" in left.advice
    assert run.rounds(copy) == [4, 6]


def test_a_damaged_evaluation_is_removed(copy: Path) -> None:
    engine.evaluate(copy, ks=(10,))
    flip(copy / "evaluation-test-full.parquet")
    assert examine(copy, repair=True).left == []
    engine.evaluate(copy, ks=(10,))
    assert examine(copy).findings == ()


@pytest.mark.parametrize("name", ["dataset.json", "train.parquet", "negatives.parquet"])
def test_a_damaged_dataset_is_to_be_prepared_again(shop: Dataset, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(shop.path, tmp_path / "shop"))
    flip(folder / name)
    (found,) = examine(folder, repair=True).left
    assert (found.where.name, found.advice) == (name, "prepare it again")


def test_nothing_to_examine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run or Dataset"):
        examine(tmp_path / "nowhere")


def test_the_machine_tells_its_versions_and_no_names() -> None:
    told = engine.about_machine()
    assert told["torch"]
    assert str(Path.home()) not in json.dumps(told)
