"""Every protocol yields the sum, whatever it tells on the way; and says who is in it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import at_round, build_world, entries, merged

from spfedrec_cli.config import FederatedConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.chain.ring import Ring, setting_of, stays_in_shards
from spfedrec_cli.federated.aggregation.chain.sources import SeededSecrets
from spfedrec_cli.federated.aggregation.protocol import Opening, Sent, Sums, Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.server.publishing import draw_slate
from spfedrec_cli.federated.simulation.beginning import publish_popularity
from spfedrec_cli.federated.simulation.on_slate import publish_catalogue, start_on_slate
from spfedrec_cli.federated.simulation.opening import opening as opening_for
from spfedrec_cli.federated.simulation.round import silent_phases
from spfedrec_cli.federated.simulation.state import State, initial_state, state_tensors
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.split import ENGINES, split_round
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import Broadcast

CHAIN = (
    messages.ChainInvitation,
    messages.ChainCommitment,
    messages.ChainCommitments,
    messages.ChainReveal,
    messages.ChainRoster,
    messages.MaskedUpdate,
)
ITEMS, DIM, WIDTH, QMAX = 12, 2, 5, 1000
POOL = np.array([3, 7])


def opening_of(
    requests: list[list[int]],
    chain_length: int = 3,
    groups: list[int] | None = None,
    silent: list[int] | None = None,
) -> Opening:
    own, never = Ragged.from_rows(requests), np.full(len(requests), Phase.NEVER)
    clients = np.arange(len(requests)) * 2 + 1
    some, none = np.zeros(WIDTH, np.float32), np.zeros((2, DIM), np.float32)
    return Opening(
        FederatedConfig(chain_length=chain_length),
        seed=5,
        round=2,
        clients=clients,
        groups=np.zeros_like(clients) if groups is None else np.array(groups),
        group_count=1 if groups is None else max(groups) + 1,
        silent=never if silent is None else np.array(silent, np.int64),
        own=own,
        hidden=Ragged.from_rows([[] for _ in requests]),
        rows=np.arange(ITEMS),
        pool=POOL,
        width=WIDTH,
        dim=DIM,
        codec_query=Codec(1.0, QMAX),
        codec_item=Codec(1.0, QMAX),
        channel=Channel(2),
        secrets=SeededSecrets(0),
        update=messages.ClientUpdate,
        update_sizes=messages.size([WIDTH, (own.lengths + len(POOL)) * DIM]),
        told=lambda: (Broadcast(2, some, POOL.astype(np.int32), none),),
        settings=bytes(32),
    )


def update_of(opening: Opening, members: list[int], seed: int) -> Updates:
    """Random integers within the codec, the largest among them."""
    rng, asked = np.random.default_rng(seed), opening.own.lengths[members]

    def draw(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.integers(-QMAX, QMAX + 1, shape).astype(np.int32))

    rows = np.concatenate([opening.own.row(member) for member in members]).astype(np.int64)
    query, pool = draw(len(members), WIDTH), draw(len(members), len(POOL), DIM)
    own = draw(int(asked.sum()), DIM)
    pool_rows = torch.from_numpy(POOL)
    whole = torch.cat([own, pool.reshape(-1, DIM)]).numpy() if len(members) == 1 else np.empty((0, DIM), np.int32)
    found = Updates(np.array(members), query, torch.from_numpy(rows), own, asked, pool_rows, pool, 2)
    return replace(found, sent=Sent(messages.ClientUpdate(2, query[0].numpy(), whole), lambda message: found))


def plain_sum(found: list[Updates]) -> tuple[np.ndarray, np.ndarray]:
    query, items = np.zeros(WIDTH, np.int64), np.zeros((ITEMS, DIM), np.int64)
    for each in found:
        query += each.query.numpy().sum(0)
        np.add.at(items, each.own_rows.numpy(), each.own.numpy())
        np.add.at(items, POOL, each.pool.numpy().sum(0))
    return query, items


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_protocol_is_the_sum(name: str) -> None:
    opening = opening_of([[0, 2], [2, 5, 11], [1], [0, 1, 2], [], [7, 3]])
    parts = [[4, 0], [3], [1, 5, 2]]
    found = [update_of(opening, members, seed) for seed, members in enumerate(parts)]
    aggregation = AGGREGATIONS[name].open(opening)
    for each in found:
        aggregation.add(each)
    sums = aggregation.close()
    query, items = plain_sum(found)
    assert sums.query.tolist() == query.tolist()
    assert sums.items.tolist() == items.tolist()
    assert (sums.clients, sums.saturated, sums.aborted) == (6, 6, 0)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_either_form_of_every_protocol_comes_to_the_same(data: st.DataObject) -> None:
    """Sums, who is in them, and the bytes of every message: with clients that fall silent in any phase, and chains of
    any length."""
    name = data.draw(st.sampled_from(sorted(AGGREGATIONS)))
    requests = data.draw(st.lists(st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=4), max_size=9))
    groups = data.draw(st.none() | st.lists(st.integers(0, 2), min_size=len(requests), max_size=len(requests)))
    row, phase = AGGREGATIONS[name], st.sampled_from([*AGGREGATIONS[name].phases[1:], *[Phase.NEVER] * 9])
    silent = data.draw(st.lists(phase, min_size=len(requests), max_size=len(requests)))
    opening = opening_of(requests, data.draw(st.integers(3, 9)), groups or None, silent)
    channels = [Channel(2), Channel(2)]
    fast = row.open(replace(opening, channel=channels[0]))
    plain = row.by_messages(replace(opening, channel=channels[1]))
    assert fast.uploads.tolist() == plain.uploads.tolist()
    survivors = np.flatnonzero(fast.uploads).tolist()
    found = [update_of(opening, [member], member) for member in survivors]
    for each in found:
        plain.add(each)
        fast.add(each)
    one, two = fast.close(), plain.close()
    assert one.query.tolist() == two.query.tolist()
    assert one.items.tolist() == two.items.tolist()
    counts = [(each.clients, each.saturated, each.aborted, each.unchecked) for each in (one, two)]
    assert counts[0] == counts[1]
    assert entries(channels[0]) == entries(channels[1])
    if len(survivors) == len(requests) and one.aborted == 0:
        assert one.query.tolist() == plain_sum(found)[0].tolist()


@pytest.mark.parametrize("phase", AGGREGATIONS["ring"].phases[1:])
def test_a_client_that_falls_silent_takes_its_chain_along_but_after_its_upload(phase: Phase) -> None:
    silent = [Phase.NEVER] * 6
    silent[2] = phase
    opening = opening_of([[item] for item in range(6)], silent=silent)
    layout = Ring(opening)._layout
    chains = layout.chain_of.tolist()
    assert sorted(chains) == [0, 0, 0, 1, 1, 1]
    ring = Ring(opening)
    found = [update_of(opening, [member], member) for member in np.flatnonzero(ring.uploads).tolist()]
    for each in found:
        ring.add(each)
    sums = ring.close()
    kept = [each for each in found if phase == Phase.AFTER or chains[each.members[0]] != chains[2]]
    assert (sums.clients, sums.aborted) == ((6, 0) if phase == Phase.AFTER else (3, 1))
    assert sums.query.tolist() == plain_sum(kept)[0].tolist()
    crossed = {entry["kind"]: entry["count"] for entry in entries(opening.channel)}
    counts = [crossed[kind.kind] for kind in CHAIN]
    assert (
        counts
        == {
            Phase.SEAL: [6, 5, 3, 3, 3, 3],
            Phase.REVEAL: [6, 6, 6, 5, 3, 3],
            Phase.UPLOAD: [6, 6, 6, 6, 6, 5],
            Phase.AFTER: [6, 6, 6, 6, 6, 6],
        }[phase]
    )
    assert len(found) == counts[-1]


def test_chains_are_drawn_anew_every_round_and_by_the_seed() -> None:
    first = opening_of([[0]] * 30)
    others = [first, replace(first, round=3), replace(first, seed=6)]
    assert len({tuple(Ring(opening)._layout.chain_of.tolist()) for opening in others}) == 3


def test_no_round_and_no_run_uses_a_seed_of_another() -> None:
    """The same clients and requests, told the same: the seeds and the name of the run all differ."""
    first = opening_of([[0]] * 9)
    openings = [first, replace(first, round=3), replace(first, seed=6)]
    pairs = [pair for opening in openings for pair in Ring(opening)._chains._seeds if pair is not None]
    assert len({seed for pair in pairs for seed in pair}) == len(pairs) == 3 * 9
    settings = [setting_of(opening) for opening in openings]
    assert [each.round for each in settings] == [2, 3, 2]
    assert settings[0].run == settings[1].run != settings[2].run


def test_secrets_are_those_of_the_root() -> None:
    """In one chain of everybody, other commitments under another root."""
    first = opening_of([[0]] * 9, chain_length=9)
    roots = [SeededSecrets(root) for root in ("a", "a", "b")]
    one, same, other = (set(Ring(replace(first, secrets=each))._chains.commitments) for each in roots)
    assert one == same
    assert not one & other


def test_too_few_for_a_chain_come_to_no_sum() -> None:
    ring = Ring(opening_of([[1], [2]]))
    ring.add(update_of(opening_of([[1], [2]]), [0, 1], 0))
    sums = ring.close()
    assert (sums.clients, sums.aborted, int(sums.query.abs().sum())) == (0, 1, 0)
    assert not entries(ring._opening.channel)


@pytest.mark.parametrize("form", ["open", "by_messages"])
@pytest.mark.parametrize("length, unchecked", [(3, 0), (4, 1)])
def test_a_chain_of_a_whole_cohort_that_uses_all_bits_cannot_be_checked(form: str, length: int, unchecked: int) -> None:
    """Six clients, with a codec for six that fills 32 bits: two chains of three have bounds of 2^30, one of six has
    2^31 − 2, within which anything lies."""
    fine = Codec(1.0, (2**31 - 1) // 6)
    opening = replace(opening_of([[0]] * 6, length), codec_query=fine, codec_item=fine)
    assert getattr(AGGREGATIONS["ring"], form)(opening).close().unchecked == unchecked
    assert getattr(AGGREGATIONS["sum"], form)(opening).close().unchecked == 0


@pytest.mark.parametrize("length", [1050, 1051])
def test_a_run_is_warned_of_chains_that_cannot_be_checked(length: int) -> None:
    """Of 2,100 clients, whose codec fills 32 bits: chains of half of them, and one of all of them."""
    federated = {"aggregation": "ring", "cohort_size": 2100, "chain_length": length}
    world = build_world({"federated": federated, "train": {"shards": 1}}, [1] * 2100)
    _, report = split_round(initial_state(world), world)
    assert report.aborted == 0
    if length <= 1050:
        assert report.warning is None
    else:
        assert report.warning is not None
        assert "federated.chain_length = 1051 makes chains so long" in report.warning
        assert "set it to 1050 or less" in report.warning


def test_a_small_cohort_in_one_chain_is_checked_and_warned_of_nothing() -> None:
    """Nine clients leave 27 bits of 32 unused: a mask that is left is seen."""
    _, reports = trained({}, "ring", chain_length=9)
    assert [report.warning for report in reports] == [None] * 3


def test_sums_wrap_modulo_two_to_the_thirty_two() -> None:
    opening = opening_of([[0], [0]])
    large = torch.full((2, WIDTH), 2**31 - 1, dtype=torch.int32)
    aggregation = AGGREGATIONS["sum"].open(opening)
    aggregation.add(replace(update_of(opening, [0, 1], 0), query=large))
    assert aggregation.close().query.tolist() == [-2] * WIDTH


WORLDS: dict[str, dict[str, Any]] = {
    "negatives of the request": {"client": {"negatives": "request"}, "request": {"rate": 1.0}},
    "a public pool": {},
    "a pool by popularity": {"client": {"pool": "popularity", "pool_size": 12}},
    "both kinds of negatives": {"client": {"negatives": "both"}, "request": {"rate": 1.0}},
    "towers of their own": {"client": {"private_state": "tower"}},
    "private embeddings": {"client": {"private_state": "embedding"}},
    "slates": {"request": {"mode": "slate", "slate_size": 10, "refresh": 2}},
    "the whole catalogue": {"request": {"mode": "catalogue"}},
}


def trained(settings: dict[str, Any], aggregation: str, **more: Any) -> tuple[State, list[Report]]:
    federated = {"aggregation": aggregation, "chain_length": 3, "cohort_size": 9, **more}
    world = build_world({**settings, "federated": {"range_query": 50.0, "range_item": 50.0, **federated}})
    state, reports = initial_state(world), []
    for _ in range(3):
        state, report = split_round(state, world)
        reports.append(report)
    return state, reports


@pytest.mark.parametrize("name", WORLDS)
def test_a_training_ends_in_the_same_bits_by_any_protocol(name: str) -> None:
    states = [trained(WORLDS[name], aggregation)[0] for aggregation in AGGREGATIONS]
    tensors = [state_tensors(state) for state in states]
    for other in tensors[1:]:
        assert all(torch.equal(other[key], value) for key, value in tensors[0].items())
    if states[0].private is not None:
        assert all(torch.equal(states[0].private, state.private) for state in states)


def test_who_is_in_the_aggregate_is_reported() -> None:
    _, plain = trained({}, "sum", dropout=0.4)
    _, chained = trained({}, "ring", dropout=0.4)
    assert all(report.survivors < report.clients for report in plain)
    assert all(report.aborted == 0 for report in plain)
    assert sum(report.aborted for report in chained) > 0
    assert all(one.survivors <= other.survivors for one, other in zip(chained, plain, strict=True))
    assert all(sum(report.silent.values()) > 0 for report in plain + chained)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_clients_without_a_target_are_in_the_aggregate_and_those_that_dropped_out_are_not(
    aggregation: str, engine: str
) -> None:
    """They upload zeros like everybody's updates: no chain is broken by them."""
    settings = merged(WORLDS["slates"], {"train": {"engine": engine}})
    state, whole = trained(settings, aggregation)
    assert all(report.without_target > 0 for report in whole)
    assert all((report.survivors, report.aborted) == (9, 0) for report in whole)
    _, fewer = trained(settings, aggregation, dropout=0.4)
    world = build_world(merged(settings, {"federated": {"dropout": 0.4, "aggregation": aggregation}}))
    for report in fewer:
        silent = silent_phases(world, world.known.eligible, report.round)
        left = world.known.eligible[silent > Phase.UPLOAD]
        slate = draw_slate(at_round(state, report.round - 1).server, world.known, world.kept.rotation)
        idle = (slate.holds(world.devices.purchased.take(left), world.n_items) == 0).sum()
        assert report.without_target == idle or (aggregation != "sum" and report.without_target < idle)
        assert report.survivors <= len(left) < report.clients == 9
        assert aggregation != "sum" or report.survivors == len(left)


def test_a_chain_of_a_slate_is_told_of_no_request_and_bound_to_all_that_was_published() -> None:
    world = build_world(merged(WORLDS["slates"], {"federated": {"aggregation": "ring", "chain_length": 3}}))
    channel = world.channel(1)
    state = publish_popularity(initial_state(world), world, channel)
    state = publish_catalogue(state, world, world.known.eligible, channel)
    start = start_on_slate(state, world, world.known.eligible, channel)
    opening = opening_for(world, start.published, start.cohort, channel)
    setting, slate, kept = setting_of(opening), start.published.slate, start.published.catalogue
    assert slate is not None
    assert kept is not None
    assert setting.pool.tolist() == slate.items.tolist()
    assert all(not len(terms.union) for terms in Ring(opening)._layout.terms)
    assert opening.told is not None
    sent = [messages.parse(messages.serialise(message)) for message in opening.told()]
    assert [type(message) for message in sent] == [Broadcast, messages.PublishedSlate, messages.PublishedCatalogue]
    broadcast, shown = start.published.told
    assert isinstance(broadcast, Broadcast)
    assert isinstance(shown, messages.PublishedSlate)
    others = [
        replace(start.published, told=(broadcast, replace(shown, embeddings=shown.embeddings * np.float32(1.01)))),
        replace(start.published, catalogue=replace(kept, steps=kept.steps * 2)),
        replace(start.published, told=(replace(broadcast, query=broadcast.query + 1), shown)),
    ]
    digests = {setting_of(opening_for(world, each, start.cohort, channel)).broadcast for each in others}
    assert len(digests | {setting.broadcast}) == 4
    later = opening_for(world, replace(start.published, round=2), start.cohort, channel)
    assert later.told is not None
    assert [message.round for message in later.told()] == [1, 1, 1]


def test_chains_stay_in_shards_where_these_hold_enough_clients() -> None:
    config = FederatedConfig(cohort_size=80, chain_length=10)
    assert stays_in_shards(config, 1000, 4)
    assert not stays_in_shards(config, 1000, 5)
    assert not stays_in_shards(config, 79, 4)


def test_what_cannot_form_chains_is_refused() -> None:
    with pytest.raises(InputError, match="A cohort of 2 cannot form"):
        build_world({"federated": {"aggregation": "ring", "cohort_size": 2}})
    with pytest.raises(InputError, match="would cross processes; train with one worker"):
        build_world({"federated": {"aggregation": "ring", "cohort_size": 9}}, team=Team(0, 2))


def test_nothing_is_in_an_empty_sum() -> None:
    sums = Sums.zero(2, (3, 1))
    assert (sums.clients, sums.saturated, sums.aborted, int(sums.query.sum()), int(sums.items.sum())) == (0,) * 5
