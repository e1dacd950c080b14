"""The sum of a chain is the plain sum, bit for bit, by messages and by the fast form alike."""

import threading

import numpy as np
import pytest
from chaining import Round, make_round, members, payloads, setting
from exchanges import exchanged
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.chain.chains import PIECE, Chains
from spfedrec_cli.federated.aggregation.chain.layout import message_sizes
from spfedrec_cli.federated.aggregation.chain.sources import SeededSecrets, SystemSecrets
from spfedrec_cli.federated.aggregation.chain.terms import parts
from spfedrec_cli.federated.wire import messages

SHAPES = st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 3))


@given(st.integers(0, 2**32), st.integers(3, 20), st.integers(3, 8), SHAPES, st.integers(0, 2))
@hypothesis_settings(max_examples=60, deadline=None)
def test_both_forms_give_the_plain_sum(
    seed: int, clients: int, length: int, shape: tuple[int, int, int], attempt: int
) -> None:
    rng = np.random.default_rng(seed)
    query, dim, pool = shape
    made = make_round(rng, clients, length, setting(3, query, dim, pool), attempt)
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    for places in np.array_split(rng.permutation(clients), 3):
        made.add(fast, places.tolist()) if len(places) else None
    closed = fast.close()
    assert not closed.aborted
    assert len(closed.sums) == len(made.terms)
    for number, terms in enumerate(made.terms):
        plain = np.sum([made.payload(place) for place in made.places(number)], axis=0, dtype=np.int64)
        by_messages = exchanged(terms, members(made, number), payloads(made, number)).total
        assert by_messages is not None
        np.testing.assert_array_equal(by_messages, plain)
        found = closed.sums[number]
        for one, other in zip(parts(terms, by_messages), (found.query, found.rows, found.pool), strict=True):
            np.testing.assert_array_equal(one, other)
        assert (found.members, found.chain) == (terms.members, number)
        np.testing.assert_array_equal(found.items, terms.union)


@given(st.integers(0, 2**32), st.integers(3, 9))
@hypothesis_settings(max_examples=20, deadline=None)
def test_both_forms_upload_the_same_words(seed: int, clients: int) -> None:
    """Without the last member the masks stay in the sum, and they are the same ones."""
    made = make_round(np.random.default_rng(seed), clients, clients)
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    made.add(fast, list(range(clients - 1)))
    sent = payloads(made, 0)
    del sent[int(made.clients[-1])]
    crossed = exchanged(made.terms[0], members(made, 0), sent).crossed
    words = [message.words for message in crossed if isinstance(message, messages.MaskedUpdate)]
    assert len(words) == clients - 1
    np.testing.assert_array_equal(fast._sums[0].view(np.int32), np.sum(words, axis=0, dtype=np.int32))


def test_both_forms_seal_the_same() -> None:
    """Each client's own commitment, chain by chain, in a second attempt of a second round."""
    made = make_round(np.random.default_rng(11), 11, 4, setting(2), attempt=1)
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    assert len(set(fast.commitments)) == 11
    for number, terms in enumerate(made.terms):
        crossed = exchanged(terms, members(made, number), payloads(made, number)).crossed
        sealed = [m.commitment.tobytes() for m in crossed if isinstance(m, messages.ChainCommitment)]
        assert [fast.commitments[place] for place in made.places(number)] == sealed


def test_the_largest_sum_wraps_nowhere() -> None:
    """Every coordinate at ±qmax with n · qmax = 2^31 − 2: the sum is exact, though each upload went round 2^32."""
    made = make_round(np.random.default_rng(0), 3, 3, setting(qmax=(2**31 - 1) // 3))
    made.query[:] = made.terms[0].setting.qmax
    total = exchanged(made.terms[0], members(made, 0), payloads(made, 0)).total
    assert total is not None
    assert total[:5].tolist() == [2**31 - 2] * 5


def test_a_payload_longer_than_a_piece_of_the_stream() -> None:
    made = make_round(np.random.default_rng(1), 4, 4, setting(query=2 * PIECE + 3))
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    made.add(fast, [0, 1, 2, 3])
    total = exchanged(made.terms[0], members(made, 0), payloads(made, 0)).total
    assert total is not None
    np.testing.assert_array_equal(fast.close().sums[0].query, parts(made.terms[0], total)[0])


def test_a_device_s_own_randomness_gives_the_same_sum() -> None:
    made = make_round(np.random.default_rng(2), 5, 5)
    secrets = SystemSecrets()
    by = [exchanged(made.terms[0], members(made, 0, secrets), payloads(made, 0)) for _ in range(2)]
    np.testing.assert_array_equal(by[0].total, by[1].total)  # type: ignore[arg-type]
    keys = [{m.public_key.tobytes() for m in run.crossed if isinstance(m, messages.ChainReveal)} for run in by]
    assert len(keys[0] | keys[1]) == 10


def test_threads_share_chains() -> None:
    made = make_round(np.random.default_rng(3), 24, 6)
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    workers = [threading.Thread(target=made.add, args=(fast, list(range(at, 24, 4)))) for at in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    closed = fast.close()
    total = np.sum([each.query for each in closed.sums], axis=0)
    np.testing.assert_array_equal(total, made.query.sum(0))


def test_a_silent_client_aborts_its_chain_alone() -> None:
    made = make_round(np.random.default_rng(4), 12, 4)
    silent = made.places(1)[2]
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    made.add(fast, [place for place in range(12) if place != silent])
    closed = fast.close()
    assert [each.chain for each in closed.sums] == [0, 2]
    assert [failure.missing for failure in closed.aborted] == [(int(made.clients[silent]),)]
    assert str(closed.aborted[0]) == (
        f"No masked update came from client {made.clients[silent]} (round 1, chain 1, attempt 0); "
        "nothing of this chain is used."
    )


def test_masks_that_do_not_cancel_abort_the_chain() -> None:
    made = make_round(np.random.default_rng(5), 3, 3)
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    made.add(fast, [0, 1, 2])
    fast._sums[0][3] += np.uint32(2**31)
    closed = fast.close()
    assert not closed.sums
    assert "do not cancel" in str(closed.aborted[0])


def _changed(made: Round, **changes: object) -> Round:
    return Round(**{**made.__dict__, **changes})  # type: ignore[arg-type]


def test_updates_that_do_not_fit_are_refused() -> None:
    made = make_round(np.random.default_rng(6), 3, 3)
    fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
    rows = [np.zeros((1, 2), np.int32)] * 3
    beyond = made.query + np.int32(2 * made.terms[0].setting.qmax + 1)
    absent = next(item for item in range(31) if item not in made.terms[0].union)
    wrong = {
        "another shape": _changed(made, query=made.query[:, :1]),
        "another type": _changed(made, query=made.query.astype(np.int64)),
        "beyond the range": _changed(made, query=beyond),
        "a stranger's item": _changed(made, items=[np.array([absent], np.int32)] * 3, rows=rows),
        "a negative item": _changed(made, items=[np.array([-1], np.int32)] * 3, rows=rows),
        "an item twice": _changed(made, items=[made.terms[0].union[[0, 0]]] * 3, rows=[np.zeros((2, 2), np.int32)] * 3),
    }
    for each in wrong.values():
        with pytest.raises(ValueError, match=r"awaited|within|union|twice"):
            each.add(fast, [0, 1, 2])
    made.add(fast, [0, 1, 2])
    with pytest.raises(ValueError, match="uploads twice"):
        made.add(fast, [1])
    assert len(fast.close().sums) == 1


def test_an_item_of_another_chain_is_not_found_under_any_number() -> None:
    """Places are searched in (chain, item) as one number; items outside its range must not reach a neighbour's."""
    made = make_round(np.random.default_rng(9), 6, 3)
    most = max(int(each.union.max()) for each in made.terms) + 1
    for chain, item in ((1, int(made.terms[0].union[0]) - most), (0, int(made.terms[1].union[0]) + most), (1, 10**6)):
        fast = Chains(made.terms, made.clients, made.chain_of, SeededSecrets(7))
        place = made.places(chain)[0]
        items, rows = np.array([item], np.int32), np.zeros((1, 2), np.int32)
        with pytest.raises(ValueError, match="not in the union of its client's chain"):
            fast.add(np.array([place]), made.query[[place]], np.array([0]), items, rows, made.pool[[place]])


def test_sizes_are_those_of_the_messages() -> None:
    made = make_round(np.random.default_rng(8), 5, 5, setting(pool=2))
    terms = made.terms[0]
    exchange = exchanged(terms, members(made, 0), payloads(made, 0))
    expected = message_sizes(terms.members, len(terms.union), terms.length)
    for kind, size in expected.items():
        sent = [len(messages.serialise(message)) for message in exchange.crossed if type(message) is kind]
        assert sent == [size] * 5
    assert sum(expected.values()) * 5 == sum(len(messages.serialise(message)) for message in exchange.crossed)


def test_sizes_by_hand() -> None:
    """Ten members, 258 items, 9,360 weights and rows of 16: as in the table of docs/protocol.md."""
    found = {kind.kind: size for kind, size in message_sizes(10, 258, 9_360 + 258 * 16).items()}
    ups = {"commitment": 68, "reveal": 109, "masked": 36 + 4 * 13_488}
    assert found == {"invitation": 49 + 4 * 258, "commitments": 45 + 36 * 10, "roster": 45 + 64 * 10, **ups}


@pytest.mark.parametrize("clients", [0, 1, 2])
def test_fewer_than_three_are_refused(clients: int) -> None:
    with pytest.raises(InputError, match="below 3, a sum gives away who sent what"):
        make_round(np.random.default_rng(0), clients, 3)
