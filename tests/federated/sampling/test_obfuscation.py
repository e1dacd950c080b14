"""Obfuscating items: how many, which, with what probability, and the same for one client as for many."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spfedrec_cli.config import RequestConfig, validate
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import U64
from spfedrec_cli.federated.device.client import Device, Public, make_request
from spfedrec_cli.federated.sampling import obfuscation as module
from spfedrec_cli.federated.sampling.obfuscation import draw_obfuscating, popularity_weights
from spfedrec_cli.federated.simulation.devices import Devices
from spfedrec_cli.federated.simulation.memory import Memory
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.model.features import Features

ZIPF = 1 / np.arange(1, 401)


def config(rate: float = 1.0, negatives: str = "popularity", redraw: bool = False) -> RequestConfig:
    return RequestConfig(rate=rate, negatives=negatives, redraw=redraw)


def keys(clients: npt.ArrayLike, root: int = 0) -> U64:
    """Those of a simulation's devices."""
    nothing = Features((), (), torch.zeros(0, 0, dtype=torch.int64))
    return Devices(lambda: Ragged.from_rows([]), nothing, str(root)).keys(np.asarray(clients, np.int64))


def purchases(lengths: list[int], n_items: int = 400) -> Ragged:
    rng = np.random.default_rng(1)
    return Ragged.from_rows([rng.choice(n_items, length, replace=False).tolist() for length in lengths])


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.sampled_from([0.0, 0.25, 1.0, 7.0]))
@settings(max_examples=40, deadline=None)
def test_as_many_as_asked_for_distinct_and_not_ones_own(lengths: list[int], rate: float) -> None:
    own, q = purchases(lengths), ZIPF / ZIPF.sum()
    drawn = draw_obfuscating(config(rate), q, keys(np.arange(len(lengths))), own, 1)
    for row, length in enumerate(lengths):
        items = drawn.items.row(row)
        assert len(items) == min(int(np.ceil(rate * length)), 400 - length)
        assert len(set(items.tolist())) == len(items)
        assert not set(items.tolist()) & set(own.row(row).tolist())
    assert ((drawn.inclusion > 0) & (drawn.inclusion <= 1)).all()


@pytest.mark.parametrize("rate", [0.25, 3.0], ids=["tries", "race"])
def test_one_client_alone_gets_the_same(rate: float) -> None:
    own, q = purchases([5, 40, 1, 90]), ZIPF / ZIPF.sum()
    together = draw_obfuscating(config(rate), q, keys(np.array([3, 8, 9, 70])), own, 1)
    alone = draw_obfuscating(config(rate), q, keys(np.array([9])), own.take(np.array([2])), 1)
    np.testing.assert_array_equal(alone.items.values, together.items.row(2))


@pytest.mark.parametrize("threads", [2, 3, 9])
def test_any_number_of_threads_draws_the_same(threads: int) -> None:
    own, q, clients = purchases([5, 40, 1, 0, 90, 7, 2]), ZIPF / ZIPF.sum(), np.arange(7) + 30
    alone, shared = (draw_obfuscating(config(0.5), q, keys(clients), own, 1, number) for number in (1, threads))
    np.testing.assert_array_equal(shared.items.values, alone.items.values)
    np.testing.assert_array_equal(shared.inclusion, alone.inclusion)


def test_redrawn_ones_differ_by_round_and_memoised_ones_do_not() -> None:
    own, q, clients = purchases([30]), ZIPF / ZIPF.sum(), np.array([4])
    draws = {
        (redraw, round_): draw_obfuscating(config(redraw=redraw), q, keys(clients), own, round_).items.values.tolist()
        for redraw in (True, False)
        for round_ in (1, 2)
    }
    assert draws[False, 1] == draws[False, 2]
    assert draws[True, 1] != draws[True, 2]


def test_the_root_and_the_client_change_the_draw() -> None:
    own, q = purchases([30]), ZIPF / ZIPF.sum()
    base = draw_obfuscating(config(), q, keys(np.array([4])), own, 1).items.values.tolist()
    assert base != draw_obfuscating(config(), q, keys(np.array([4]), 1), own, 1).items.values.tolist()
    assert base != draw_obfuscating(config(), q, keys(np.array([5])), own, 1).items.values.tolist()


@pytest.mark.parametrize("race", [False, True], ids=["tries", "race"])
def test_inclusion_probabilities_are_true(monkeypatch: pytest.MonkeyPatch, race: bool) -> None:
    """Horvitz and Thompson: the sum of 1/probability over the drawn items estimates how many items there are."""
    monkeypatch.setattr(module, "RACE_SHARE", 10**9 if race else 0)
    weights = np.linspace(1, 3, 60)
    own = Ragged.from_rows([[0, 1, 2, 3, 4, 5]] * 4000)
    drawn = draw_obfuscating(config(), weights / weights.sum(), keys(np.arange(4000)), own, 1)
    counted = np.add.reduceat(1 / drawn.inclusion, drawn.items.offsets[:-1])
    tolerance = 4 * counted.std() / np.sqrt(len(counted))
    # Tries stop at the last accepted draw, which favours the sample a little: .75 % too many here.
    assert counted.mean() == pytest.approx(54, abs=tolerance + (0 if race else 0.02 * 54))
    assert tolerance < 2


def test_both_ways_of_drawing_follow_one_law(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.linspace(1, 5, 30)
    own = Ragged.from_rows([[29]] * 6000)
    shares = []
    for race_share in (0, 10**9):
        monkeypatch.setattr(module, "RACE_SHARE", race_share)
        drawn = draw_obfuscating(config(4.0), weights / weights.sum(), keys(np.arange(6000)), own, 1)
        shares.append(np.bincount(drawn.items.values, minlength=30) / 6000)
    assert np.abs(shares[0] - shares[1]).max() < 0.04
    assert shares[0][28] > 2.5 * shares[0][0]


def test_popularity_matched_items_are_popular_ones() -> None:
    counts = np.array([0, 0, 10, 90])
    np.testing.assert_allclose(popularity_weights(config(), counts), [0, 0, 0.1, 0.9])
    np.testing.assert_allclose(popularity_weights(config(negatives="uniform"), counts), [0.25] * 4)
    drawn = draw_obfuscating(config(3.0), np.array([0, 0, 0.1, 0.9]), keys(np.array([1])), Ragged.from_rows([[0]]), 1)
    assert sorted(drawn.items.values.tolist()) == [2, 3]  # items never sold would give the disguise away


def test_memory_gives_what_drawing_gives() -> None:
    own, q, memory = purchases([5, 40, 1, 0, 90]), ZIPF / ZIPF.sum(), Memory()
    clients = np.array([3, 8, 9, 11, 70])
    memory.recall(config(), q, clients[:3], keys(clients[:3]), own.take(np.arange(3)), 1)
    order = np.array([4, 0, 3, 2])
    recalled = memory.recall(config(), q, clients[order], keys(clients[order]), own.take(order), 2)
    drawn = draw_obfuscating(config(), q, keys(clients[order]), own.take(order), 2)
    np.testing.assert_array_equal(recalled.items.values, drawn.items.values)
    np.testing.assert_array_equal(recalled.items.offsets, drawn.items.offsets)
    np.testing.assert_array_equal(recalled.inclusion, drawn.inclusion)


def test_the_first_customer_of_the_sample_requests_eighteen_items(sample_dataset: Dataset) -> None:
    """The notebook's figures, on the whole history: 14 distinct articles, and ceil(.25 · 14) = 4 to hide them."""
    history = sample_dataset.history("train", "validation", "test")
    first = sample_dataset.client_index("000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318")
    second = sample_dataset.client_index("00007d2de826758b65a93dd24ce629ed66842531df6699338c5570910a014cc2")
    assert history.lengths[[first, second]].tolist() == [14, 110]
    uniform = popularity_weights(config(0.25, "uniform"), np.zeros(sample_dataset.n_items, np.int64))
    device = Device(first, keys([first])[0], history.row(first), torch.zeros(0, dtype=torch.int64), None)
    settings = validate({"request": {"rate": 0.25, "negatives": "uniform"}})
    public = Public(settings, Codec(1, 1), Codec(1, 1), {}, uniform, np.zeros(sample_dataset.n_items, np.float32))
    made, hidden = make_request(device, public, 1)
    assert len(made.items) == len(set(made.items.tolist())) == 18
    assert set(made.items.tolist()) == set(history.row(first).tolist()) | set(hidden)
    assert len(hidden) == 4


@pytest.mark.parametrize("own_mass", [0.05, 0.5, 0.9])
def test_ones_own_popular_purchases_do_not_bend_the_probabilities(own_mass: float) -> None:
    """One item wanted: it is drawn from what is left of q, so 1/probability counts the 396 foreign items exactly."""
    q = np.full(400, (1 - own_mass) / 396)
    q[:4] = own_mass / 4
    drawn = draw_obfuscating(
        config(0.25, redraw=True), q, keys(np.arange(50)), Ragged.from_rows([[0, 1, 2, 3]] * 50), 1
    )
    np.testing.assert_allclose(1 / drawn.inclusion, 396)


@given(
    visits=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True), min_size=1, max_size=8),
    limit=st.sampled_from([0, 5, 60, 10_000]),
)
def test_memory_changes_nothing_however_little_it_holds(visits: list[list[int]], limit: int) -> None:
    own, q, memory = purchases([5, 40, 1, 0, 90, 2, 7]), ZIPF / ZIPF.sum(), Memory(limit)
    ids = np.array([3, 8, 9, 20, 21, 40, 41])
    for round_, members in enumerate(visits, 1):
        rows = np.array(members)
        recalled = memory.recall(config(), q, ids[rows], keys(ids[rows]), own.take(rows), round_)
        drawn = draw_obfuscating(config(), q, keys(ids[rows]), own.take(rows), 0)
        assert recalled.items.offsets.tolist() == drawn.items.offsets.tolist()
        assert recalled.items.values.tolist() == drawn.items.values.tolist()
        assert recalled.inclusion.tolist() == drawn.inclusion.tolist()
    assert memory._used <= limit
