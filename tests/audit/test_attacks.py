"""Each attack succeeds where nothing protects from it, and fails where something does."""

from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from attacking import CANARIES, Shop, recorded, shop

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.table import ATTACKS
from spfedrec_cli.engine.audit import Attacked, attacked


def reached(name: str, of: Shop) -> Attacked:
    row = attacked(ATTACKS[name], of.view, of.truth)
    assert isinstance(row, Attacked), row
    return row


@pytest.fixture(scope="module")
def plain() -> Shop:
    return shop({"request": {"rate": 1.0}})


@pytest.fixture(scope="module")
def uniform() -> Shop:
    """Obfuscating items are drawn evenly, and anew every round."""
    return shop({"request": {"rate": 1.0, "negatives": "uniform", "redraw": True}})


def test_popularity_tells_uniform_obfuscating_items_apart(uniform: Shop) -> None:
    assert reached("popularity", uniform).low > 0.52


@pytest.mark.parametrize("name", ["coherence", "shadow classifier"])
def test_purchases_of_one_taste_are_told_from_obfuscating_items(plain: Shop, name: str) -> None:
    assert reached(name, plain).low > 0.7


def test_two_rounds_of_redrawn_items_are_intersected(uniform: Shop, plain: Shop) -> None:
    assert reached("intersection", uniform).precision > 0.9
    memoised = reached("intersection", plain)
    assert memoised.auc == 0.5
    assert memoised.precision == memoised.chance


MODES: list[dict[str, Any]] = [
    {"client": {"negatives": "public"}},
    {"client": {"negatives": "request"}},
    {"client": {"negatives": "both"}},
    {"client": {"negatives": "request"}, "request": {"rate": 0.25}},
    {"request": {"mode": "slate", "slate_size": 60}},
    {"request": {"mode": "catalogue"}},
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_plain_update_gives_every_purchase_away(mode: dict[str, Any]) -> None:
    of = shop(mode)
    assert reached("collinearity", of).auc >= 0.99


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_masked_upload_gives_nothing_away(mode: dict[str, Any]) -> None:
    """Of forty clients one draw of masks says little, and its interval is too narrow: four draws."""
    rows = [reached("masked collinearity", shop({**mode, "train": {"seed": seed}})) for seed in range(4)]
    assert abs(fmean(row.auc for row in rows) - 0.5) < 0.06
    assert sum(row.low - 0.02 <= 0.5 <= row.high + 0.02 for row in rows) >= 3


def test_zero_rows_decide_with_public_negatives(plain: Shop) -> None:
    row = reached("zero rows", plain)
    assert row.decided > 0.6 * row.claims
    assert row.right > 0.99 * row.decided  # but for what fixed point rounds to zero


def test_without_zero_rows_nothing_is_decided() -> None:
    row = reached("zero rows", shop({"client": {"negatives": "request"}, "request": {"rate": 1.0}}))
    assert row.decided == 0


def test_rows_of_a_sum_that_one_member_asked_for_are_its_own() -> None:
    few = reached("single-requester rows", shop({"federated": {"cohort_size": 4}, "client": {"pool_size": 8}}))
    assert few.decided == few.right > 0.05 * few.claims
    many = reached("single-requester rows", shop({"client": {"pool_size": 8}}))
    assert many.decided / many.claims < few.decided / few.claims


def test_the_sum_adds_to_the_model_where_few_are_in_it() -> None:
    of = shop({"request": {"mode": "catalogue"}})
    sums = cut.sums(recorded(of.world, of.state, 12, cohort_size=3))
    few = replace(of, view=replace(of.view, sums=sums))
    assert reached("half known, sum", few).auc > reached("half known, model", few).auc > 0.6


def test_the_only_buyer_of_an_item_is_known_by_it(plain: Shop) -> None:
    assert reached("only buyer", plain).low > 0.6


def test_purchases_of_the_training_fit_better_than_others_of_the_same_taste() -> None:
    assert reached("membership of a purchase", shop()).low > 0.53


def test_canaries_are_found_and_bound_epsilon() -> None:
    row = reached("canaries", shop({"client": {"target_share": 0.5}}))
    assert row.low > 0.9
    assert row.epsilon is not None
    assert row.epsilon > 0.5
    assert row.subjects == CANARIES


def test_an_untrained_model_tells_nothing() -> None:
    of = shop(rounds=0, seen=1)
    for name in ("only buyer", "canaries"):
        row = reached(name, of)
        assert row.low < 0.6, name
    assert np.isfinite(reached("membership of a purchase", of).auc)
