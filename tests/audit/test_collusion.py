"""Two who work together open whoever sits between them, to the bit, and nobody else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attacking import CLIENTS, copied, following, recorded, shop, trained

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.table import ATTACKS
from spfedrec_cli.engine.audit import Attacked, attacked
from spfedrec_cli.engine.corrupt import exposed, opened_by
from spfedrec_cli.engine.misled import Liar
from spfedrec_cli.engine.seated import VICTIMS
from spfedrec_cli.federated.wire.channel import Recorder

MODES: list[dict[str, Any]] = [
    {},
    {"request": {"mode": "slate", "slate_size": 40, "refresh": 5}},
    {"request": {"mode": "catalogue"}},
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_what_is_opened_is_the_update_to_the_bit(mode: dict[str, Any]) -> None:
    of = shop(mode, rounds=3, seen=1)
    assert of.view.uploads is not None
    assert of.view.opened
    plain = {each.client: each for each in of.view.uploads}
    for each in of.view.opened:
        np.testing.assert_array_equal(each.items, plain[each.client].items)
        np.testing.assert_array_equal(each.rows, plain[each.client].rows)
    assert len(of.view.opened) < 0.4 * CLIENTS


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_puppets_take_the_update_to_the_bit(mode: dict[str, Any]) -> None:
    of = shop(mode, rounds=3, seen=1)
    assert of.view.uploads is not None
    assert of.view.seated is not None
    plain = {each.client: each for each in of.view.uploads}
    assert len(of.view.seated) == VICTIMS
    for each in of.view.seated:
        np.testing.assert_array_equal(each.rows, plain[each.client].rows)
        np.testing.assert_array_equal(each.query, plain[each.client].query)


def test_answers_of_zeros_leave_one_step_of_the_query_tower_in_the_sum_of_a_chain() -> None:
    """What answers a request is part of no agreement: the chain ends with a sum, which is one member's own."""
    of = shop({"client": {"negatives": "request"}}, rounds=3, seen=1)
    crossed, liars = {}, {way: Liar(0) for way in ("ring", "sum")}
    for way, liar in liars.items():
        recorder = Recorder()
        world = following(of.world, aggregation=way, cohort_size=10)
        trained(replace(world, ends=(recorder, liar)), copied(of.state), 1)
        crossed[way] = recorder.crossings
    (chain,), (victim,) = cut.sums(crossed["ring"]), liars["ring"].victims.values()
    plain = {each.client: each for each in cut.uploads(crossed["sum"])}
    np.testing.assert_array_equal(chain.query, plain[victim].query)  # type: ignore[index]
    assert chain.query.any()


def test_nobody_is_opened_without_help() -> None:
    of = shop(rounds=1, seen=1)
    world = following(of.world, aggregation="ring")
    crossed = recorded(of.world, of.state, 1, aggregation="ring")
    assert opened_by(world, copied(of.state), crossed, 0.0, 0) == ()


def test_as_many_are_opened_as_the_formula_says() -> None:
    of = shop(rounds=1, seen=1)
    world, found = following(of.world, aggregation="ring"), []
    crossed = recorded(of.world, of.state, 1, aggregation="ring")
    for seed in range(40):
        found.append(len(opened_by(world, copied(of.state), crossed, 0.5, seed)))
    assert np.mean(found) == pytest.approx(exposed(CLIENTS, 0.5), rel=0.15)  # K (1 - f) f² = 40 · .5 · .25


@pytest.mark.parametrize("name", ["colluding neighbours", "seated among puppets"])
def test_an_opened_update_is_attacked_like_a_plain_one(name: str) -> None:
    of = shop()
    row = attacked(ATTACKS[name], of.view, of.truth)
    assert isinstance(row, Attacked)
    assert row.auc >= 0.99
