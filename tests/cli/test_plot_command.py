"""spfedrec plot."""

from pathlib import Path

import pytest
from answers import Invoke, StandIn, evaluated, the_json

from spfedrec_cli import run


@pytest.fixture
def trained(a_run: Path) -> Path:
    """The run with a checkpoint and the fields of a line that a training writes."""
    evaluated(a_run, 0.5)
    return a_run


def test_what_is_asked_reaches_the_engine(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(plot=Path("cost.svg"))
    told = the_json(invoke("plot", "first", "second", "--kind", "cost", "-o", "cost.svg", "--json"))
    assert told == {"runs": ["first", "second"], "output": "cost.svg", "kind": "cost"}
    assert calls.last == ("plot", (["first", "second"], Path("cost.svg")), {"kind": "cost"})


def test_a_picture_of_a_run(invoke: Invoke, trained: Path) -> None:
    result = invoke("plot", "first", "-o", "learning.svg")
    assert result.exit_code == 0, result.stderr
    assert "learning.svg" in result.stdout
    assert "Validation NDCG@10 by round" in Path("learning.svg").read_text()


@pytest.mark.parametrize(
    "words, problem",
    [
        (["first", "-o", "x.jpg"], "end it in .svg, .png or .pdf"),
        (["frist", "-o", "x.svg"], "did you mean first?"),
        (["first", "-o", "no/x.svg"], "folder does not exist"),
        (["first", "-o", "x.svg", "--kind", "loss"], "no rounds with this figure"),
        (["first", "-o", "x.svg", "--kind", "cost"], "no validation or no messages"),
    ],
)
def test_what_cannot_be_drawn(invoke: Invoke, trained: Path, words: list[str], problem: str) -> None:
    result = invoke("plot", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert not Path("x.svg").exists()


def test_a_run_without_a_checkpoint(invoke: Invoke, a_run: Path) -> None:
    assert run.rounds(a_run) == []
    assert "nothing to tell" in invoke("plot", "first", "-o", "x.svg").stderr
