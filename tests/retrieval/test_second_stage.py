"""Lists by the second stage: candidates first, the towers behind, and the mix that validation chooses."""

from dataclasses import replace

import numpy as np
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.retrieval.evaluate import make_task
from spfedrec_cli.retrieval.index import top_k
from spfedrec_cli.retrieval.second_stage import (
    ALONE,
    MIXES,
    TOWERS,
    Ranker,
    day_after,
    fit_mix,
    known_before,
    listed_by,
    own_layers,
    ranked_by,
)
from spfedrec_cli.second_stage.examples import Catalogue, examples
from spfedrec_cli.second_stage.features import columns
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.personal import Personal, corrected


def a_ranker(dataset: Dataset, repeats: bool = True, **weights: float) -> Ranker:
    """A linear one with these weights of features, 0 of all others."""
    shop = Catalogue(dataset.n_items, columns([], np.zeros((dataset.n_items, 0), np.int32), days=True), repeats)
    given = np.array([weights.get(label, 0.0) for label in shop.columns.labels] + [0.0])
    return Ranker("linear", 1, given, shop, popular=5, retrieved=7, weeks=6)


def towers(dataset: Dataset) -> F32:
    return np.random.default_rng(1).normal(size=(dataset.n_clients, dataset.n_items)).astype(np.float32)


def test_candidates_stand_first_and_all_others_as_the_towers_rank_them(synthetic_dataset: Dataset) -> None:
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    known = known_before(a_ranker(dataset), dataset, "train")
    clients = dataset.clients_with_history()[:20]
    found = ranked_by(a_ranker(dataset, count=1.0), known, lambda some: scores[some], dataset.n_items)(clients)
    for row, client in enumerate(clients.tolist()):
        own = set(known.rows.items.row(client).tolist())
        candidates = own | set(known.public.popular[0].tolist()) | set(np.argsort(-scores[client])[:7].tolist())
        order = np.argsort(-found[row], kind="stable")
        assert set(order[: len(candidates)].tolist()) == candidates
        others = order[len(candidates) :]
        assert others.tolist() == [
            item for item in np.argsort(-scores[client], kind="stable") if item not in candidates
        ]


def test_by_the_count_alone_a_list_is_what_was_bought_most_often(synthetic_dataset: Dataset) -> None:
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    known = known_before(a_ranker(dataset), dataset, "train")
    clients = dataset.clients_with_history()[:20]
    found = ranked_by(a_ranker(dataset, count=1.0), known, lambda some: scores[some], dataset.n_items)(clients)
    for row, client in enumerate(clients.tolist()):
        mine = slice(*known.rows.items.offsets[client : client + 2])
        counts = np.bincount(known.rows.items.values[mine], known.rows.counts[mine], minlength=dataset.n_items)
        assert counts[found[row].argmax()] == counts.max()


def test_towers_alone_are_the_towers(synthetic_dataset: Dataset) -> None:
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    ranker = replace(a_ranker(dataset, count=1.0), mix=TOWERS)
    clients = np.arange(5, dtype=np.int32)
    known = known_before(ranker, dataset, "train")
    found = ranked_by(ranker, known, lambda some: scores[some], dataset.n_items)(clients)
    np.testing.assert_array_equal(found, scores[:5])


def test_what_was_bought_is_no_candidate_where_nobody_buys_twice(synthetic_dataset: Dataset) -> None:
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    ranker = a_ranker(dataset, repeats=False, sales_ever=1.0)
    known = known_before(ranker, dataset, "train")
    (client,) = dataset.clients_with_history()[:1]
    found = ranked_by(ranker, known, lambda some: scores[some], dataset.n_items)(np.array([client], np.int32))[0]
    first = set(np.argsort(-found)[:7].tolist())
    assert not first & set(known.rows.items.row(int(client)).tolist())


def test_the_mix_is_that_of_the_best_lists_on_validation(synthetic_dataset: Dataset) -> None:
    """Towers that know what is bought next are left alone; towers of noise are left out."""
    dataset = synthetic_dataset
    truth, task = dataset.truth("validation"), make_task(dataset, "validation")
    knowing = np.zeros((dataset.n_clients, dataset.n_items), np.float32)
    knowing[truth.row_index(), truth.values] = 1.0
    by_noise, by_truth = a_ranker(dataset, count_7=-1.0), a_ranker(dataset, count_62=1.0)

    def noise(clients: I32) -> F32:
        return -towers(dataset)[clients]

    mix, value = fit_mix(by_noise, dataset, lambda clients: knowing[clients])
    assert mix[1] > 0
    assert value > 0.9
    alone, reached = fit_mix(by_truth, dataset, noise)
    assert alone in MIXES
    assert reached > 0
    assert len(task.clients) > 0
    assert MIXES[0] == ALONE  # the first of equal ones


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_so_many_places_are_for_what_is_new(synthetic_dataset: Dataset, share: float) -> None:
    """Both kinds keep their own order; of the first places the stated share is new, as long as there is any of both."""
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    plain = a_ranker(dataset, count=1.0, sales_ever=0.1)
    known = known_before(plain, dataset, "train")
    clients = dataset.clients_with_history()[:20]
    lists = [
        np.argsort(-ranked_by(each, known, lambda some: scores[some], dataset.n_items)(clients), axis=1, kind="stable")
        for each in (plain, replace(plain, explore=share))
    ]
    for row, client in enumerate(clients.tolist()):
        own = known.rows.items.row(client)
        first, mixed = (each[row] for each in lists)
        for kind in (True, False):
            before, after = (each[np.isin(each, own) == kind] for each in (first[:10], mixed))
            assert after[: len(before)].tolist() == before.tolist()
        length = min(len(np.unique(own)), int(5 / share))
        new = ~np.isin(mixed[:length], own)
        assert new.sum() == int(length * share)


def test_the_first_places_can_stay_as_they_are(synthetic_dataset: Dataset) -> None:
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    plain = a_ranker(dataset, count=1.0, sales_ever=0.1)
    known = known_before(plain, dataset, "train")
    clients = dataset.clients_with_history()[:20]
    lists = [
        listed_by(each, known, lambda some: scores[some], dataset.n_items)(clients, 12)[0]
        for each in (plain, replace(plain, explore=0.9, explore_after=5), replace(plain, explore=0.9))
    ]
    np.testing.assert_array_equal(lists[0][:, :5], lists[1][:, :5])
    own = [known.rows.items.row(client) for client in clients.tolist()]
    new = [[int((~np.isin(row[5:], mine)).sum()) for row, mine in zip(each, own, strict=True)] for each in lists]
    assert sum(new[1]) > sum(new[0])
    assert not np.array_equal(lists[1], lists[2])


@pytest.mark.parametrize("splits", [("train",), ("train", "validation"), ("train", "validation", "test")])
def test_nothing_of_later_splits_is_known(synthetic_dataset: Dataset, splits: tuple[str, ...]) -> None:
    day, ranker = day_after(synthetic_dataset, splits), a_ranker(synthetic_dataset)
    known = known_before(ranker, synthetic_dataset, *splits)
    assert day is not None
    assert int(known.rows.day.max()) < day
    assert known.day.tolist() == [day] * synthetic_dataset.n_clients


def test_a_dataset_without_weeks_has_a_day_for_each_client(sample_dataset: Dataset) -> None:
    assert day_after(sample_dataset, ("train",)) is None
    ranker = a_ranker(sample_dataset)
    known = known_before(ranker, sample_dataset, "train", "validation")
    assert len(known.day) == sample_dataset.n_clients
    assert known.public.week.sum() == 0
    assert known.public.ever.sum() == len(sample_dataset.history("train").values)


@pytest.mark.parametrize("k", [1, 12, 150])
@pytest.mark.parametrize("explore", [0.0, 0.25])
def test_the_first_of_a_list_are_those_of_the_whole_order(synthetic_dataset: Dataset, k: int, explore: float) -> None:
    """By the candidates alone where there are enough, else by all items; also where some items are left out."""
    dataset, scores = synthetic_dataset, towers(synthetic_dataset)
    ranker = replace(a_ranker(dataset, count=1.0, sales_ever=0.1), explore=explore, mix=(1.0, 0.5))
    known = known_before(ranker, dataset, "train")
    clients = dataset.clients_with_history()[:20]
    whole = ranked_by(ranker, known, lambda some: scores[some], dataset.n_items)(clients)
    best = listed_by(ranker, known, lambda some: scores[some], dataset.n_items)
    dropped = np.random.default_rng(0).random(whole.shape) < 0.1
    for excluded in (None, dropped):
        items, values = best(clients, k, excluded)
        expected = top_k(whole, k, excluded)
        np.testing.assert_array_equal(items, expected[0])
        np.testing.assert_array_equal(values, expected[1])


@pytest.mark.parametrize("form", ["linear", "network"])
def test_devices_correct_the_last_layer_on_their_own_label_weeks(synthetic_dataset: Dataset, form: str) -> None:
    """Each alone as by numpy, and nothing of validation is in it."""
    dataset = synthetic_dataset
    how = Personal(5, 0.1, "softmax")
    plain = replace(a_ranker(dataset, count=1.0), form=form, hidden=4, personal=how, label_weeks=4)
    width = FORMS[form].width(len(plain.shop.columns), 4)
    ranker = replace(plain, weights=np.random.default_rng(0).normal(size=width))
    known, clients = known_before(ranker, dataset, "train"), dataset.clients_with_history()[:100]
    own = own_layers(ranker, how, known, clients)
    assert known.moments is not None
    assert known.then is not None
    changed = 0
    for client, layer in zip(clients.tolist(), own, strict=True):
        lists = examples(known.rows, np.array([client]), known.moments, known.then, ranker.shop)
        entering, shared = FORMS[form].last(ranker.weights, lists.x, 4)
        np.testing.assert_allclose(layer, corrected(lists, entering, shared, how), atol=1e-6)
        changed += bool(np.abs(layer - shared).max() > 1e-4)
    assert changed > 5
    day = day_after(dataset, ("train",))
    assert day is not None
    assert max(known.moments.starts) + 7 == day
