import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from answers import Calls, Invoke, StandIn, progress, the_json, train_result

from spfedrec_cli import engine
from spfedrec_cli.cli.train import name_of_run
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError


@pytest.fixture
def training(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A training of two rounds, one of them validated, with one warning that the result repeats."""

    def train(*arguments: Any, **keywords: Any) -> engine.TrainResult:
        watch = next(argument for argument in arguments if callable(argument))
        watch(progress(1))
        watch(progress(2, validation={"hit_rate@10": 0.5, "ndcg@10": 0.25}, warning="lower tau"))
        return train_result(warnings=("lower tau",))

    monkeypatch.setattr(engine, "crossed", lambda run: [])
    return stand_in(train=train, resume=train)


def test_the_json_of_a_training(invoke: Invoke, sample: Dataset, training: Calls) -> None:
    assert the_json(invoke("train", "sample", "--json")) == {
        "run": "runs/first",
        "rounds": 4,
        "client_updates": 32,
        "survivors": 32,
        "aborted": 0,
        "clients_per_second": 16.0,
        "validation": {"ndcg@10": 0.25, "hit_rate@10": 0.5},
        "best_round": 3,
        "bytes_up": 48_000,
        "bytes_down": 8_000,
        "bytes_in_chains": {},
        "state_sha256": "ab" * 32,
        "monitor": "ndcg@10",
        "prior": None,
        "warnings": ["lower tau"],
    }


def test_a_training_is_told_on_stderr_and_summed_up_on_stdout(invoke: Invoke, sample: Dataset, training: Calls) -> None:
    result = invoke("train", "sample", "--set", "train.monitor=ndcg@10")
    assert "round 2/4: 1.0 s left, ndcg@10 0.2500" in result.stderr
    assert result.stderr.count("Warning: lower tau") == 1
    assert "Next: spfedrec evaluate runs/first --baselines" in result.stderr
    lines = {tuple(line.split()) for line in result.stdout.splitlines()}
    assert ("sent", "by", "a", "client", "a", "round", "1.5", "kB") in lines  # 48,000 bytes / 32 updates
    assert ("received", "by", "a", "client", "a", "round", "250", "B") in lines  # 8,000 / 32
    assert ("validation", "ndcg@10", "0.2500") in lines
    assert ("best", "round", "3") in lines


def test_quiet_leaves_the_warning(invoke: Invoke, sample: Dataset, training: Calls) -> None:
    assert invoke("train", "sample", "--quiet").stderr == "Warning: lower tau\n"


def test_the_settings_reach_the_engine(invoke: Invoke, sample: Dataset, training: Calls, workplace: Path) -> None:
    Path("mine.toml").write_text("[train]\nrounds = 6\nseed = 4\n")
    invoke("train", "sample", "--config", "mine.toml", "--set", "train.rounds=7", "--set", "model.dim=8", "--name", "x")
    _, (dataset, config, folder, _, preset, _), _ = training.last
    assert preset is None
    assert dataset.path == Path("datasets/sample")
    assert (config.train.rounds, config.train.seed, config.model.dim) == (7, 4, 8)
    assert folder == Path("runs/x")


@pytest.mark.parametrize("words", [(), ("--seeds", "2"), ("--dry-run",)])
def test_settings_from_a_pipe_reach_the_engine(
    invoke: Invoke, sample: Dataset, training: Calls, stand_in: StandIn, words: Sequence[str]
) -> None:
    """It can be read once: a second time there is nothing in it, which would mean plain defaults."""
    asked = stand_in(train_seeds=lambda *_, **__: None, rehearse=lambda *_, **__: None)
    reading, writing = os.pipe()
    os.write(writing, b"[train]\nrounds = 6\n")
    os.close(writing)
    invoke("train", "sample", "--config", f"/dev/fd/{reading}", *words)
    os.close(reading)
    (_, (_, config, *_), _) = asked.last if words else training.last
    assert config.train.rounds == 6


@pytest.mark.parametrize("setting", ["trian.rounds=5", "train.rounds=0", "rounds=5"])
def test_settings_that_do_not_fit_are_refused_before_anything_starts(
    invoke: Invoke, sample: Dataset, training: Calls, setting: str
) -> None:
    result = invoke("train", "sample", "--set", setting)
    assert result.exit_code == 2
    assert training.made == []


def test_names_are_numbered(workplace: Path) -> None:
    Path("runs/sample-1").mkdir(parents=True)
    Path("runs/sample-2").mkdir()
    assert name_of_run(None, "sample", None) == "sample-3"
    assert name_of_run(None, "sample", "small") == "sample-small-1"
    assert name_of_run(None, "sample", "sample") == "sample-3"
    assert name_of_run("mine", "sample", "small") == "mine"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "with space", "-x", "x" * 201, "ä" * 101])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a run"):
        name_of_run(name, "sample", None)


def test_nothing_to_train_on_is_said(invoke: Invoke) -> None:
    result = invoke("train")
    assert result.exit_code == 2
    assert "give a DATASET, or a run with --resume" in result.stderr


@pytest.mark.parametrize("words", [(), ("sample",), ("datasets/sample",)])
def test_a_run_is_resumed_by_name(invoke: Invoke, a_run: Path, training: Calls, words: Sequence[str]) -> None:
    assert the_json(invoke("train", *words, "--resume", "first", "--json"))["run"] == "runs/first"
    name, (folder, _, rounds, workers, device), _ = training.last
    assert (name, folder, rounds, workers, device) == ("resume", a_run, None, None, None)


def test_another_dataset_is_not_the_runs(invoke: Invoke, a_run: Path, workplace: Path) -> None:
    invoke("prepare", "--source", "synthetic", "--customers", "50", "--items", "30", "--output", "datasets/other")
    result = invoke("train", "other", "--resume", "first")
    assert result.exit_code == 2
    assert "not the one that the run was trained on (datasets/other)" in result.stderr


def test_a_finished_run_says_so_and_how_to_prolong_it(invoke: Invoke, sample: Dataset) -> None:
    invoke("train", "sample", "--preset", "sample", "--set", "train.rounds=2", "--name", "done")
    result = invoke("train", "--resume", "done")
    assert result.exit_code == 0
    assert "runs/done was finished already, with 2 rounds: nothing was trained" in result.stderr
    assert "To prolong it: spfedrec train --resume runs/done --set train.rounds=4" in result.stderr
    assert "clients per second" not in result.stdout
    assert "finished" not in invoke("train", "--resume", "done", "--set", "train.rounds=3").stderr


def test_a_training_out_of_patience_says_so_and_that_no_rounds_prolong_it(invoke: Invoke, sample: Dataset) -> None:
    settings = [word for key in ("rounds=9", "eval_every=1", "patience=1") for word in ("--set", f"train.{key}")]
    told = invoke("train", "sample", "--preset", "sample", *settings, "--name", "done").stderr
    assert "Ended after 2 of 9 rounds: no validation after round 1 was better (train.patience = 1;" in told
    told = invoke("train", "--resume", "done").stderr
    assert "It cannot be prolonged: no validation after round 1 was better" in told
    assert "--set train.rounds" not in told


def test_a_training_is_announced_after_the_checks(invoke: Invoke, sample: Dataset) -> None:
    refused = invoke("train", "sample", "--preset", "sample", "--set", "train.monitor=ndgc@10")
    assert refused.exit_code == 2
    assert "Training" not in refused.stderr
    told = invoke("train", "sample", "--preset", "sample", "--set", "train.rounds=1", "--set", "train.monitor=ndcg@200")
    assert "Training runs/sample-1: 1 round" in told.stderr
    assert "The best round is chosen by ndcg@134: there are fewer items than ndcg@200 asks for" in told.stderr
    assert "validation ndcg@134" in told.stdout


def test_five_items_are_trained_evaluated_and_compared(invoke: Invoke, workplace: Path) -> None:
    """A catalogue smaller than every length of list that is a default."""
    rows = [f"u{n},s{(n + day) % 5},2020-01-0{day + 1}" for n in range(4) for day in range(5)]
    Path("five.csv").write_text("\n".join(["user,sku,at", *rows]) + "\n")
    columns = ["--columns", "customer=user,item=sku,time=at", "--split", "leave-one-out"]
    invoke("prepare", "--source", "table", "--input", "five.csv", *columns, "--output", "datasets/five")
    assert invoke("train", "five", "--set", "train.rounds=2", "--name", "few").exit_code == 0
    evaluated = invoke("evaluate", "few", "--baselines")
    assert evaluated.exit_code == 0
    assert "hit_rate@5 = recall" in evaluated.stdout
    assert "too few to tell recommenders apart" in evaluated.stderr
    assert invoke("compare", "few", "few:popularity").exit_code == 0
    assert len(the_json(invoke("recommend", "few", "--customer", "u0", "--json"))["customers"][0]["items"]) <= 5
    assert "k = 10 is more than the 5 candidates" in invoke("evaluate", "few", "-k", "10").stderr


def test_a_dataset_is_no_run_and_a_run_is_no_dataset(invoke: Invoke, a_run: Path) -> None:
    taken_for_a_run = invoke("evaluate", "sample")
    assert taken_for_a_run.exit_code == 2
    assert "'sample' is a Dataset, not a run (datasets/sample); train on it with" in taken_for_a_run.stderr
    taken_for_a_dataset = invoke("train", "first")
    assert taken_for_a_dataset.exit_code == 2
    assert "'first' is a run, not a Dataset (runs/first); resume it with" in taken_for_a_dataset.stderr


def test_a_resumed_run_may_be_prolonged(invoke: Invoke, a_run: Path, training: Calls) -> None:
    invoke("train", "--resume", "first", "--set", "train.rounds=300")
    assert training.last[1][2] == 300


@pytest.mark.parametrize(
    "words, problem",
    [
        (["--set", "model.dim=8"], "A resumed run keeps its settings (--set model.dim=8)"),
        (["--preset", "sample"], "leave --preset out"),
        (["--config", "x.toml"], "leave --config out"),
        (["--name", "x"], "leave --name out"),
    ],
)
def test_a_resumed_run_keeps_what_it_is(
    invoke: Invoke, a_run: Path, training: Calls, words: Sequence[str], problem: str
) -> None:
    result = invoke("train", "--resume", "first", *words)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert training.made == []


def test_an_interrupted_training_says_how_to_go_on(invoke: Invoke, sample: Dataset, stand_in: StandIn) -> None:
    stand_in(train=engine.Interrupted("Stopped; round 5 is saved", hint="go on with `spfedrec train --resume x`"))
    result = invoke("train", "sample", "--json")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("Error: Stopped; round 5 is saved; go on with `spfedrec train --resume x`.\n")


@pytest.mark.slow
def test_the_whole_way_on_the_sample(invoke: Invoke, sample: Dataset) -> None:
    """The engine itself: train, go on, evaluate, recommend, export."""
    settings = ["--set", "train.rounds=4", "--set", "train.eval_every=2", "--set", "train.checkpoint_every=2"]
    trained = the_json(invoke("train", "sample", *settings, "--name", "whole", "--json"))
    assert trained["rounds"] == 4
    assert trained["client_updates"] > 0
    longer = the_json(invoke("train", "--resume", "whole", "--set", "train.rounds=6", "--json"))
    assert longer["state_sha256"] != trained["state_sha256"]
    report = the_json(invoke("evaluate", "whole", "--baselines", "--json"))
    assert {"hit_rate@10", "ndcg@10", "map@12"} <= set(report["metrics"])
    assert {"popularity", "repeat_last"} <= set(report["baselines"])
    client = the_json(invoke("describe", "sample", "--json"))["example_client"]
    (one,) = the_json(invoke("recommend", "whole", "--customer", client, "-k", "3", "--json"))["customers"]
    assert one["customer_id"] == client
    assert len(one["items"]) == 3
    assert json.loads(json.dumps(one["items"][0]))["article_id"] in sample.item_ids
    everybody = the_json(invoke("recommend", "whole", "--all", "--output", "all.parquet", "--json"))
    assert everybody["customers_written"] == 5
    assert Path("all.parquet").is_file()
    files = the_json(invoke("export", "whole", "--output", "exported", "--json"))["files"]
    assert files
    assert all(Path(file).is_file() for file in files)
    (listed,) = the_json(invoke("runs", "--json"))["runs"]
    assert listed["rounds"] == 6


def test_a_dry_run_tells_the_cost_and_leaves_nothing(invoke: Invoke, sample: Dataset, workplace: Path) -> None:
    before = sorted(path.name for path in workplace.rglob("*"))
    told = the_json(invoke("train", "sample", "--preset", "sample", "--dry-run", "--workers", "2", "--json"))
    assert {"seconds", "peak_memory", "bytes_up", "bytes_down", "query_parameters"} <= set(told)
    assert "time a round" in invoke("train", "sample", "--preset", "sample", "--dry-run").stdout
    assert sorted(path.name for path in workplace.rglob("*")) == before


def test_a_resume_is_no_dry_run(invoke: Invoke, workplace: Path, sample: Dataset) -> None:
    invoke("train", "sample", "--preset", "sample", "--set", "train.rounds=1", "--name", "one")
    result = invoke("train", "--resume", "one", "--dry-run")
    assert result.exit_code == 2
    assert "leave --dry-run out" in result.stderr


def test_workers_are_a_setting(invoke: Invoke, sample: Dataset, workplace: Path) -> None:
    words = ["train", "sample", "--preset", "sample", "--set", "train.rounds=2", "--json"]
    hashes = {the_json(invoke(*words, "--workers", n))["state_sha256"] for n in ("1", "3")}
    assert len(hashes) == 1


def test_several_seeds_are_runs_of_their_own_and_one_table(invoke: Invoke, sample: Dataset, workplace: Path) -> None:
    words = ["train", "sample", "--preset", "sample", "--set", "train.rounds=2", "--seeds", "2"]
    told = the_json(invoke(*words, "--json"))
    assert [Path(each["run"]).name for each in told["runs"]] == ["sample-1-seed-0", "sample-1-seed-1"]
    both = [each["validation"]["ndcg@10"] for each in told["runs"]]
    assert told["validation"]["ndcg@10"] == pytest.approx(sum(both) / 2)
    assert told["deviation"]["ndcg@10"] == pytest.approx(abs(both[0] - both[1]) / 2**0.5)
    shown = invoke(*words).stdout
    assert "Validation over 2 seeds" in shown
    assert "runs/sample-2-seed-1" in shown
    refused = invoke(*words, "--resume", "sample-1-seed-0")
    assert refused.exit_code == 2


def test_a_seed_that_has_a_run_already_is_refused(invoke: Invoke, sample: Dataset, workplace: Path) -> None:
    words = ["train", "sample", "--preset", "sample", "--set", "train.rounds=1", "--seeds", "2", "--name", "mine"]
    assert invoke(*words).exit_code == 0
    again = invoke(*words)
    assert again.exit_code == 2
    assert "already exists" in again.stderr


def test_a_device_is_a_setting_and_an_unknown_one_is_refused(
    invoke: Invoke, sample: Dataset, training: Calls, a_run: Path
) -> None:
    invoke("train", "sample", "--device", "auto")
    assert training.last[1][1].train.device == "auto"
    invoke("train", "--resume", "first", "--device", "cpu")
    assert training.last[1][4] == "cpu"
    assert invoke("train", "sample", "--device", "tpu").exit_code == 2
    refused = invoke("train", "sample", "--set", "train.device=tpu")
    assert refused.exit_code == 2
    assert "The setting train.device = 'tpu' does not fit" in refused.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU that CUDA can use")
def test_a_device_that_this_machine_lacks_is_one_sentence(invoke: Invoke, sample: Dataset, workplace: Path) -> None:
    refused = invoke("train", "sample", "--preset", "sample", "--device", "cuda", "--quiet")
    assert refused.exit_code == 2
    assert refused.stderr.count(".\n") == 1
    assert "offer no device 'cuda' (train.device); use --device cpu, or install" in " ".join(refused.stderr.split())
    assert not (workplace / "runs").exists()


def test_without_a_preset_it_says_what_it_chose_and_why(invoke: Invoke, sample: Dataset, training: Calls) -> None:
    told = invoke("train", "sample").stderr
    assert "Chosen for sample: 5 clients bought: cohorts of 16" in told
    assert "few of both, so clients learn beside a public pool" in told
    assert training.last[1][1].federated.cohort_size == 16


@pytest.mark.parametrize("given", [("--preset", "sample"), ("--config", "mine.toml")])
def test_with_a_preset_or_a_file_nothing_is_chosen(
    invoke: Invoke, sample: Dataset, training: Calls, given: tuple[str, str]
) -> None:
    Path("mine.toml").write_text("[train]\nrounds = 7\n")
    assert "Chosen for" not in invoke("train", "sample", *given).stderr
    layers = {"--preset": "preset", "--config": "file"}
    assert training.last[1][1] == resolve(**{layers[given[0]]: given[1]})
