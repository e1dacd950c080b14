import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.rng import distinct, permuted, philox, quads, uniform, uniform_own, uniform_ragged, uniform_rows

# Salmon et al., Random123, file kat_vectors: philox4x32 10 rounds.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("counter, key, expected", KNOWN_ANSWERS)
def test_philox_known_answers(counter: str, key: str, expected: str) -> None:
    columns = np.array(words(counter), np.uint64)[:, None].repeat(2, axis=1)
    low, high = words(key)
    assert philox(columns, (low, high)).T.tolist() == [words(expected)] * 2


def test_one_client_alone_gets_the_numbers_of_the_cohort() -> None:
    clients = np.array([5, 2**40 + 5, 0, 7])
    cohort = uniform(3, "mask", clients[:, None], 9, np.arange(4))
    assert cohort.shape == (4, 4)
    for row, client in enumerate(clients):
        for index in range(4):
            assert uniform(3, "mask", client, 9, index) == cohort[row, index]
    assert len(np.unique(cohort)) == 16


@given(st.lists(st.integers(0, 2**40), max_size=5), st.integers(0, 2**20), st.integers(0, 13))
def test_rows_are_the_same_draws(clients: list[int], round_: int, width: int) -> None:
    rows = uniform_rows(2, "mask", np.array(clients, np.uint64), round_, width)
    each = uniform(2, "mask", np.array(clients, np.uint64)[:, None], round_, np.arange(width))
    assert rows.shape == (len(clients), width)
    assert (rows == each).all()


@pytest.mark.parametrize("n", [0, 1, 20_000])
def test_quads_are_the_same_draws(n: int) -> None:
    clients, places = np.arange(n) * 2**33, np.arange(n) % 7
    drawn = quads(2, "mask", clients, places)
    assert drawn.shape == (4, n)
    for nth in range(4):
        assert (drawn[nth] == uniform(2, "mask", clients, 0, 4 * places + nth)).all()


@pytest.mark.parametrize(
    "seed, stream, round_", [(1, "mask", 0), (0, "other", 0), (0, "mask", 1)], ids=["seed", "stream", "round"]
)
def test_each_part_of_the_address_changes_the_draws(seed: int, stream: str, round_: int) -> None:
    here = uniform(0, "mask", np.arange(100), 0)
    there = uniform(seed, stream, np.arange(100), round_)
    assert not np.isin(here, there).any()


def test_draws_are_uniform() -> None:
    n, cells = 200_000, 100
    draws = uniform(0, "uniformity", np.arange(n // 100)[:, None], 0, np.arange(100)).ravel()
    counts = np.histogram(draws, cells, (0.0, 1.0))[0]
    chi_square = float(((counts - n / cells) ** 2 / (n / cells)).sum())
    # 99 degrees of freedom: mean 99, standard deviation sqrt(2 * 99) = 14.1; five of those either way.
    assert 99 - 70 < chi_square < 99 + 70
    # The mean of n draws has standard deviation 1 / sqrt(12 n) = 0.00065.
    assert abs(draws.mean() - 0.5) < 0.0033
    assert draws.min() > 0
    assert draws.max() < 1


def test_neighbouring_clients_are_not_correlated() -> None:
    draws = uniform(0, "uniformity", np.arange(100_001))
    # A correlation of n pairs has standard deviation 1 / sqrt(n) = 0.0032.
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.016


@given(st.integers(0, 2**31), st.integers(1, 300), st.integers(0, 350))
def test_distinct_members_ascend_within_the_population(seed: int, population: int, size: int) -> None:
    drawn = distinct(seed, "pool", population, size)
    assert len(drawn) == min(size, population)
    assert (np.diff(drawn) > 0).all()
    assert ((drawn >= 0) & (drawn < population)).all()


@pytest.mark.parametrize("population, size", [(100, 10), (30, 20)], ids=["sparse", "dense"])
def test_distinct_takes_each_member_equally_often(population: int, size: int) -> None:
    draws = 3000
    counts = np.bincount(
        np.concatenate([distinct(0, "pool", population, size, round_) for round_ in range(draws)]), minlength=population
    )
    share = size / population
    # Each count is binomial(draws, share): none of the members is five standard deviations away.
    assert np.abs(counts - draws * share).max() < 5 * np.sqrt(draws * share * (1 - share))


def test_distinct_changes_with_round_and_seed() -> None:
    here = distinct(0, "pool", 1000, 20)
    assert here.tolist() != distinct(0, "pool", 1000, 20, 1).tolist()
    assert here.tolist() != distinct(1, "pool", 1000, 20).tolist()
    assert here.tolist() == distinct(0, "pool", 1000, 20).tolist()


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6), round_=st.integers(0, 5))
def test_ragged_draws_are_the_addressed_ones(lengths: list[int], round_: int) -> None:
    clients = [7 * place + 2**33 * (place % 2) for place in range(len(lengths))]
    found = uniform_ragged(3, "x", clients, round_, lengths)
    expected = [
        float(uniform(3, "x", client, round_, index))
        for client, length in zip(clients, lengths, strict=True)
        for index in range(length)
    ]
    assert found.tolist() == expected


@given(st.integers(1, 3000), st.integers(0, 99), st.integers(0, 99))
def test_permuted_is_a_permutation(population: int, seed: int, round_: int) -> None:
    found = permuted(seed, "cohort", population, np.arange(population), round_)
    assert sorted(found.tolist()) == list(range(population))


def test_permuted_places_can_be_asked_for_apart() -> None:
    whole = permuted(3, "cohort", 1000, np.arange(1000), 2)
    assert permuted(3, "cohort", 1000, [7, 999, 0], 2).tolist() == whole[[7, 999, 0]].tolist()


def test_permuted_depends_on_seed_stream_and_round() -> None:
    found = [
        tuple(permuted(seed, stream, 500, np.arange(500), round_))
        for seed, stream, round_ in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))
    ]
    assert len(set(found)) == 4


def test_permuted_puts_everybody_everywhere() -> None:
    """Where item 0 of 10 stands, over 4,000 rounds: 400 times at each place, within five standard deviations (95)."""
    first = [int(np.flatnonzero(permuted(0, "a", 10, np.arange(10), round_) == 0)[0]) for round_ in range(4000)]
    assert np.abs(np.bincount(first, minlength=10) - 400).max() < 95


def test_a_device_draws_by_its_key_alone() -> None:
    """One device gets what it gets beside others; another key, stream or round gives other numbers."""
    keys = np.array([[1, 2], [3, 4], [2**32 - 1, 0]], np.uint64)
    together = uniform_own(keys, 6, 9, 7)
    assert together.shape == (3, 7)
    np.testing.assert_array_equal(together[1], uniform_own(keys[1:2], 6, 9, 7)[0])
    np.testing.assert_array_equal(together[:, :3], uniform_own(keys, 6, 9, 3))
    others = [uniform_own(keys, 7, 9, 7), uniform_own(keys, 6, 10, 7), uniform_own(keys[::-1], 6, 9, 7)]
    assert all((together[0] != other[0]).all() for other in others)
    assert ((together > 0) & (together < 1)).all()
