"""What the zero rows of a single update say: nothing, whatever the training negatives are (docs/protocol.md)."""

import dataclasses

import numpy as np
import pytest
from worlds import build_world, merged

from spfedrec_cli.dtypes import I32, Bool
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Recorder

SMALL_POOL = {"client": {"pool_size": 6}, "model": {"temperature": 1.0}}  # at which nothing is rounded to zero


def sent(negatives: str) -> list[tuple[I32, I32, Bool, I32]]:
    """Of each client in a round: what it asked for, what everybody was told, what it bought of the former, its rows."""
    recorder = Recorder()
    settings = {"client": {"negatives": negatives}, "train": {"engine": "reference"}, "request": {"rate": 1.0}}
    world = dataclasses.replace(build_world(merged(settings, SMALL_POOL)), ends=(recorder,))
    split_round(initial_state(world), world)
    of = {
        kind: {way.sender: way.message for way in recorder.crossings if isinstance(way.message, kind)}
        for kind in (messages.Request, messages.ClientUpdate)
    }
    pool = next(each.message.pool_items for each in recorder.crossings if isinstance(each.message, messages.Broadcast))
    return [
        (asked.items, pool, np.isin(asked.items, world.devices.purchased.row(int(client))), update.items)
        for (client, asked), update in zip(
            of[messages.Request].items(), of[messages.ClientUpdate].values(), strict=True
        )
    ]


@pytest.mark.parametrize("negatives", ["public", "request", "both"])
def test_rows_of_obfuscating_items_are_no_likelier_to_be_zero_than_those_of_purchases(negatives: str) -> None:
    zero, bought = list[Bool](), list[Bool]()
    for asked, pool, own, rows in sent(negatives):
        elsewhere = np.isin(asked, pool)  # the pool's row has it
        zero.append(~rows[: len(asked)].any(1)[~elsewhere])
        bought.append(own[~elsewhere])
    is_zero, was_bought = np.concatenate(zero), np.concatenate(bought)
    assert 0 < was_bought.sum() < len(was_bought)
    assert not is_zero.any()


@pytest.mark.parametrize("negatives", ["public", "both"])
def test_what_is_in_the_pool_has_a_row_there_alone_whether_it_was_bought_or_not(negatives: str) -> None:
    seen = 0
    for asked, pool, own, rows in sent(negatives):
        assert not rows[: len(asked)][np.isin(asked, pool)].any()
        assert rows[len(asked) :].any(1).all()
        seen += int(np.isin(pool, asked[own]).sum())
    assert seen > 0
