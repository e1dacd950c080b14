import pytest

from spfedrec_cli.errors import InputError, SpfedrecError, nearest


def test_the_sentence_says_what_where_and_what_next() -> None:
    error = SpfedrecError("The price 'x' is not a price", where="a.csv, line 3", hint="mend that line")
    assert str(error) == "The price 'x' is not a price (a.csv, line 3); mend that line."
    assert (error.problem, error.where, error.hint) == (
        "The price 'x' is not a price",
        "a.csv, line 3",
        "mend that line",
    )


def test_place_and_hint_may_be_left_out() -> None:
    assert str(SpfedrecError("It failed")) == "It failed."
    assert str(SpfedrecError("It failed", where="there")) == "It failed (there)."
    assert str(SpfedrecError("It failed", hint="try again")) == "It failed; try again."


def test_exit_codes_tell_failure_from_bad_input() -> None:
    assert SpfedrecError("x").exit_code == 1
    assert InputError("x").exit_code == 2
    with pytest.raises(SpfedrecError):
        raise InputError("x")


def test_nearest_finds_a_slip_and_nothing_in_noise() -> None:
    assert nearest("movielenz", ["hm", "movielens", "sample"]) == "movielens"
    assert nearest("zzzz", ["hm", "movielens", "sample"]) is None
    assert nearest("anything", []) is None
