"""What the zero rows of a single update say: where training negatives are public, everything (docs/protocol.md)."""

import dataclasses

import numpy as np
from worlds import build_world

from spfedrec_cli.dtypes import Bool
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Recorder


def guesses(negatives: str) -> tuple[Bool, Bool]:
    """Of each entry of each request of a round: is its row not zero in the client's update, and was it bought?"""
    recorder = Recorder()
    settings = {"client": {"negatives": negatives}, "train": {"engine": "reference"}, "request": {"rate": 1.0}}
    world = dataclasses.replace(build_world(settings), ends=(recorder,))
    split_round(initial_state(world), world)
    asked = {way.sender: way.message for way in recorder.crossings if isinstance(way.message, messages.Request)}
    sent = {way.sender: way.message for way in recorder.crossings if isinstance(way.message, messages.ClientUpdate)}
    guessed, bought = [], []
    for client, update in sent.items():
        items = asked[client].items
        guessed.append(update.items[: len(items)].any(1))
        bought.append(np.isin(items, world.devices.purchased.row(int(client))))
    return np.concatenate(guessed), np.concatenate(bought)


def test_with_public_negatives_zero_rows_tell_obfuscating_items_apart() -> None:
    guessed, bought = guesses("public")
    assert 0 < bought.sum() < len(bought)
    np.testing.assert_array_equal(guessed, bought)


def test_with_the_request_s_own_negatives_no_row_of_a_trained_obfuscating_item_is_zero() -> None:
    guessed, bought = guesses("request")
    assert guessed[~bought].mean() > 0.9
