"""Training: what it leaves behind, and that stopping and going on changes no bit."""

import importlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine import Progress, TrainResult, load
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.run import checkpoints

Make = Callable[..., Config]
OWN = ("run", "lines")  # of a manifest: who the run is, and its measured seconds


def timeless(file: Path) -> list[dict[str, object]]:
    return [
        {key: value for key, value in record.items() if key != "memory" and "seconds" not in key}
        for record in run.records(file)
    ]


def assert_same_run(one: TrainResult, two: TrainResult) -> None:
    """All but the folder and the speed: tensors to the bit, Adam moments and private state included."""
    unlike = {"run": one.run, "clients_per_second": 0.0}
    assert replace(two, **unlike) == replace(one, **unlike)
    for which in {run.latest(one.run), one.best_round}:
        ours, theirs = run.load_checkpoint(one.run, which), run.load_checkpoint(two.run, which)
        assert list(ours.tensors) == list(theirs.tensors)
        assert all(torch.equal(ours.tensors[name], theirs.tensors[name]) for name in ours.tensors)
        assert ours.private is not None
        assert theirs.private is not None
        assert torch.equal(ours.private, theirs.private)
        assert {k: v for k, v in ours.manifest.items() if k not in OWN} == {
            k: v for k, v in theirs.manifest.items() if k not in OWN
        }
    for name in ("metrics.jsonl", "ledger.jsonl"):
        assert timeless(one.run / name) == timeless(two.run / name)


def test_a_run_describes_itself(trained: TrainResult, shop: Dataset, config: Make) -> None:
    folder = trained.run
    assert resolve(file=folder / "config.toml") == config()
    assert json.loads((folder / "environment.json").read_text())["torch"] == torch.__version__
    assert run.about(folder)["dataset_sha256"] == shop.fingerprint
    rounds = run.records(folder / "metrics.jsonl")
    assert [record["round"] for record in rounds] == [1, 2, 3, 4, 5, 6]
    assert [record["round"] for record in rounds if record["validation"]] == [2, 4, 6]
    assert [record["round"] for record in rounds if record["validation_seconds"] > 0] == [2, 4, 6]
    assert all(record["seconds"] > 0 for record in rounds)
    ledger = run.records(folder / "ledger.jsonl")
    assert sum(entry["bytes"] for entry in ledger if entry["direction"] == "up") == trained.bytes_up
    assert sum(entry["bytes"] for entry in ledger if entry["direction"] == "down") == trained.bytes_down
    assert trained.client_updates == 6 * 40
    best = max((record for record in rounds if record["validation"]), key=lambda r: r["validation"]["ndcg@10"])
    assert trained.best_round == best["round"]
    assert trained.validation == best["validation"]


def test_the_state_hash_is_that_of_the_last_checkpoint(trained: TrainResult) -> None:
    last = run.load_checkpoint(trained.run, run.latest(trained.run))
    assert last.round == 6
    assert last.private is not None
    assert run.digest({**last.tensors, "private": last.private}) == trained.state_sha256


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    assert_same_run(trained, engine.train(shop, config(), tmp_path / "again"))
    assert engine.train(shop, config("train.seed=1"), tmp_path / "other").state_sha256 != trained.state_sha256


@pytest.mark.parametrize(
    "stop_at, number", [(1, signal.SIGINT), (2, signal.SIGTERM), (3, signal.SIGHUP), (4, signal.SIGINT)]
)
def test_an_interrupted_run_goes_on_to_the_same_bits(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path, stop_at: int, number: signal.Signals
) -> None:
    """Ctrl-C, or another such signal, during round stop_at + 1: that round is finished and saved."""

    def press(progress: Progress) -> None:
        if progress.round == stop_at:
            os.kill(os.getpid(), number)

    with pytest.raises(engine.Interrupted, match="--resume") as stopped:
        engine.train(shop, config(), tmp_path / "run", press)
    assert stopped.value.exit_code == 128 + number
    assert run.latest(tmp_path / "run") == stop_at + 1
    assert_same_run(trained, engine.resume(tmp_path / "run"))


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def kill(progress: Progress) -> None:
        if progress.round == 5:
            raise Killed

    with pytest.raises(Killed):
        engine.train(shop, config(), tmp_path / "run", kill)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as stream:
        stream.write('{"round": 6, "lo')  # a line cut short
    (tmp_path / "run" / "checkpoints" / "round-000006.safetensors.part").write_bytes(b"half")
    assert run.latest(tmp_path / "run") < 5
    assert_same_run(trained, engine.resume(tmp_path / "run"))


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    for part in ("checkpoints", "private"):
        shutil.rmtree(tmp_path / "run" / part)
    (tmp_path / "run" / "checkpoints").mkdir()
    assert_same_run(trained, engine.resume(tmp_path / "run"))


def test_a_run_can_be_prolonged(trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path) -> None:
    engine.train(shop, config("train.rounds=4"), tmp_path / "run")
    prolonged = engine.resume(tmp_path / "run", rounds=6)
    assert prolonged.state_sha256 == trained.state_sha256


@pytest.mark.parametrize("inside, name", [("", "."), ("checkpoints", "..")])
def test_a_run_is_resumed_from_within(
    trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, name: str
) -> None:
    folder = Path(shutil.copytree(trained.run, tmp_path / "copy"))
    monkeypatch.chdir(folder / inside)
    assert engine.resume(name).state_sha256 == trained.state_sha256


def test_a_resume_takes_no_number_that_a_new_run_would_not(trained: TrainResult, tmp_path: Path) -> None:
    """It would be written, and nothing could read the run any more."""
    folder = Path(shutil.copytree(trained.run, tmp_path / "copy"))
    with pytest.raises(InputError, match=r"train\.workers = 65 does not fit"):
        engine.resume(folder, workers=65)
    with pytest.raises(InputError, match=r"train\.rounds = 100000001 does not fit"):
        engine.resume(folder, rounds=100_000_001)
    assert engine.load_config(folder) == engine.load_config(trained.run)


def test_a_finished_run_resumes_to_itself(trained: TrainResult) -> None:
    assert engine.resume(trained.run).state_sha256 == trained.state_sha256


def test_old_checkpoints_and_private_blocks_are_swept(trained: TrainResult) -> None:
    kept = {trained.best_round, 4, 6}  # the best, and the last two
    assert set(run.rounds(trained.run)) == kept
    named = {name for which in kept for name in run.load_checkpoint(trained.run, which).manifest["private"]}
    assert {file.stem for file in (trained.run / "private").iterdir()} == named


def test_an_existing_folder_is_refused(trained: TrainResult, shop: Dataset, config: Make) -> None:
    with pytest.raises(InputError, match="already exists"):
        engine.train(shop, config(), trained.run)


def test_an_unknown_monitor_is_refused_before_anything_is_written(shop: Dataset, config: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean ndcg@10"):
        engine.train(shop, config("train.monitor=ndgc@10"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_changed_dataset_is_noticed(trained: TrainResult, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    run.write_about(tmp_path / "run", {**about, "dataset_sha256": "0" * 64})
    with pytest.raises(InputError, match="not the one"):
        engine.resume(tmp_path / "run")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def flip(file: Path, place: int = -1) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))


@pytest.mark.parametrize("spoil", [cut, flip, Path.unlink], ids=["cut", "flipped", "removed"])
def test_from_a_damaged_checkpoint_a_run_goes_back_to_the_one_before(
    trained: TrainResult, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    spoil(tmp_path / "run" / "checkpoints" / "round-000006.safetensors")
    assert run.usable(tmp_path / "run") == 4
    assert "round-000006.safetensors): going back to the one before it" in caplog.text
    assert_same_run(trained, engine.resume(tmp_path / "run"))


def test_private_state_of_another_hash_goes_back_too(
    trained: TrainResult, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    (name,) = run.load_checkpoint(trained.run, 6).manifest["private"]
    flip(tmp_path / "run" / "private" / f"{name}.safetensors")
    assert_same_run(trained, engine.resume(tmp_path / "run"))
    assert "does not match its hash" in caplog.text


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(trained: TrainResult, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoints").glob("*.safetensors"):
        flip(file)
    with pytest.raises(InputError, match=r"damaged .*round-000004.*spfedrec doctor"):
        engine.resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["metrics.jsonl", "ledger.jsonl"])
def test_lines_that_were_changed_are_noticed(
    trained: TrainResult, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Where the damage is behind the checkpoint before, a resume writes them anew; else it refuses."""
    shutil.copytree(trained.run, tmp_path / "run")
    flip(tmp_path / "run" / name, -3)
    assert run.usable(tmp_path / "run") == 6
    assert f"{name}), which the model does not depend on" in caplog.text
    assert_same_run(trained, engine.resume(tmp_path / "run"))
    flip(tmp_path / "run" / name, 3)
    with pytest.raises(InputError, match=rf"damaged or gone .*{name}"):
        engine.resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["config.toml", "run.json"])
def test_settings_and_origin_that_were_changed_are_noticed(trained: TrainResult, tmp_path: Path, name: str) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    file = tmp_path / "run" / name
    file.write_text(file.read_text().replace("shop", "shap").replace("seed = 0", "seed = 1"))
    with pytest.raises(InputError, match=r"were changed after it began|cannot be read"):
        engine.resume(tmp_path / "run")


def test_settings_of_another_run_are_noticed(trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path) -> None:
    other = engine.train(shop, config("train.rounds=2"), tmp_path / "other")
    shutil.copytree(trained.run, tmp_path / "run")
    shutil.copy(other.run / "config.toml", tmp_path / "run")
    with pytest.raises(InputError, match="were changed after it began"):
        engine.evaluate(tmp_path / "run")
    shutil.copy(trained.run / "config.toml", tmp_path / "run")
    shutil.copy(
        other.run / "checkpoints/round-000002.safetensors", tmp_path / "run/checkpoints/round-000006.safetensors"
    )
    assert run.usable(tmp_path / "run") == 4


def test_one_writer_a_run(trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    for begin in (
        lambda: engine.resume(tmp_path / "run"),
        lambda: engine.train(shop, config("train.rounds=1"), tmp_path / "run"),
    ):
        with run.locked(tmp_path / "run"), pytest.raises(run.Locked, match=rf"Process {os.getpid()} .* is writing"):
            begin()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_run_is_renamed_into_place_and_leftovers_are_swept(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    (tmp_path / ".run.new").mkdir()
    (tmp_path / ".run.new" / "run.json").write_text("{")
    engine.train(shop, config("train.rounds=1"), tmp_path / "run")
    names = ["config.toml.part", "checkpoints/round-000009.safetensors.part", "checkpoints/.tmpAb12", "private/.tmpCd"]
    left = [tmp_path / "run" / name for name in names]
    for file in left:
        file.touch()
    engine.resume(tmp_path / "run")
    assert not any(file.exists() for file in left)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_checkpoints_that_a_kill_kept_from_being_removed_go(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the rename of the last checkpoint and the new list of them."""
    made = config("train.rounds=4", "train.checkpoint_every=1", "train.eval_every=4", "train.keep=1")
    with monkeypatch.context() as killed:
        killed.setattr(checkpoints, "relist", fail_after(3, checkpoints.relist))
        with pytest.raises(SpfedrecError, match="killed"):
            engine.train(shop, made, tmp_path / "run")
    assert run.rounds(tmp_path / "run") == [3, 4]
    engine.resume(tmp_path / "run")
    assert run.rounds(tmp_path / "run") == run.listed(tmp_path / "run") == [4]


def test_a_best_checkpoint_that_is_gone_is_still_missed(trained: TrainResult, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.run, folder)
    checkpoints.file_of(folder, trained.best_round).unlink()
    run.tidy(folder, 6, [trained.best_round], 1)
    assert run.listed(folder) == sorted({trained.best_round, 6})


def fail_after(times: int, function: Callable[..., Any]) -> Callable[..., Any]:
    calls = iter(range(times))

    def call(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise SpfedrecError("killed")
        return function(*arguments)

    return call


def test_a_run_is_not_laid_out_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / ".run.new").symlink_to("mine")
    with pytest.raises(FileExistsError):
        run.create(tmp_path / "run", "", {}, {})
    assert list((tmp_path / "mine").iterdir()) == []
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_be_laid_out_leaves_nothing(tmp_path: Path) -> None:
    about = dict.fromkeys(("dataset", "dataset_sha256", "dataset_name"), "shop")
    with pytest.raises(TypeError):
        run.create(tmp_path / "run", "", about, {"versions": object()})
    assert list(tmp_path.iterdir()) == []


def test_private_state_is_for_its_owner_alone(trained: TrainResult) -> None:
    folder = trained.run / "private"
    assert [path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())] == [0] * (1 + len([*folder.iterdir()]))


def test_no_run_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: TrainResult) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.run, tmp_path / "runs" / "spring")
    assert run.find("spring") == Path("runs/spring")
    with pytest.raises(InputError, match="did you mean spring"):
        run.find("sprong")
    with pytest.raises(InputError, match=r"no run\.json"):
        run.find(tmp_path)
    run.write_json(tmp_path / "runs" / "spring" / "run.json", {"layout": 99})
    with pytest.raises(InputError, match="layout 99"):
        run.about(tmp_path / "runs" / "spring")


def test_the_reference_engine_counts_the_same_bytes(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    plain = engine.train(shop, config("train.engine=reference"), tmp_path / "run")
    assert (plain.bytes_up, plain.bytes_down) == (trained.bytes_up, trained.bytes_down)
    ours, theirs = run.records(trained.run / "metrics.jsonl"), run.records(plain.run / "metrics.jsonl")
    assert [r["loss"] for r in theirs] == pytest.approx([r["loss"] for r in ours], rel=0.01)


def test_what_crossed_is_what_the_ledger_counted(trained: TrainResult, shop: Dataset) -> None:
    rows = {row.kind: row for row in engine.crossed(trained.run)}
    assert list(rows) == ["popularity", "counts", "broadcast", "request", "embeddings", "update"]
    everybody = len(shop.clients_with_history())
    assert [rows[kind].count for kind in rows] == [everybody, everybody, 240, 240, 240, 240]
    total = sum(row.count * row.mean for row in rows.values() if row.direction == "up")
    assert total == pytest.approx(trained.bytes_up)
    assert all(row.largest >= row.mean for row in rows.values())


def test_a_resume_to_fewer_rounds_changes_nothing(shop: Dataset, config: Make, tmp_path: Path) -> None:
    engine.train(shop, config("train.rounds=4"), tmp_path / "run")
    before = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(InputError, match="already at round 4"):
        engine.resume(tmp_path / "run", rounds=2)
    assert (tmp_path / "run" / "config.toml").read_text() == before
    engine.resume(tmp_path / "run")


def test_a_monitor_follows_the_catalogue(shop: Dataset, config: Make, tmp_path: Path) -> None:
    told: list[tuple[Path, str]] = []
    done = engine.train(
        shop,
        config("train.monitor=ndcg@500", "train.rounds=1"),
        tmp_path / "run",
        preset="synthetic",
        begun=lambda folder, followed: told.append((folder, followed.train.monitor)),
    )
    assert told == [(tmp_path / "run", "ndcg@200")]  # after all that could be refused
    assert done.monitor == "ndcg@200"
    assert set(done.validation) >= {"ndcg@200", "ndcg@10"}
    assert engine.load_config(done.run).train.monitor == "ndcg@200"
    about = run.about(done.run)
    assert about["preset"] == "synthetic"
    assert datetime.fromisoformat(about["started"]).tzinfo is UTC


def test_a_training_that_is_refused_was_not_begun(shop: Dataset, config: Make, tmp_path: Path) -> None:
    told: list[Path] = []
    with pytest.raises(InputError):
        engine.train(shop, config("train.monitor=ndgc@10"), tmp_path / "run", begun=lambda *of: told.append(of[0]))
    assert told == []


def test_a_project_that_was_moved_finds_its_dataset(shop: Dataset, config: Make, tmp_path: Path) -> None:
    """Beside the run, under its project, or where it is said to be; never another one of the same name."""
    shutil.copytree(shop.path, tmp_path / "old" / "datasets" / "shop")
    config_ = config("train.rounds=1")
    engine.train(Dataset.open(tmp_path / "old" / "datasets" / "shop"), config_, tmp_path / "old" / "runs" / "first")
    (tmp_path / "old").rename(tmp_path / "new")
    here = tmp_path / "new" / "runs" / "first"
    assert load.load_dataset(here).path.samefile(tmp_path / "new" / "datasets" / "shop")
    (tmp_path / "new" / "datasets" / "shop").rename(tmp_path / "new" / "datasets" / "renamed")
    assert load.load_dataset(here).path.samefile(tmp_path / "new" / "datasets" / "renamed")
    (tmp_path / "new" / "datasets" / "renamed").rename(tmp_path / "elsewhere")
    with pytest.raises(
        InputError, match=r"where it was.*say where it is with --dataset \(to resume: `spfedrec train DATASET --resume "
    ):
        load.load_dataset(here)
    assert load.load_dataset(here, tmp_path / "elsewhere").path == tmp_path / "elsewhere"
    assert engine.resume(here, rounds=2, dataset=tmp_path / "elsewhere").rounds == 2
    prepare(source="synthetic", input=None, output=tmp_path / "another", customers=300, items=200, seed=1)
    with pytest.raises(InputError, match="not the one that the run was trained on"):
        load.load_dataset(here, tmp_path / "another")
    with pytest.raises(InputError, match="does not exist"):
        load.load_dataset(here, tmp_path / "nowhere")


def test_a_damaged_dataset_nearby_is_passed_over(shop: Dataset, config: Make, tmp_path: Path) -> None:
    shutil.copytree(shop.path, tmp_path / "datasets" / "a-damaged")
    (tmp_path / "datasets" / "a-damaged" / "items.parquet").write_bytes(b"")
    shutil.copytree(shop.path, tmp_path / "datasets" / "moved")
    done = engine.train(
        Dataset.open(tmp_path / "datasets" / "moved"), config("train.rounds=1"), tmp_path / "runs" / "x"
    )
    (tmp_path / "datasets" / "moved").rename(tmp_path / "datasets" / "z-good")
    assert load.load_dataset(done.run).path.name == "z-good"


def test_the_last_round_is_validated_even_where_none_is_due(shop: Dataset, config: Make, tmp_path: Path) -> None:
    result = engine.train(shop, config("train.rounds=3", "train.eval_every=2"), tmp_path / "run")
    validated = [r["round"] for r in run.records(result.run / "metrics.jsonl") if r["validation"]]
    assert validated == [2, 3]


def test_the_best_checkpoint_stays_though_later_ones_come(shop: Dataset, config: Make, tmp_path: Path) -> None:
    settings = ["train.rounds=8", "train.eval_every=1", "train.checkpoint_every=1", "train.monitor=mrr@3"]
    result = engine.train(shop, config(*settings), tmp_path / "run")
    scores = {r["round"]: r["validation"]["mrr@3"] for r in run.records(result.run / "metrics.jsonl")}
    assert result.best_round == max(scores, key=lambda round_: (scores[round_], -round_))
    assert set(run.rounds(result.run)) == {result.best_round, 7, 8}


def test_the_best_round_is_saved_though_no_checkpoint_was_due(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = importlib.import_module("spfedrec_cli.engine.train")
    monkeypatch.setattr(training, "validate", lambda validation, state: (state, {"ndcg@10": 1.0 / state.round}, []))
    result = engine.train(shop, config("train.rounds=7", "train.checkpoint_every=3"), tmp_path / "run")
    assert result.best_round == 2
    assert run.rounds(result.run) == [2, 6, 7]


def test_patience_stops_a_training_that_gets_no_better(shop: Dataset, config: Make, tmp_path: Path) -> None:
    """Nothing moves, so that the first validation is never bettered."""
    still = [
        "server.lr=1e-30",
        "server.item_lr=1e-30",
        "client.private_state=none",
        "train.patience=2",
        "train.rounds=40",
    ]
    result = engine.train(shop, config(*still), tmp_path / "run")
    assert (result.best_round, result.rounds) == (2, 6)  # validated in rounds 2, 4 and 6
    assert engine.resume(result.run).rounds == 6
    assert len(run.records(result.run / "metrics.jsonl")) == 6


def test_a_rehearsal_says_what_a_training_costs(trained: TrainResult, shop: Dataset, config: Make) -> None:
    told = engine.rehearse(shop, config())
    assert told.rounds == 6
    assert told.clients == 40
    assert told.seconds == pytest.approx(6 * told.seconds_a_round)
    rounds = run.records(trained.run / "metrics.jsonl")[1:3]
    assert told.bytes_up == sum(record["bytes_up"] for record in rounds) / 80
    assert told.bytes_down == sum(record["bytes_down"] for record in rounds) / 80
    assert told.query_parameters > 0 < told.item_parameters
    assert told.peak_memory > 50e6


def test_chains_that_lose_a_client_are_counted_and_the_secrets_source_recorded(
    shop: Dataset, config: Make, tmp_path: Path
) -> None:
    chains = config("federated.aggregation=ring", "federated.dropout=0.1", "train.rounds=4")
    result = engine.train(shop, chains, tmp_path / "ring")
    assert run.about(result.run)["secrets"] == "simulated"
    records = run.records(result.run / "metrics.jsonl")
    assert 0 < result.survivors < result.client_updates == 160
    assert sum(record["survivors"] for record in records) == result.survivors
    assert sum(record["aborted"] for record in records) == result.aborted > 0
    kinds = {entry["kind"] for entry in run.records(result.run / "ledger.jsonl")}
    assert {"commitment", "reveal", "roster", "masked"} <= kinds
    assert "update" not in kinds


def test_a_training_by_chains_ends_in_the_bits_of_the_ideal_sum(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    result = engine.train(shop, config("federated.aggregation=ring"), tmp_path / "ring")
    assert (result.state_sha256, result.aborted) == (trained.state_sha256, 0)
    assert result.survivors == result.client_updates
    assert run.about(trained.run)["secrets"] == "simulated"


@pytest.mark.parametrize("name, every", [("mlp.0.weight", 1), ("mlp.0.weight", 2), ("field.id", 1)])
def test_weights_that_are_no_numbers_stop_the_training_and_are_never_saved(
    name: str, every: int, shop: Dataset, config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the third round on, whose loss is still a number."""
    module = importlib.import_module("spfedrec_cli.engine.train")
    split = module.STRATEGIES["split"]

    def spoiling(state: State, world: World) -> tuple[State, Report]:
        state, report = split(state, world)
        if state.round == 3:
            state.item[name][0, 0] = torch.inf
        return state, report

    monkeypatch.setitem(module.STRATEGIES, "split", spoiling)
    settings = config("train.rounds=5", f"train.checkpoint_every={every}", "train.eval_every=5")
    with pytest.raises(SpfedrecError, match=rf"After round 3 the weight {name} of the item tower is no number"):
        engine.train(shop, settings, tmp_path / "run")
    assert run.latest(tmp_path / "run") == 2
    assert all(line["memory"] > 1 << 20 for line in run.records(tmp_path / "run" / "metrics.jsonl"))
