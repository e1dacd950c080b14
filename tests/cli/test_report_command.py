"""spfedrec report: what it asks of the engine, and what it says."""

from pathlib import Path

import pytest
from answers import Invoke, StandIn, the_json

from spfedrec_cli.engine import Reported
from spfedrec_cli.errors import InputError

MADE = Reported(Path("first.html"), 250_000, (("Quality", "75 of 100"), ("Privacy", "[red]No[/red] request")))


def test_it_says_the_verdict_and_where_the_page_is(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(write_report=MADE)
    result = invoke("report", "first", "-o", "first.html")
    assert result.exit_code == 0
    assert "[red]No[/red] request" in result.stdout
    assert "The page: first.html (250.0 kB)" in result.stderr
    _, (runs, output), keywords = calls.last
    assert (runs, output) == (["first"], Path("first.html"))
    assert keywords["force"] is False
    assert "customers" not in keywords


def test_what_is_chosen_reaches_the_engine(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(write_report=MADE)
    words = ["--field", "colour", "--customers", "0", "--force", "--json"]
    told = the_json(invoke("report", "first", "second", "--output", "two.html", *words))
    assert told == {
        "runs": ["first", "second"],
        "output": "first.html",
        "bytes": 250_000,
        "verdict": {"Quality": "75 of 100", "Privacy": "[red]No[/red] request"},
    }
    _, (runs, _), keywords = calls.last
    assert runs == ["first", "second"]
    assert (keywords["field"], keywords["customers"], keywords["force"]) == ("colour", 0, True)


@pytest.mark.parametrize("words", [("first",), ("-o", "a.html"), ("first", "-o", "a.html", "--customers", "-1")])
def test_what_is_missing_is_told(invoke: Invoke, a_run: Path, words: tuple[str, ...]) -> None:
    assert invoke("report", *words).exit_code == 2


def test_a_failure_is_a_sentence(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(write_report=InputError("The page exists already", hint="replace it by --force"))
    result = invoke("report", "first", "-o", "first.html")
    assert (result.exit_code, result.stderr) == (2, "Error: The page exists already; replace it by --force.\n")


def test_two_beware_are_both_kept(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(write_report=Reported(Path("a.html"), 1, (("Beware", "one"), ("Beware", "two"))))
    told = the_json(invoke("report", "first", "-o", "a.html", "--json"))
    assert told["verdict"] == {"Beware": "one two"}
