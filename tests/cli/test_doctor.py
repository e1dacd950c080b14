from pathlib import Path

from answers import Invoke, evaluated, the_json

from spfedrec_cli import engine
from spfedrec_cli.data.dataset import Dataset


def test_a_run_that_is_whole_and_one_that_is_not(invoke: Invoke, a_run: Path) -> None:
    evaluated(a_run, 0.5)
    (a_run / "evaluation.json").unlink()
    (a_run / "environment.json").write_text("{}")
    told = the_json(invoke("doctor", "first", "--json"))
    assert told == {"path": "runs/first", "kind": "run", "whole": True, "repaired": False, "findings": []}
    with (a_run / "metrics.jsonl").open("a") as stream:
        stream.write("{")
    found = invoke("doctor", "first")
    assert found.exit_code == 1
    assert "with --repair: it is cut off" in found.stdout
    assert "spfedrec doctor runs/first --repair" in found.stderr
    repaired = invoke("doctor", "first", "--repair")
    assert (repaired.exit_code, "is repaired" in repaired.stderr) == (0, True)
    assert invoke("doctor", "first").exit_code == 0


def test_a_dataset(invoke: Invoke, sample: Dataset) -> None:
    assert the_json(invoke("doctor", "sample", "--json"))["kind"] == "dataset"


def test_the_machine(invoke: Invoke, workplace: Path) -> None:
    assert the_json(invoke("doctor", "--json")).keys() == engine.about_machine().keys()
    assert "free disk" in invoke("doctor").stdout
    assert invoke("doctor", "--repair").exit_code == 2
