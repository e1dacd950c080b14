"""Each attack succeeds where nothing protects from it, and fails where something does."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from attacking import CANARIES, CLIENTS, Shop, following, model_of, more_of, recorded, shop, trained

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.table import ATTACKS
from spfedrec_cli.engine.audit import Attacked, attacked
from spfedrec_cli.engine.companies import counted, unions
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.federated.simulation import once
from spfedrec_cli.federated.simulation.state import initial_state


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


@pytest.mark.parametrize("mode", MODES[:4], ids=str)
def test_zero_rows_decide_next_to_nothing(mode: dict[str, Any]) -> None:
    """What is left is rounding: in so small a shop few gradients are rounded away."""
    row = reached("zero rows", shop(mode))
    assert row.decided < 0.05 * row.claims
    assert row.auc < 0.65


def test_zero_rows_tell_everything_where_obfuscating_items_are_not_trained_on(plain: Shop) -> None:
    """As it was before: rows of what was not bought are wiped out of the updates."""
    bought = plain.truth.purchased
    uploads = [
        replace(each, rows=np.where(np.isin(each.items, bought.row(each.client))[:, None], each.rows, 0))
        for each in plain.view.uploads or ()
    ]
    row = reached("zero rows", replace(plain, view=replace(plain.view, uploads=tuple(uploads))))
    assert row.auc == 1.0
    assert row.decided == row.right == row.claims


def test_zero_rows_are_purchases_where_histories_fade_however_many_there_are() -> None:
    """As many zeros as a request has obfuscating items are a coincidence there, and prove nothing of the others."""
    of = shop({"request": {"rate": 1.0}, "model": {"history": "recency"}})
    uploads = []
    for each in of.view.uploads or ():
        bought = of.truth.purchased.row(each.client)
        zero = np.isin(each.items, bought[np.arange(len(bought)) < each.published - each.published // 2])
        uploads.append(replace(each, rows=np.where(zero[:, None], 0, np.maximum(each.rows, 1))))
    row = reached("zero rows", replace(of, view=replace(of.view, uploads=tuple(uploads))))
    assert row.decided == row.right > 0


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_the_step_of_the_query_tower_tells_what_it_was_made_for(mode: dict[str, Any]) -> None:
    assert reached("public parameters", shop(mode)).auc > 0.55


@pytest.mark.parametrize("mode", MODES[:5], ids=str)
def test_guesses_that_explain_an_update_are_right(mode: dict[str, Any]) -> None:
    """But where the first guess is the whole catalogue."""
    assert reached("shadow updates", shop(mode)).low > 0.9


@pytest.mark.parametrize("name", ["public parameters", "shadow updates"])
def test_they_tell_nothing_under_a_mask(name: str, plain: Shop) -> None:
    masked = replace(plain, view=replace(plain.view, uploads=plain.view.masked))
    row = reached(name, masked)
    assert row.low - 0.03 <= 0.5 <= row.high + 0.03


def test_rows_of_a_sum_that_one_member_asked_for_are_its_own() -> None:
    few = reached("single-requester rows", shop({"federated": {"cohort_size": 4}, "client": {"pool_size": 8}}))
    many = reached("single-requester rows", shop({"client": {"pool_size": 8}}))
    assert few.low > 0.52
    assert few.auc > many.auc


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


@pytest.fixture(scope="module")
def more(plain: Shop) -> Shop:
    return more_of(plain)


def test_without_a_public_pool_the_sum_of_a_lie_is_one_client_s_own() -> None:
    """With one, all ten train on the pool, and their steps drown the answer."""
    of = more_of(shop({"client": {"negatives": "request"}, "request": {"rate": 1.0}}))
    assert reached("misled clients", of).low > 0.6


def test_popularity_summed_again_names_who_bought_what_sold_once(more: Shop) -> None:
    row = reached("refreshed popularity", more)
    assert row.low > 0.8
    assert row.precision > 5 * row.chance


def test_sums_of_popularity_say_who_of_those_that_asked_bought(more: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few much, of many little: so that a sum that is made once goes through long chains."""
    many = reached("counted popularity", more)
    assert many.auc > reached("popularity", more).auc
    assert many.decided == many.right
    monkeypatch.setattr(once, "LENGTH", 4)
    few = reached("counted popularity", in_chains_of(more, 4))
    assert few.low > max(0.8, many.auc)
    assert few.decided == few.right > many.decided


def test_who_meets_a_customer_in_chain_after_chain_has_its_request(more: Shop) -> None:
    few, all_of_them = (reached("unions of requests", in_chains_of(more, length)) for length in (4, CLIENTS))
    assert few.low > 0.85
    assert few.precision > 2.5 * few.chance
    assert all_of_them.auc == 0.5


def in_chains_of(of: Shop, length: int) -> Shop:
    """What company a customer is in where chains have so many members."""
    world = following(of.world, aggregation="ring", chain_length=length)
    with_them = Reached(Path(), of.state.round, world)
    found = {"counted": counted(world, with_them, of.state), "unions": unions(with_them, of.state)}
    return replace(of, view=replace(of.view, **found))


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_an_upload_whose_masks_are_known_is_a_plain_one(mode: dict[str, Any]) -> None:
    of = shop(mode)
    unmasked = replace(of, view=replace(of.view, masked=of.view.uploads))
    assert reached("masked collinearity", unmasked).auc >= 0.99


def test_customers_of_the_training_fit_better_than_those_who_never_took_part() -> None:
    of, third = shop(rounds=0, seen=1), np.arange(CLIENTS) % 3 == 0
    taking_part = replace(of.world, known=replace(of.world.known, eligible=np.flatnonzero(~third)))
    model = model_of(taking_part, trained(taking_part, initial_state(taking_part), 60))
    told = replace(of, view=replace(of.view, model=model), truth=replace(of.truth, trained=~third))
    assert reached("membership of a customer", told).low > 0.55


def test_one_update_of_the_second_stage_tells_who_buys_again_and_a_sum_hardly(more: Shop) -> None:
    one, ten = reached("second stage, one update", more), reached("second stage, sum", more)
    assert one.auc > 0.99
    assert ten.auc < 0.8


def test_two_models_tell_who_left_between_them(more: Shop) -> None:
    left = reached("who left", more)
    assert left.low > 0.6
    stayed = replace(more, view=replace(more.view, before=more.view.model))
    assert reached("who left", stayed).auc == 0.5
