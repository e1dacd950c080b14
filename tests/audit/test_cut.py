"""Views are cut from what crossed: they hold what the party saw, in the right places."""

from typing import Any

import numpy as np
import pytest
from attacking import CLIENTS, recorded, shop

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.views import Sum
from spfedrec_cli.federated.wire.channel import Recorder

MODES: list[dict[str, Any]] = [{}, {"request": {"mode": "slate", "slate_size": 50}}]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_chains_sums_add_up_to_the_cohort_s(mode: dict[str, Any]) -> None:
    of = shop(mode, rounds=3, seen=1)
    (whole,) = cut.sums(recorded(of.world, of.state, 1, aggregation="sum"))
    chains = cut.sums(recorded(of.world, of.state, 1, aggregation="ring", chain_length=5))
    assert len(chains) > 1
    assert sorted(np.concatenate([each.members for each in chains])) == whole.members.tolist()
    np.testing.assert_array_equal(sum(each.query for each in chains), whole.query)
    np.testing.assert_array_equal(added(chains, of.world.n_items), added([whole], of.world.n_items))


def added(sums: Any, n_items: int) -> Any:
    total = np.zeros((n_items, sums[0].rows.shape[1]))
    for each in sums:
        total[each.items] += each.rows
    return total


def test_a_sum_is_that_of_the_uploads() -> None:
    of = shop(rounds=3, seen=1)
    crossed = recorded(of.world, of.state, 1, aggregation="sum")
    (whole,), total = cut.sums(crossed), np.zeros((of.world.n_items, 16))
    for each in cut.uploads(crossed):
        np.add.at(total, each.items, each.rows)
    np.testing.assert_array_equal(added([whole], of.world.n_items), total)
    assert isinstance(whole, Sum)


def test_a_request_has_what_was_asked_and_answered() -> None:
    of = shop(rounds=3, seen=2)
    assert of.view.requests is not None
    assert len(of.view.requests) == 2 * CLIENTS
    for each in of.view.requests:
        assert np.isin(of.world.devices.purchased.row(each.client), each.items).all()
        assert each.rows.shape == (len(each.items), 16)


def test_rows_of_a_masked_upload_stand_where_they_do_without_the_mask() -> None:
    of = shop(rounds=3, seen=1)
    assert of.view.uploads is not None
    assert of.view.masked is not None
    plain = {each.client: each for each in of.view.uploads}
    for each in of.view.masked:
        np.testing.assert_array_equal(each.items, plain[each.client].items)
        assert each.rows.shape == plain[each.client].rows.shape
        assert not np.array_equal(each.rows, plain[each.client].rows)


def test_nothing_comes_of_nothing() -> None:
    nothing = Recorder().crossings
    assert cut.requests(nothing) == cut.uploads(nothing) == cut.masked(nothing) == cut.sums(nothing) == ()
