"""A small part of the torture (`make torture`) in every test run, and all kinds of damage in the slow one."""

from pathlib import Path

import pytest
from torture import BAD, DAMAGES, Answer, Case, tortured, verdict


def tried(place: Path, flips: int, share: float) -> list[Case]:
    found = list(tortured(place, flips, seed=0, share=share))
    assert len(found) > 20
    return found


def bad(found: list[Case]) -> list[str]:
    return [f"{c.verdict}: {c.command}, {c.file}, {c.damage}: {c.talk}" for c in found if c.verdict in BAD]


def test_a_few_damages_are_told(tmp_path: Path) -> None:
    assert bad(tried(tmp_path / "place", 1, 0.03)) == []


@pytest.mark.slow
def test_every_damage_is_told(tmp_path: Path) -> None:
    """To a fifth of the files; `make torture` goes through all of them."""
    found = tried(tmp_path / "place", 2, 0.2)
    assert bad(found) == []
    assert {case.kind for case in found} == {*DAMAGES, "a flipped bit"}


@pytest.mark.parametrize(
    "after, expected",
    [
        (Answer(0, {"ndcg": 0.5}, ""), "as before"),
        (Answer(0, {"ndcg": 0.5}, "Warning: gone"), "warned"),
        (Answer(0, {"ndcg": 0.25}, "Warning: gone"), "warned"),
        (Answer(0, {"ndcg": 0.25}, "Next: evaluate"), "silently wrong"),
        (Answer(2, "", "Error: It is damaged."), "refused"),
        (Answer(1, "", "Error: Internal error: KeyError"), "internal error"),
        (Answer(1, "", ""), "internal error"),
        (Answer(-11, "", ""), "internal error"),
        (Answer(None, None, ""), "hanging"),
    ],
)
def test_what_an_answer_is_worth(after: Answer, expected: str) -> None:
    assert verdict(Answer(0, {"ndcg": 0.5}, ""), after) == expected
