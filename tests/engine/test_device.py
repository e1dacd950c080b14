"""A whole training with the server on another device: the files are the CPU's, and a resume may choose anew."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from devices import Astray, Place, as_elsewhere, pretended
from safetensors.torch import load_file

from spfedrec_cli import engine, placement, run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import TrainResult, spread, team
from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.engine.load import load_world
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.simulation.state import stored_tensors

Make = Callable[..., Config]
SMALL = ["request.slate_size=30", "client.private_state=none"]
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that CUDA can use")


def test_a_training_on_a_device_ends_in_the_same_files(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the pretended one, whose arithmetic is the CPU's: rounds, validations and checkpoints."""
    with pretended(monkeypatch):
        result = engine.train(shop, config("train.device=cuda"), tmp_path / "run")
    assert (result.state_sha256, result.validation) == (trained.state_sha256, trained.validation)
    assert json.loads((result.run / "environment.json").read_text())["device"] == "cpu:0"
    assert engine.load_config(result.run).train.device == "cuda"
    written, expected = (sorted((folder / "checkpoints").iterdir()) for folder in (result.run, trained.run))
    assert [file.name for file in written] == [file.name for file in expected]
    for one, other in zip(written, expected, strict=True):  # each sealed for its own run
        if one.suffix == ".safetensors":
            mine, theirs = load_file(one), load_file(other)
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    assert engine.evaluate(result.run, ks=[10]).metrics == engine.evaluate(trained.run, ks=[10]).metrics


@pytest.fixture(autouse=True)
def comparable(monkeypatch: pytest.MonkeyPatch) -> None:
    as_elsewhere(monkeypatch)


@pytest.fixture
def trained(comparable: None, shop: Dataset, config: Make, tmp_path: Path) -> TrainResult:
    """In place of the one that all tests share."""
    return engine.train(shop, config(), tmp_path / "on_the_cpu")


@pytest.mark.parametrize("first, then", [("cpu", "auto"), ("auto", "cpu")])
def test_a_resume_may_take_another_device(
    trained: TrainResult,
    shop: Dataset,
    config: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
    then: str,
) -> None:
    with pretended(monkeypatch):
        engine.train(shop, config("train.rounds=3", f"train.device={first}"), tmp_path / "run")
        resumed = engine.resume(tmp_path / "run", rounds=6, device=then)
    assert resumed.state_sha256 == trained.state_sha256
    assert engine.load_config(resumed.run).train.device == then


@pytest.mark.parametrize("kind", ["none", "tower"])
def test_every_private_state_is_validated_there(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings = [f"client.private_state={kind}", "model.history=recency", "train.rounds=2"]
    expected = engine.train(shop, config(*settings), tmp_path / "cpu")
    with pretended(monkeypatch):
        result = engine.train(shop, config(*settings, "train.device=cuda"), tmp_path / "cuda")
    assert (result.state_sha256, result.validation) == (expected.state_sha256, expected.validation)


@pytest.mark.parametrize(
    "settings", [["client.private_state=embedding"], ["client.private_state=tower"], ["request.mode=slate", *SMALL]]
)
def test_a_move_left_out_of_a_training_is_noticed(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: list[str]
) -> None:
    made = config(*settings, "train.rounds=1", "train.device=cuda")
    moves: set[Place] = set()

    def in_two_parts(name: str, without: Place | None = None) -> None:
        with pretended(monkeypatch, moves if without is None else None, without):
            engine.train(shop, made, tmp_path / name)
            engine.resume(tmp_path / name, rounds=2)

    in_two_parts("whole")
    unnoticed = []
    for number, place in enumerate(sorted(moves)):
        try:
            in_two_parts(f"without-{number}", place)
        except Astray:
            continue
        unnoticed.append(place)
    assert {"embed.py", "round.py", "scoring.py", "optimizers.py", "state.py", "steps.py"} <= {
        file for file, _ in moves
    }
    assert unnoticed == []


class Chief(Team):
    """One of two, the other of which has nothing to add."""

    def told(self, text: str) -> str:
        return text


def test_what_several_processes_share_crosses_from_the_device(
    trained: TrainResult, shop: Dataset, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state is dealt out, compared and gathered; of the private states, those of the other process are zero."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda integers: integers)
    loaded = load_state(trained.run, 6)
    with pretended(monkeypatch) as device:
        world = load_world(shop, config(), Chief(0, 2), device)
        state, tally = spread.started(world, loaded)
        monkeypatch.setattr(Chief, "sum", lambda self, integers: torch.zeros_like(integers))
        spread.check_in_step(world, state)
        whole = spread.whole(world, state)
        assert {tensor.device == device for tensor in state.item.values()} == {True}
        assert run.digest(stored_tensors(state)) == run.digest(stored_tensors(loaded[0]))
    assert tally == loaded[1]
    assert whole.private is not None
    assert loaded[0].private is not None
    assert torch.equal(whole.private[::2], loaded[0].private[::2])
    assert not whole.private[1::2].any()


def test_a_rehearsal_and_a_bench_go_there_too(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spfedrec_cli.engine import made

    kernel, small = made.sized(made.KERNEL, 30, 400), made.sized(made.SHOP, 60, 500)
    with pretended(monkeypatch):
        assert engine.rehearse(shop, config("train.device=cuda")).clients == 40
        assert engine.bench(seconds=0.0, kernel=kernel, shop=small, device="cuda").machine["device"] == "cpu:0"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    having(monkeypatch, gpus=0)
    with pytest.raises(InputError, match=rf"offer no device '{name}' \(train\.device\); use --device cpu"):
        engine.train(shop, config(f"train.device={name}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def having(monkeypatch: pytest.MonkeyPatch, gpus: int, metal: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: metal)


def test_auto_takes_cuda_and_no_metal(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, gpus=0, metal=True)
    assert [str(placement.chosen(name)) for name in ("auto", "cpu", "mps")] == ["cpu", "cpu", "mps"]
    having(monkeypatch, gpus=2)
    assert [str(placement.chosen("auto", number)) for number in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As torch was before, afterwards."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    before = torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.set_float32_matmul_precision(before[1])


@pytest.mark.usefixtures("unsettled")
def test_only_cuda_needs_to_be_told_to_repeat_itself() -> None:
    for name in ("cpu", "mps"):
        placement.repeatable(torch.device(name))
        assert not torch.are_deterministic_algorithms_enabled()
    torch.set_float32_matmul_precision("high")
    placement.repeatable(torch.device("cuda", 0))
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_float32_matmul_precision() == "highest"


def under_torchrun(monkeypatch: pytest.MonkeyPatch, rank: int, local: int, beside: int) -> None:
    names = {"RANK": rank, "WORLD_SIZE": 4, "LOCAL_RANK": local, "LOCAL_WORLD_SIZE": beside}
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.usefixtures("unsettled")
def test_a_process_of_torchrun_has_a_gpu_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, gpus=2)
    under_torchrun(monkeypatch, rank=3, local=1, beside=2)
    assert str(team.device_of("cuda")) == "cuda:1"
    under_torchrun(monkeypatch, rank=3, local=3, beside=4)
    with pytest.raises(InputError, match=r"4 processes here, more than there are GPUs; give --nproc-per-node 2"):
        team.device_of("cuda")
    assert team.device_of("cpu") == placement.CPU


@pytest.mark.usefixtures("unsettled")
def test_workers_of_one_machine_share_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, gpus=2)
    assert [str(team.device_of("auto", Team(rank, 3))) for rank in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize("gpu, transport", [("cuda:1", "nccl"), ("cpu", "gloo"), ("mps", "gloo")])
def test_which_transport_is_taken(monkeypatch: pytest.MonkeyPatch, gpu: str, transport: str) -> None:
    asked: list[str] = []
    monkeypatch.setattr(team.distributed, "init_process_group", lambda kind, **rest: asked.append(kind))
    monkeypatch.setattr(team.distributed, "destroy_process_group", lambda: None)
    with team.joined(0, 2, torch.device(gpu)) as joined:
        assert str(joined.device) == (gpu if transport == "nccl" else "cpu")
    assert asked == [transport]


@contextmanager
def settings_of_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@CUDA
@pytest.mark.parametrize("more", [[], ["client.private_state=tower"], ["train.workers=2"]])
def test_on_a_gpu_a_training_ends_in_the_same_bits_twice_and_after_a_resume(
    shop: Dataset, config: Make, tmp_path: Path, more: list[str]
) -> None:
    settings: list[Any] = ["train.device=cuda", *more]
    with settings_of_torch():
        whole = engine.train(shop, config(*settings), tmp_path / "whole")
        engine.train(shop, config(*settings, "train.rounds=3"), tmp_path / "parts")
        assert engine.resume(tmp_path / "parts", rounds=6).state_sha256 == whole.state_sha256


@CUDA
@pytest.mark.parametrize("mode", [[], ["request.mode=slate", *SMALL], ["request.mode=catalogue"]])
def test_on_a_gpu_and_on_the_cpu_a_training_learns_the_same(
    shop: Dataset, config: Make, tmp_path: Path, mode: list[str]
) -> None:
    """Not to the bit: sums of floats have another order there."""
    expected = engine.train(shop, config(*mode), tmp_path / "cpu")
    with settings_of_torch():
        result = engine.train(shop, config(*mode, "train.device=cuda"), tmp_path / "cuda")
    assert result.validation == pytest.approx(expected.validation, abs=0.05)
