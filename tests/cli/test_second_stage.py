"""The second stage on the command line, from training to a list."""

import json
from typing import Any

import pytest
from answers import Invoke

from spfedrec_cli.data.dataset import Dataset

STAGE = ["--set", "second_stage.rounds=3", "--set", "second_stage.label_weeks=2"]


@pytest.fixture
def first(invoke: Invoke, sample: Dataset) -> dict[str, Any]:
    """runs/first with towers and a second stage; what training told as JSON."""
    done = invoke("train", "sample", "--preset", "sample", "--name", "first", *STAGE, "--json")
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_from_training_to_a_list(invoke: Invoke, sample: Dataset, first: dict[str, Any]) -> None:
    assert first["second_stage"]["rounds"] == 3
    assert first["second_stage"]["bytes_up"] > 0
    evaluated = json.loads(invoke("evaluate", "first", "--second-stage", "--json").stdout)
    assert set(evaluated["second_stage"]) == set(evaluated["metrics"])
    shown = invoke("evaluate", "first", "--second-stage", "--quiet").stdout
    assert "second-stage" in shown
    customer = sample.client_id(0)
    both, towers = (
        json.loads(invoke("recommend", "first", "--customer", customer, "-k", "5", "--json", *more).stdout)
        for more in ([], ["--towers-alone"])
    )
    assert len(both["customers"][0]["items"]) == len(towers["customers"][0]["items"]) == 5


def test_a_person_is_told_what_it_came_to(invoke: Invoke, sample: Dataset) -> None:
    done = invoke("train", "sample", "--preset", "sample", "--name", "first", *STAGE)
    assert done.exit_code == 0
    assert "rounds of the second stage" in done.stdout
    assert "ranker_update" in done.stdout
    assert "second stage, round 3/3" in done.stderr
    again = invoke("train", "--resume", "first")
    assert "was finished already" in again.stderr


def test_a_run_without_one_is_refused_in_one_sentence(invoke: Invoke, sample: Dataset) -> None:
    assert invoke("train", "sample", "--preset", "sample", "--name", "plain").exit_code == 0
    refused = invoke("evaluate", "plain", "--second-stage")
    assert refused.exit_code == 2
    assert "The run has no second stage" in refused.stderr
    assert "second_stage.rounds" in refused.stderr


def test_a_damaged_checkpoint_is_told(invoke: Invoke, sample: Dataset, first: dict[str, Any]) -> None:
    from pathlib import Path

    for file in Path("runs/first/checkpoints").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    refused = invoke("evaluate", "first", "--second-stage")
    assert refused.exit_code == 2
    assert "The checkpoint is damaged" in refused.stderr
