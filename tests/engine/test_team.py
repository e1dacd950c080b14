"""One training by several processes: the same bits, an orderly end, and one sentence where it goes wrong."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import Progress, TrainResult, spread, team
from spfedrec_cli.engine.load import load_world
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.processes import Team, TeamLost
from spfedrec_cli.federated.simulation.state import initial_state

Make = Callable[..., Config]
Launched = list["subprocess.Popen[bytes]"]


def timeless(file: Path) -> list[dict[str, object]]:
    return [
        {key: value for key, value in record.items() if key != "memory" and "seconds" not in key}
        for record in run.records(file)
    ]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Launched:
    """The processes that a training starts beside this one."""
    launched: Launched = []

    def launch(*words: Any, **options: Any) -> "subprocess.Popen[bytes]":
        launched.append(subprocess.Popen(*words, **options))
        return launched[-1]

    monkeypatch.setattr(team, "launch", launch)
    return launched


@pytest.mark.parametrize("count", [2, 4])
def test_any_number_of_workers_comes_to_the_same_bits(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path, workers: Launched, count: int
) -> None:
    """Weights, moments, private states, what was validated, and every line of the records. What chains would weigh is
    told by a single process alone."""
    spread_out = engine.train(shop, config(f"train.workers={count}"), tmp_path / "run")
    unlike = {name: getattr(trained, name) for name in ("run", "clients_per_second", "bytes_in_chains")}
    assert replace(spread_out, **unlike) == trained
    for name in ("metrics.jsonl", "ledger.jsonl"):
        assert timeless(trained.run / name) == timeless(spread_out.run / name)
    assert [worker.returncode for worker in workers] == [0] * (count - 1)


MODES = {
    "towers, requests for negatives, Adam in batches": [
        "client.private_state=tower",
        "client.negatives=request",
        "client.optimizer=adam",
        "client.batch_size=4",
    ],
    "a pool by popularity": ["client.pool=popularity"],
    "both kinds of negatives": ["client.negatives=both", "client.batch_size=4"],
    "Poisson cohorts, no private state, one shard for two": [
        "client.private_state=none",
        "federated.sampling=poisson",
        "federated.cohort_size=5",
        "train.shards=1",
    ],
    "chains of three in shards of ten, some aborted": [
        "federated.aggregation=ring",
        "federated.chain_length=3",
        "federated.dropout=0.1",
    ],
    "slates, and chains some of which are aborted": [
        "request.mode=slate",
        "request.slate_size=30",
        "federated.aggregation=ring",
        "federated.chain_length=3",
        "federated.dropout=0.1",
    ],
    "one device at a time": ["train.engine=reference"],
    "slates": ["request.mode=slate", "request.slate_size=30", "request.refresh=2"],
    "the whole catalogue": ["request.mode=catalogue"],
}


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("mode", MODES)
def test_in_every_mode(shop: Dataset, config: Make, tmp_path: Path, mode: str) -> None:
    made = config(*MODES[mode], "train.rounds=3", "train.eval_every=3")
    more = made.model_copy(update={"train": made.train.model_copy(update={"workers": 2})})
    one, two = engine.train(shop, made, tmp_path / "one"), engine.train(shop, more, tmp_path / "two")
    assert one.state_sha256 == two.state_sha256
    assert timeless(one.run / "ledger.jsonl") == timeless(two.run / "ledger.jsonl")


def test_a_resume_may_take_other_workers(trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path) -> None:
    short = engine.train(shop, config("train.rounds=3", "train.workers=2"), tmp_path / "run")
    assert engine.resume(short.run, rounds=4, workers=1).rounds == 4
    assert engine.resume(short.run, rounds=6, workers=3).state_sha256 == trained.state_sha256
    assert engine.load_config(short.run).train.workers == 3


def test_ctrl_c_stops_all_of_them(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path, workers: Launched
) -> None:
    def press(progress: Progress) -> None:
        if progress.round == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(engine.Interrupted, match="round 3 of 6 is saved"):
        engine.train(shop, config("train.workers=2"), tmp_path / "run", press)
    assert [worker.poll() is not None for worker in workers] == [True]
    assert engine.resume(tmp_path / "run").state_sha256 == trained.state_sha256


def test_a_worker_that_dies_is_told_and_loses_nothing_saved(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path, workers: Launched
) -> None:
    def kill(progress: Progress) -> None:
        if progress.round == 4:
            workers[0].kill()

    with pytest.raises(TeamLost, match="has stopped"):
        engine.train(shop, config("train.workers=2"), tmp_path / "run", kill)
    assert engine.resume(tmp_path / "run", workers=1).state_sha256 == trained.state_sha256


def test_a_dry_run_with_workers(shop: Dataset, config: Make) -> None:
    told = engine.rehearse(shop, config("train.workers=2"))
    assert (told.rounds, told.clients) == (6, 40)


def torchrun(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*launcher, *words], capture_output=True, text=True, cwd=folder, env=variables, check=False)


def test_torchrun_comes_to_the_same_bits(trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(to_toml(config()))
    words = ["train", str(shop.path), "--config", "config.toml", "--name", "spread", "--json", "--quiet"]
    done = torchrun(tmp_path, "-m", "spfedrec_cli", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state_sha256"] == trained.state_sha256
    assert timeless(tmp_path / "runs" / "spread" / "ledger.jsonl") == timeless(trained.run / "ledger.jsonl")


def test_torchrun_with_different_settings_is_refused(shop: Dataset, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import os, sys\n"
        "from spfedrec_cli.__main__ import main\n"
        f"sys.argv = ['spfedrec', 'train', {str(shop.path)!r}, '--set', 'train.seed=' + os.environ['RANK']]\n"
        "main()\n"
    )
    done = torchrun(tmp_path, "main.py")
    assert done.returncode != 0
    assert "do not have the same Dataset and settings; give every process the same" in done.stderr


class Estranged(Team):
    """A process that hears of other weights than its own."""

    def told(self, text: str) -> str:
        return "other"

    def sum(self, integers: torch.Tensor) -> torch.Tensor:
        return integers


def test_processes_that_come_apart_are_noticed(shop: Dataset, config: Make) -> None:
    world = load_world(shop, config(), Estranged(1, 2))
    with pytest.raises(SpfedrecError, match=r"By round 0 .* different weights; use machines"):
        spread.check_in_step(world, initial_state(world))


def test_who_speaks_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (run.is_one_of_several(), run.is_helper()) == (False, False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, helper in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        assert (run.is_one_of_several(), run.is_helper()) == (True, helper)


def test_nobody_comes_to_the_meeting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "PATIENCE", timedelta(seconds=1))
    store = torch.distributed.TCPStore("127.0.0.1", 0, 2, is_master=True, wait_for_workers=False)
    with pytest.raises(TeamLost, match="did not find one another"), team.joined(0, 2, store=store):
        pass


def test_a_network_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nowhere")
    store = torch.distributed.TCPStore("127.0.0.1", 0, 1, is_master=True)
    with pytest.raises(TeamLost, match="did not find one another"), team.joined(0, 1, store=store):
        pass


def test_a_failed_meeting_leaves_the_next_one_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: TrainResult, shop: Dataset, config: Make
) -> None:
    test_nobody_comes_to_the_meeting(monkeypatch)
    monkeypatch.setattr(team, "PATIENCE", timedelta(minutes=1))  # so that a meeting under another name ends
    assert engine.train(shop, config("train.workers=2"), tmp_path / "run").state_sha256 == trained.state_sha256


def test_a_worker_that_cannot_even_start_is_told(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(words: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([words[0], "-c", "raise SystemExit('no such module')"], **options)

    monkeypatch.setattr(team, "launch", broken)
    with pytest.raises(TeamLost, match=r"stopped before it began \(no such module\)"):
        engine.train(shop, config("train.workers=2"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
