"""Which combination is tried next: what a searcher is told decides it, and nothing else."""

import math

import pytest

from spfedrec_cli.engine.search import Tried, check_search, ends, next_of
from spfedrec_cli.errors import InputError
from spfedrec_cli.sweeps import Range, check_values, range_of

optuna = pytest.importorskip("optuna")
VALUES = {"client.lr": ["0.001..10"], "model.dim": ["8..64"], "loss": ["a", "b", "c"]}


@pytest.mark.parametrize(
    "text, found",
    [
        ("0.01..1", Range(0.01, 1.0, False)),
        ("8..64", Range(8.0, 64.0, True)),
        ("-1..1", Range(-1.0, 1.0, True)),
        ("1e-3..0.5", Range(0.001, 0.5, False)),
        ("1", None),
        ("a..b", None),
        ("..", None),
        ("nan..1", None),
        ("1..inf", None),
        ("../data", None),
    ],
)
def test_a_range(text: str, found: Range | None) -> None:
    assert range_of(text) == found


@pytest.mark.parametrize("text, logarithmic", [("0.1..1", True), ("1..9", False), ("-1..100", False), ("0..5", False)])
def test_a_wide_range_is_tried_by_its_logarithm(text: str, logarithmic: bool) -> None:
    found = range_of(text)
    assert found is not None
    assert found.logarithmic is logarithmic


def test_a_range_that_holds_nothing() -> None:
    with pytest.raises(InputError, match=r"The range 1\.\.0\.1 holds nothing"):
        range_of("1..0.1")
    with pytest.raises(InputError, match=r"a\.b has a range among its values"):
        check_values({"a.b": ["1", "2..3"]})


def best_first(rounds: int, seed: int = 0) -> list[Tried]:
    """A search for lr = 0.1 with dim = 32 and b."""
    tried: list[Tried] = []
    for _ in range(rounds):
        settings = next_of(VALUES, tried, seed)
        assert settings is not None
        off = abs(math.log10(float(settings["client.lr"])) + 1) + abs(int(settings["model.dim"]) - 32) / 32
        tried.append(Tried(settings, 1 - off - (settings["loss"] != "b")))
    return tried


def test_it_is_the_same_for_the_same_seed_and_finds_what_is_good() -> None:
    one = best_first(25)
    assert one == best_first(25)
    assert one != best_first(25, seed=1)
    assert len({tuple(each.settings.values()) for each in one}) == 25
    values = [each.value or 0.0 for each in one]
    assert max(values[8:]) > max(values[:8])
    assert sum(values[-8:]) > sum(values[:8])


def test_numbers_stay_in_their_range_and_are_short() -> None:
    for each in best_first(12):
        assert 0.001 <= float(each.settings["client.lr"]) <= 10
        assert float(f"{float(each.settings['client.lr']):.4g}") == float(each.settings["client.lr"])
        assert 8 <= int(each.settings["model.dim"]) <= 64


def test_where_all_were_tried_there_is_no_next_one() -> None:
    values, tried = {"a": ["x", "y"], "b": ["1", "2"]}, list[Tried]()
    while (settings := next_of(values, tried, 0)) is not None:
        tried.append(Tried(settings, None if len(tried) == 1 else math.nan if len(tried) == 2 else 0.5))
    assert len({tuple(each.settings.values()) for each in tried}) == len(tried) == 4


def test_ends_have_every_value_and_both_ends() -> None:
    assert ends(VALUES) == [
        {"client.lr": "0.001", "model.dim": "8", "loss": "a"},
        {"client.lr": "10.0", "model.dim": "64", "loss": "b"},
        {"client.lr": "10.0", "model.dim": "64", "loss": "c"},
    ]


def test_what_cannot_be_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="Nothing varies"):
        check_search({}, 3)
    with pytest.raises(InputError, match="2,000 trials"):
        check_search(VALUES, 2000)
    monkeypatch.setattr("spfedrec_cli.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--optuna needs optuna.*pip install 'spfedrec\[sweep\]'"):
        check_search(VALUES, 3)
