"""Sums that are made once: the same whoever makes them and however, and through chains where rounds execute these."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from worlds import build_world, merged

from spfedrec_cli.federated.aggregation.chain.ring import stays_in_shards
from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.protocol import Sums, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS, Row
from spfedrec_cli.federated.simulation import once
from spfedrec_cli.federated.simulation.beginning import summed_purchases
from spfedrec_cli.federated.simulation.once import LENGTH, counted_together
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Recorder, Role
from spfedrec_cli.federated.wire.ledger import Ledger

ENGINES = ["simulation", "reference"]


def world_of(aggregation: str, engine: str) -> World:
    settings: dict[str, Any] = {"federated": {"aggregation": aggregation}, "train": {"engine": engine}}
    return build_world(merged(settings, {}))


def summed(world: World) -> tuple[torch.Tensor, Ledger]:
    channel = world.channel(1)
    return summed_purchases(world, channel), channel.ledger()


@pytest.mark.parametrize("engine", ENGINES)
def test_chains_sum_what_the_ideal_sum_does(engine: str) -> None:
    ideal, chained = (summed(world_of(name, engine))[0] for name in ("sum", "ring"))
    expected = np.bincount(world_of("sum", engine).devices.purchased.values, minlength=len(ideal))
    np.testing.assert_array_equal(ideal.numpy(), expected)
    torch.testing.assert_close(chained, ideal)


def test_both_engines_count_the_same_bytes() -> None:
    one, two = (summed(world_of("ring", engine))[1] for engine in ENGINES)
    assert one.entries == two.entries
    kinds = {each.kind for each in one.entries}
    assert messages.MaskedUpdate.kind in kinds
    assert messages.PurchaseCounts.kind not in kinds


class Sealed(IdealSum):
    """A protocol of one's own: a seal of 32 bytes beside each update."""

    def close(self) -> Sums:
        sizes = np.full(len(self.uploads), messages.size([2], [32]))
        self._opening.channel.account(messages.ChainCommitment, sizes * self.uploads)
        return super().close()


class SealedByMessages(SumByMessages):
    def add(self, updates: Updates) -> None:
        seal = messages.ChainCommitment(self._opening.round, np.zeros(2, np.int32), np.zeros(32, np.uint8))
        client = int(self._opening.clients[updates.members[0]])
        self._opening.channel.send(seal, client, Role.AGGREGATOR)
        super().add(updates)


def test_a_protocol_of_ones_own_sends_its_own_messages_and_no_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AGGREGATIONS, "sealed", Row(Sealed, SealedByMessages))
    (one, first), (two, second) = (summed(world_of("sealed", engine)) for engine in ENGINES)
    torch.testing.assert_close(one, summed(world_of("sum", "simulation"))[0])
    torch.testing.assert_close(two, one)
    assert first.entries == second.entries
    kinds = [messages.PurchaseCounts.kind, messages.ChainCommitment.kind]
    assert [each.kind for each in first.entries] == kinds
    assert [len(members) for members in counted_together(world_of("sealed", "simulation"))] == [first.entries[0].count]


def test_shards_make_no_chain_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains of rounds are cut within shards where these are large enough; of a longer chain they may not be."""
    rounds = {"federated": {"aggregation": "ring", "chain_length": 3, "cohort_size": 60}, "train": {"shards": 4}}
    world = build_world(rounds, [3] * 60)
    assert stays_in_shards(world.config.federated, 60, 4)
    assert [len(members) for members in counted_together(world)] == [60]
    monkeypatch.setattr(once, "LENGTH", 5)
    assert min(len(members) for members in counted_together(world)) >= 5
    assert len(counted_together(world)) == 12


def test_no_upload_through_a_chain_says_what_was_bought() -> None:
    """All clients are one chain, as they are fewer than LENGTH, those of rounds being short; what crosses is masked."""
    short = {"federated": {"aggregation": "ring", "chain_length": 3}, "train": {"engine": "reference"}}
    recorder, world = Recorder(), build_world(merged(short, {}))
    listened = dataclasses.replace(world, ends=(recorder,))
    total = summed_purchases(listened, listened.channel(1))
    sent = [each.message for each in recorder.crossings if isinstance(each.message, messages.MaskedUpdate)]
    invited = [each.message for each in recorder.crossings if isinstance(each.message, messages.ChainInvitation)]
    assert {int(each.members[0]) for each in invited} == {len(world.known.eligible)}
    assert len(sent) == len(world.known.eligible) < LENGTH
    assert all(np.abs(each.words.astype(np.int64)).max() > 1000 for each in sent)
    words = np.sum([each.words.view(np.uint32) for each in sent], axis=0, dtype=np.uint32)
    np.testing.assert_array_equal(words.view(np.int32), total.numpy())
