"""spfedrec audit: what it prints, its JSON, its options."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import Invoke, StandIn, the_json

from spfedrec_cli.engine import Attacked, AuditReport
from spfedrec_cli.engine.promotion import Promotion


def attacked(**changes: Any) -> Attacked:
    values: dict[str, Any] = {
        "name": "zero rows",
        "party": "whoever unmasks",
        "view": "plain update",
        "assumption": "no secure sum hides the update",
        "auc": 0.875,
        "low": 0.75,
        "high": 0.9375,
        "precision": 0.625,
        "precision_low": 0.5,
        "precision_high": 0.75,
        "chance": 0.25,
        "subjects": 3,
        "claims": 12,
        "popularity": 0.5625,
        "decided": 1200,
        "right": 1100,
    }
    return Attacked(**{**values, **changes})


def report(*attacks: Attacked) -> AuditReport:
    left_out = {"canaries": "no canaries were planted"}
    released = ("to everybody: [red]the slate[/red]",)
    return AuditReport(Path("runs/first"), 40, 3, 500, 256, attacks, left_out, released, {"up": 1500.0, "down": 20.0})


@pytest.fixture
def answering(stand_in: StandIn) -> Any:
    return stand_in(audit_run=report(attacked(), attacked(name="canaries", epsilon=1.25)))


def test_its_json(invoke: Invoke, a_run: Path, answering: Any) -> None:
    told = the_json(invoke("audit", "first", "--json"))
    assert told["run"] == "runs/first"
    first = told["attacks"][0]
    assert {"name", "party", "view", "assumption", "auc", "low", "high", "precision", "chance"} <= set(first)
    assert (first["auc"], first["right"], told["attacks"][1]["epsilon"]) == (0.875, 1100, 1.25)
    assert told["bytes_per_client"] == {"up": 1500.0, "down": 20.0}
    assert told["left_out"] == {"canaries": "no canaries were planted"}


def test_words_come_before_the_table_and_what_is_released_behind_it(
    invoke: Invoke, a_run: Path, answering: Any
) -> None:
    said = invoke("audit", "first").stdout
    words = ["3 rounds after round 40", "0.5 is guessing", "mostly right", "What they guess", "0.750 to 0.938"]
    words += ["1,100 of 1,200", "epsilon is 1.25 at least", "[red]the slate[/red]", "1.5 kB a client and round"]
    places = [said.find(word) for word in words]
    assert -1 not in places
    assert places == sorted(places)


def test_what_a_few_customers_promote_is_told(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    found = Promotion(0.05, 7, 10, 20, 0.0, 0.004, 0.016, 0.11)
    for crafted, told in (
        (0.11, "without them in 0.4%; in 11.0% by made-up updates"),
        (None, "without them in 0.4%\n"),
    ):
        stand_in(audit_run=replace(report(attacked()), promotion=replace(found, crafted=crafted)))
        said = invoke("audit", "first").stdout
        assert "7 customers who say in 20 rounds" in said
        assert "in 1.6% of the others' first ten" in said
        assert told in said


def test_what_was_not_attacked_is_said_on_stderr(invoke: Invoke, a_run: Path, answering: Any) -> None:
    result = invoke("audit", "first")
    assert "canaries: no canaries were planted" in result.stderr
    assert "no canaries" not in invoke("audit", "first", "--quiet").stderr


def test_a_whole_audit_is_kept_in_the_run_and_a_part_of_one_is_not(invoke: Invoke, a_run: Path, answering: Any) -> None:
    invoke("audit", "first", "--attack", "zero rows")
    invoke("audit", "first", "--set", "federated.aggregation=ring")
    assert not (a_run / "audit.json").exists()
    invoke("audit", "first")
    assert "zero rows" in (a_run / "audit.json").read_text()


def test_options_reach_the_engine(invoke: Invoke, a_run: Path, answering: Any) -> None:
    invoke("audit", "first", "--attack", "zero rows", "--rounds", 5, "--clients", 9, "--corrupt", 0.1, "--seed", 4)
    said = answering.last[2]
    said.pop("tell")
    assert said == {"attacks": ["zero rows"], "rounds": 5, "clients": 9, "corrupt": 0.1, "seed": 4}


def test_nothing_is_called_worst_where_nothing_is_better_than_guessing(
    invoke: Invoke, a_run: Path, stand_in: StandIn
) -> None:
    stand_in(audit_run=report(attacked(auc=0.5, low=0.45, high=0.55)))
    assert "Worst" not in invoke("audit", "first").stdout


def test_it_is_drawn(invoke: Invoke, a_run: Path, answering: Any) -> None:
    pytest.importorskip("matplotlib")
    assert invoke("audit", "first", "--plot", "audit.svg").exit_code == 0
    assert "zero rows (plain update)" in Path("audit.svg").read_text()


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--clients", "0"], ["--corrupt", "2"], ["--plot", "a.doc"]])
def test_bad_options_end_with_2(invoke: Invoke, a_run: Path, answering: Any, words: list[str]) -> None:
    result = invoke("audit", "first", *words)
    assert result.exit_code == 2
    assert not answering.made
