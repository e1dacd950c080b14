"""How a payload is laid out, and how clients are cut into chains."""

from dataclasses import replace

import numpy as np
import pytest
from chaining import setting
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.chain.collector import Collector
from spfedrec_cli.federated.aggregation.chain.terms import (
    Terms,
    broadcast_digest,
    chain_sizes,
    parts,
    payload,
    unions,
    within,
)
from spfedrec_cli.federated.wire.fixed_point import quantum_limit
from spfedrec_cli.federated.wire.messages import Broadcast, PublishedSlate


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(numbers, np.int32)


TERMS = Terms(setting(query=2, dim=2, pool=1), 0, 0, 3, ints(4, 7, 9))


def test_a_payload_by_hand() -> None:
    """Δθ_u, then rows of items 4, 7 and 9 in this order (nothing of 7), then the pool's."""
    vector = payload(TERMS, ints(1, 2), ints(9, 4), ints(30, 31, 10, 11).reshape(2, 2), ints(50, 51).reshape(1, 2))
    assert vector.tolist() == [1, 2, 10, 11, 0, 0, 30, 31, 50, 51]
    assert vector.dtype == np.int32
    assert len(vector) == TERMS.length == 2 + (3 + 1) * 2
    query, rows, pool = parts(TERMS, vector)
    assert (query.tolist(), rows.tolist(), pool.tolist()) == ([1, 2], [[10, 11], [0, 0], [30, 31]], [[50, 51]])


@pytest.mark.parametrize("items", [ints(5, 4), ints(4, 4), ints(9, 10)])
def test_items_that_are_not_the_chain_s_are_refused(items: np.ndarray[tuple[int], np.dtype[np.int32]]) -> None:
    with pytest.raises(InputError, match="in the union of its chain"):
        payload(TERMS, ints(1, 2), items, np.zeros((2, 2), np.int32), np.zeros((1, 2), np.int32))


@given(st.integers(3, 5000), st.integers(3, 1200))
def test_clients_are_cut_evenly(clients: int, length: int) -> None:
    sizes = chain_sizes(clients, length)
    assert sizes.sum() == clients
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= min(length, clients)
    assert len(sizes) == max(1, clients // length)


def test_chain_sizes_by_hand() -> None:
    assert chain_sizes(23, 5).tolist() == [5, 6, 6, 6]
    assert chain_sizes(4, 10).tolist() == [4]


def test_the_union_of_each_chain() -> None:
    """Clients 0 and 2 in chain 1, client 1 in chain 0, nobody asks for anything in chain 2."""
    found = unions(np.array([1, 0, 1, 2]), 3, np.array([2, 3, 2, 0]), ints(5, 2, 9, 0, 5, 2, 8))
    assert [each.tolist() for each in found] == [[0, 5, 9], [2, 5, 8], []]
    assert [each.tolist() for each in unions(np.array([0, 0, 0]), 1, np.zeros(3, np.int64), ints())] == [[]]


def test_two_in_a_chain_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        replace(TERMS, members=2)
    assert (
        str(caught.value)
        == "A chain of 2 protects nobody (round 1, chain 0, attempt 0); put at least 3 clients into each."
    )


def test_a_sum_that_could_overflow_is_refused() -> None:
    assert replace(TERMS, setting=setting(qmax=(2**31 - 1) // 3)).bound <= 2**31 - 1
    with pytest.raises(InputError, match="overflows 32 bits"):
        replace(TERMS, setting=setting(qmax=2**31 // 3 + 1))


def test_the_chance_that_noise_is_within_the_bound() -> None:
    """The table of docs/protocol.md: chains of 10 and of 1,000, then whole cohorts, of 9,360 coordinates."""
    for members, qmax, each in ((10, 262_143, 0.0012), (1_000, 1_048_575, 0.488), (4_096, 262_143, 0.5)):
        terms = replace(TERMS, setting=setting(query=1, dim=0, qmax=qmax), members=members)
        assert terms.blindness == pytest.approx(each, rel=0.02)
    for members, whole in ((1_000, 0.0), (2_049, 0.998), (8_192, 0.965), (32_768, 0.867)):
        qmax = quantum_limit(members)
        terms = replace(TERMS, setting=setting(query=9_360, dim=0, qmax=qmax), members=members)
        assert terms.blindness == pytest.approx(whole, abs=0.001)


def test_runs_and_broadcasts_are_named_by_32_bytes() -> None:
    with pytest.raises(InputError, match="32 bytes each"):
        replace(TERMS.setting, run=b"short")


@pytest.mark.parametrize("ids", [[1, 2], [1, 2, 2], [1, 2, 3, 4]])
def test_a_collector_has_the_members_that_its_terms_count(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="a chain of 3"):
        Collector(TERMS, ids)


def test_a_broadcast_is_named_by_all_that_is_in_it() -> None:
    floats, items, rows = np.ones(3, np.float32), ints(1, 2), np.ones((2, 2), np.float32)
    one = Broadcast(1, floats, items, rows)
    others = [
        Broadcast(2, floats, items, rows),
        Broadcast(1, 2 * floats, items, rows),
        Broadcast(1, floats, items, -rows),
    ]
    slates = [PublishedSlate(1, items, each) for each in (rows, -rows)]
    told = [(each,) for each in [one, *others]] + [(one, slate) for slate in slates]
    assert len({broadcast_digest(*each) for each in told}) == 6


@pytest.mark.parametrize(
    "numbers,fits", [(ints(), True), (ints(5, -5), True), (ints(6), False), (ints(-(2**31)), False)]
)
def test_within(numbers: np.ndarray[tuple[int], np.dtype[np.int32]], fits: bool) -> None:
    assert within(numbers, 5) is fits
