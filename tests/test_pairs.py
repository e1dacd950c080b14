"""Two commands at once come to what one after the other comes to, or one is refused. All pairs: `make torture`."""

import random

import kills
import pairs
import pytest
from pairs import COMMANDS, drawn, judged, outcome, pairings
from traced import available

from spfedrec_cli.engine import team

pytestmark = pytest.mark.skipif(not available(), reason="this machine lets no process trace its child")

QUICK = ("resume", "resume")
# Who is refused, where that is certain whichever step the first has reached: it holds a lock from its third step on.
TABLE = {
    ("train", "train"): {"first"},
    ("train by two", "train by two"): {"first"},
    ("train", "resume what is new"): {"first"},
    ("train", "train another"): {"both"},
    ("train", "prepare over"): {"both", "second"},  # a Dataset that was exchanged is noticed
    ("train by two", "prepare over"): {"both", "second"},
    ("resume", "evaluate"): {"both"},
    ("resume", "recommend"): {"both"},
    ("resume", "export"): {"both"},
    ("resume", "doctor --repair"): {"first"},
    ("resume", "doctor"): {"both"},
    ("resume", "runs"): {"both"},
    ("evaluate", "resume"): {"both", "first"},
    ("evaluate", "evaluate"): {"both"},
    ("doctor --repair", "resume"): {"both", "first"},
    ("recommend to all", "recommend to all"): {"first"},
    ("export", "export"): {"first"},
    ("prepare", "prepare"): {"first"},
    ("prepare over", "train"): {"both"},
    ("prepare over", "describe"): {"both"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pairs.Place:
    return pairs.prepared(tmp_path_factory.mktemp("pairs").resolve() / "place")


@pytest.mark.parametrize("first, second", [QUICK])
def test_two_resumes_of_one_run(place: pairs.Place, first: str, second: str) -> None:
    assert outcome(place, first, second, 40) == "first"


@pytest.mark.slow
@pytest.mark.parametrize("first, second", TABLE)
def test_two_at_once(place: pairs.Place, first: str, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "launch", kills.Forked)
    steps = [max(step, 3) for step in drawn(place, first, 1, random.Random(f"{first} {second}"))]
    assert {outcome(place, first, second, step) for step in steps} <= TABLE[first, second]


def test_every_pairing_is_tried() -> None:
    assert set(TABLE) <= set(pairings())
    assert {second for _, second in pairings()} == set(COMMANDS)


def test_the_judge_sees_lines_that_two_wrote(place: pairs.Place) -> None:
    said, found = place.after("resume")
    assert judged(place, ("resume", "resume"), (said, pairs.REFUSED), found, False) == "first"
    lines, *rest = found["runs/x"]
    doubled = {**found, "runs/x": (lines * 2, *rest)}
    assert "left otherwise" in judged(place, ("resume", "resume"), (said, said), doubled, False)
    assert "said" in judged(place, ("resume", "resume"), (said, {**said, "rounds": 6}), found, False)
