"""Every attack of the table: what it is given, what it gives, and that nothing is guessed where there is no truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from attacking import Shop, more_of, shop

from spfedrec_cli.audit.attack import Attack
from spfedrec_cli.audit.table import ATTACKS
from spfedrec_cli.audit.views import PARTS, View
from spfedrec_cli.engine.audit import WITHOUT, Attacked, attacked
from spfedrec_cli.judging.metrics import judge
from spfedrec_cli.judging.truth import CLAIMS, Truth

EVERY = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
REDRAWN = {"request": {"redraw": True, "rate": 1.0}}
VIEWS = {"request", "plain update", "masked upload", "sum", "model"}
PERMUTATIONS, ENOUGH = 20, 13  # of so many intervals so many hold what is true; of few subjects they are too narrow


@pytest.fixture(scope="module")
def seen() -> Shop:
    return more_of(shop(REDRAWN))


@EVERY
def test_a_row_says_who_sees_what_and_what_it_takes(attack: Attack) -> None:
    assert attack.name == attack.name.lower()
    assert attack.view in VIEWS
    assert set(attack.needs) <= set(PARTS)
    assert attack.claim in CLAIMS
    assert attack.party
    assert attack.assumption


def test_every_attack_is_in_the_documentation_with_its_party_and_view() -> None:
    said = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
    assert [
        each.name for each in ATTACKS.values() if f"| `{each.name}` | {each.party} | {each.view} |" not in said
    ] == []


@EVERY
def test_a_guess_is_a_finite_score_for_each_claim_and_the_same_each_time(seen: Shop, attack: Attack) -> None:
    guess, again = (attack.guess(seen.view.only(attack.needs)) for _ in range(2))
    assert len(guess.subjects) == len(guess.items) == len(guess.scores) > 0
    assert np.isfinite(guess.scores).all()
    np.testing.assert_array_equal(guess.scores, again.scores)
    for part in (guess.decided, guess.named):
        assert part is None or (len(part) == len(guess.scores) and part.dtype == np.bool_)


@EVERY
def test_a_claim_is_made_once(seen: Shop, attack: Attack) -> None:
    guess = attack.guess(seen.view.only(attack.needs))
    assert len(np.unique(np.stack([guess.subjects, guess.items]), axis=1).T) == len(guess.items)


@EVERY
def test_permuted_truth_is_guessed_by_chance(seen: Shop, attack: Attack) -> None:
    """Labels change places among the claims about one subject, and where each has one, among all."""
    guess = attack.guess(seen.view.only(attack.needs))
    true = seen.truth.of(attack.claim, guess.subjects, guess.items)
    within = guess.subjects if len(np.unique(guess.subjects)) < len(guess.subjects) else np.zeros(len(true))
    order, held = np.argsort(within, kind="stable"), 0
    for seed in range(PERMUTATIONS):
        drawn = np.random.default_rng(seed).random(len(true))
        permuted = np.empty_like(true)
        permuted[order] = true[np.lexsort((drawn, within))]
        verdict = judge(guess.subjects, guess.scores, permuted, guess.named, seed)
        assert verdict is not None
        held += verdict.low <= 0.5 <= verdict.high
    assert held >= ENOUGH


@EVERY
def test_what_is_missing_is_said(seen: Shop, attack: Attack) -> None:
    for part in attack.needs:
        told = attacked(attack, replace(seen.view, **{part: None}), seen.truth)
        assert told == WITHOUT[part]


@EVERY
def test_nothing_is_judged_where_nothing_is_true(seen: Shop, attack: Attack) -> None:
    nothing = replace(
        seen.truth,
        purchased=seen.truth.purchased.take(np.empty(0, np.int64)),
        trained=np.zeros_like(seen.truth.trained),
        planted=np.full_like(seen.truth.planted, -1),
        between=seen.truth.between.take(np.empty(0, np.int64)),
        again=np.zeros_like(seen.truth.again),
        left=np.zeros_like(seen.truth.left),
    )
    assert isinstance(attacked(attack, seen.view, nothing), str)


def test_every_part_of_a_view_has_its_reason() -> None:
    assert set(WITHOUT) == set(PARTS)
    empty = View(settings=shop(rounds=0, seen=1).world.config)
    assert empty.lacks(PARTS) == list(PARTS)


def test_a_row_of_the_report_is_that_of_the_table(seen: Shop) -> None:
    row = attacked(ATTACKS["coherence"], seen.view, seen.truth)
    assert isinstance(row, Attacked)
    assert (row.name, row.party, row.view) == ("coherence", "server", "request")
    assert isinstance(seen.truth, Truth)
