"""spfedrec sweep, and the leaderboard of `spfedrec runs --sweep`."""

from dataclasses import asdict
from pathlib import Path

import pytest
from answers import Invoke, StandIn, the_json

from spfedrec_cli import files, run, sweeps
from spfedrec_cli.cli.papers import written
from spfedrec_cli.config import Config, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import Outcome, Swept
from spfedrec_cli.sweeps import Plan

FOUND = Swept(
    "lr",
    "ndcg@10",
    (
        Outcome("lr-002", {"client.lr": "0.1"}, 0.25, 4),
        Outcome("lr-001", {"client.lr": "0.05"}, None, 0, "no luck"),
    ),
)


def test_a_leaderboard_and_how_it_was_chosen(invoke: Invoke, sample: Dataset, stand_in: StandIn) -> None:
    calls = stand_in(sweep=FOUND)
    words = ["sweep", "sample", "--name", "lr", "--set", "client.lr=0.05,0.1", "--random", "2", "--jobs", "1"]
    result = invoke(*words)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["lr-002", "0.1", "4", "0.2500"] in rows
    assert "Warning: lr-001 failed: no luck" in result.stderr
    assert "No test split was looked at" in result.stderr
    assert "spfedrec evaluate lr-002 --baselines" in result.stderr
    told = the_json(invoke(*words, "--json"))
    assert (told["best"], told["chosen_on"], told["monitor"]) == ("lr-002", "validation", "ndcg@10")
    assert told["trials"][1]["failure"] == "no luck"
    _, places, said = calls.last
    assert places == (Path("datasets/sample"), "lr", ["client.lr=0.05,0.1"], None, None)
    assert (said["random"], said["jobs"]) == (2, 1)
    assert "seed" not in said


def test_a_search_says_when_there_is_no_more(invoke: Invoke, sample: Dataset, stand_in: StandIn) -> None:
    calls = stand_in(sweep=FOUND)
    words = ["sweep", "sample", "--name", "lr", "--set", "client.lr=0.05..1", "--optuna", "9", "--log", "tensorboard"]
    assert "There are no more combinations than these 2" in invoke(*words).stderr
    assert (calls.last[2]["search"], calls.last[2]["log"]) == (9, ["tensorboard"])


@pytest.fixture
def swept(a_run: Path) -> Path:
    """A sweep of which one run has begun and one has not, beside another run."""
    about = {"dataset": "d", "dataset_sha256": "d", "dataset_name": "d"}
    run.create(Path("runs/lr-001"), to_toml(Config()), about, {})
    values = {"client.lr": ["0.05", "0.1"]}
    plan = Plan("lr", "d", None, None, (), values, None, 0, sweeps.trials("lr", values, None, 0))
    files.write_json(sweeps.file_of("lr"), files.sealed(asdict(plan)))
    return a_run


def test_the_runs_of_a_sweep_alone(invoke: Invoke, swept: Path) -> None:
    result = invoke("runs", "--sweep", "lr", "--json")
    assert [found["run"] for found in the_json(result)["runs"]] == ["runs/lr-001"]
    assert "Ranked by validation" in result.stderr
    assert len(the_json(invoke("runs", "--json"))["runs"]) == 2
    assert "did you mean lr?" in invoke("runs", "--sweep", "lrr").stderr


def test_markdown_and_latex(invoke: Invoke, swept: Path) -> None:
    assert invoke("runs", "--markdown").stdout.splitlines()[1].startswith("| --- |")
    assert invoke("runs", "--latex").stdout.startswith("\\begin{tabular}{l")
    assert "--csv and --latex are two answers" in invoke("runs", "--csv", "--latex").stderr


def test_no_text_is_markup() -> None:
    head, rows = ["run", "lr_x", "n"], [["a|b_*", "50%", 1234], ["~\\", "[x](y)", None]]
    assert written(head, rows, "markdown").splitlines() == [
        r"| run | lr\_x | n |",
        "| --- | --- | ---: |",
        r"| a\|b\_\* | 50% | 1,234 |",
        r"| \~\\ | \[x\]\(y\) |  |",
    ]
    latex = written(head, rows, "latex").splitlines()
    assert latex[0] == r"\begin{tabular}{llr}"
    assert latex[4] == r"a|b\_* & 50\% & 1,234 \\"
    assert latex[5] == r"\textasciitilde{}\textbackslash{} & [x](y) &  \\"
