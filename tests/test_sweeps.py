"""Plans of sweeps: what is tried, and under which name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli import sweeps
from spfedrec_cli.errors import InputError
from spfedrec_cli.sweeps import Plan


@pytest.mark.parametrize(
    "words, fixed, several",
    [
        (["client.lr=0.1"], ["client.lr=0.1"], {}),
        (["client.lr=0.1, 0.2"], [], {"client.lr": ["0.1", "0.2"]}),
        (["model.hidden=[64,32],[64]"], [], {"model.hidden": ["[64,32]", "[64]"]}),
        (["a.b='x,y',z"], [], {"a.b": ["'x,y'", "z"]}),
        (["a.b=1,1"], ["a.b=1"], {}),
        (["a.b=1..2"], [], {"a.b": ["1..2"]}),
    ],
)
def test_values_stand_between_commas(words: list[str], fixed: list[str], several: dict[str, list[str]]) -> None:
    assert sweeps.split(words) == (fixed, several)


@pytest.mark.parametrize(
    "words, problem",
    [
        (["lr"], "'lr' is no setting to try"),
        (["a.b=1,,2"], "is no setting to try"),
        (["a.b="], "is no setting to try"),
        (["a.b=1,2", "a.b=3"], "a.b is set twice"),
        (["a.b=1,2", "a.b =3"], "a.b is set twice"),
    ],
)
def test_what_is_no_setting(words: list[str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        sweeps.split(words)


def test_every_combination_the_last_key_fastest() -> None:
    made = sweeps.trials("s", {"a": ["1", "2"], "b": ["x", "y", "z"]}, None, 0)
    assert [trial.run for trial in made] == [f"s-00{n}" for n in range(1, 7)]
    assert [tuple(trial.settings.values()) for trial in made] == [(a, b) for a in "12" for b in "xyz"]


@given(st.integers(1, 40), st.integers(0, 5))
def test_random_ones_are_different_and_repeatable(count: int, seed: int) -> None:
    values = {"a": list("123456"), "b": list("xyz")}
    made = [tuple(trial.settings.values()) for trial in sweeps.trials("s", values, count, seed)]
    assert len(set(made)) == len(made) == min(count, 18)
    assert made == [tuple(trial.settings.values()) for trial in sweeps.trials("s", values, count, seed)]


def test_the_seed_changes_the_draw() -> None:
    values = {"a": list(map(str, range(50)))}
    one, other = ([trial.settings["a"] for trial in sweeps.trials("s", values, 5, seed)] for seed in (0, 1))
    assert one != other


def test_nothing_or_too_much_to_try() -> None:
    with pytest.raises(InputError, match="Nothing varies"):
        sweeps.trials("s", {}, None, 0)
    large = {key: list(map(str, range(1000))) for key in "ab"}
    with pytest.raises(InputError, match="1,000,000 trials"):
        sweeps.trials("s", large, None, 0)
    assert len(sweeps.trials("s", large, 7, 0)) == 7


def plan(**changes: object) -> Plan:
    tried = {"a": ["1", "2"]}
    values = {"name": "s", "dataset_sha256": "d", "preset": None, "config": None, "fixed": (), "values": tried}
    more = {"random": None, "seed": 0, "trials": sweeps.trials("s", tried, None, 0)}
    return Plan(**{**values, **more, **changes})  # type: ignore[arg-type]


def test_a_plan_is_kept_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sweeps.keep(plan()) == plan().trials
    assert sweeps.keep(plan()) == plan().trials
    with pytest.raises(InputError, match="another sweep 's'"):
        sweeps.keep(plan(fixed=("b=1",)))
    assert sweeps.folders("s") == []
    with pytest.raises(InputError, match="no sweep 'x'"):
        sweeps.folders("x")
    Path("runs/t-001").mkdir()
    with pytest.raises(InputError, match="a run 't-001', which is not of this sweep"):
        sweeps.keep(plan(name="t", trials=sweeps.trials("t", {"a": ["1", "2"]}, None, 0)))


def test_a_search_keeps_what_it_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = plan(trials=(), search=1000)
    assert sweeps.keep(first) == ()
    assert first.run_of(7) == "s-0007"
    begun = (sweeps.Trial(first.run_of(1), {"a": "2"}),)
    sweeps.add(plan(trials=begun, search=1000))
    assert sweeps.keep(first) == begun
    with pytest.raises(InputError, match="another sweep 's'"):
        sweeps.keep(plan(trials=(), search=3))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", ".x", "-x", "x" * 191])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(InputError, match="no name for a sweep"):
        sweeps.file_of(name)
