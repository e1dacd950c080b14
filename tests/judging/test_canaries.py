"""Canaries lie where they should, are the same each time, and are refused where there is no room."""

import numpy as np
import pytest

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError
from spfedrec_cli.judging.canaries import draw, plant
from spfedrec_cli.judging.truth import Truth


@pytest.fixture
def purchased() -> Ragged:
    rng = np.random.default_rng(0)
    return Ragged.from_rows([rng.choice(50, int(count), replace=False).tolist() for count in rng.integers(0, 9, 60)])


def test_a_canary_has_two_purchases_of_which_nobody_else_made_the_first(purchased: Ragged) -> None:
    canaries = draw(purchased, 50, 6, "root")
    planted = plant(purchased, canaries)
    buyers = np.bincount(planted.values, minlength=50)
    for client, own, both, chosen in zip(canaries.clients, canaries.own, canaries.both, canaries.planted, strict=True):
        assert planted.row(client).tolist() == [own, chosen]
        assert buyers[own] == 1
        assert chosen in both
    assert len(np.unique([canaries.own, *canaries.both.T])) == 18


def test_all_others_keep_what_they_bought_but_for_what_is_a_canary_s_own(purchased: Ragged) -> None:
    canaries = draw(purchased, 50, 6, "root")
    planted = plant(purchased, canaries)
    for client in np.setdiff1d(np.arange(60), canaries.clients):
        row = purchased.row(client)
        assert planted.row(client).tolist() == row[~np.isin(row, canaries.own)].tolist()
        assert len(planted.row(client)) or not len(row)


def test_the_root_draws_them(purchased: Ragged) -> None:
    one, same, other = (draw(purchased, 50, 6, root) for root in ("a", "a", "b"))
    np.testing.assert_array_equal(one.planted, same.planted)
    assert not np.array_equal(one.both, other.both)


def test_coins_fall_on_either_side(purchased: Ragged) -> None:
    firsts = [draw(purchased, 50, 6, str(root)) for root in range(40)]
    share = np.mean([each.planted == each.both[:, 0] for each in firsts])
    assert 0.4 < share < 0.6


def test_too_many_are_refused(purchased: Ragged) -> None:
    with pytest.raises(InputError, match=r"no room for so many canaries: 13; plant \d+ or fewer"):
        draw(purchased, 50, 13, "root")
    with pytest.raises(InputError, match="prepare more customers"):
        draw(Ragged.from_rows([[0, 1], [2]]), 3, 1, "root")


def test_a_right_guess_of_the_coin_is_counted() -> None:
    truth = Truth(
        Ragged.from_rows([[0]]), 9, np.array([True]), np.array([3, 4], np.int32), np.array([[3, 5], [4, 6]], np.int32)
    )
    canaries, items = np.array([0, 0, 1, 1, 1]), np.array([3, 5, 4, 6, 8])
    assert truth.coins(canaries, items, np.array([1, 0, 0, 1, 1], bool)) == (1, 2)
