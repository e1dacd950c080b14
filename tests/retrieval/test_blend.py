from typing import Any

import numpy as np
import pytest

from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval import blend
from spfedrec_cli.retrieval.blend import Weights, blended, fit, recent_purchases
from spfedrec_cli.retrieval.evaluate import evaluate, make_task

TRAIN = [(0, 3, 1, 1), (0, 1, 8, 1), (0, 3, 15, 2), (1, 2, 15, 1)]


def rows(found: Any, row: int) -> dict[int, list[float]]:
    own = slice(found.items.offsets[row], found.items.offsets[row + 1])
    return dict(zip(found.items.values[own].tolist(), found.features[own].tolist(), strict=True))


@pytest.mark.parametrize("earlier", [0, 12_000])  # from 1937 too
def test_features_by_hand(earlier: int, make_dataset: Any) -> None:
    train = [(client, item, time - earlier, purchases) for client, item, time, purchases in TRAIN]
    found = recent_purchases(make_dataset(3, 5, train), "validation")(np.array([2, 0, 1]))
    assert rows(found, 0) == {}
    # own, 1/(1 + items since), 1/(1 + weeks since), log2 purchases; item 3 was bought on two occasions, the last today.
    assert rows(found, 1) == {3: [1, 1, 1, 1], 1: [1, 1 / 2, 1 / 2, 0]}
    assert list(rows(found, 1)) == [3, 1]  # newest first
    assert rows(found, 2) == {2: [1, 1, 1, 0]}


def test_without_dates_there_are_no_weeks(make_dataset: Any) -> None:
    found = recent_purchases(make_dataset(3, 5, TRAIN, time_unit="row"), "validation")(np.array([0]))
    assert rows(found, 0) == {3: [1, 1, 0, 1], 1: [1, 1 / 2, 0, 0]}


def test_only_the_latest_own_items_are_raised(make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blend, "RECENT", 1)
    found = recent_purchases(make_dataset(3, 5, TRAIN), "validation")(np.array([0, 1]))
    assert found.items.values.tolist() == [3, 2]
    assert found.features.shape == (2, 4)


def test_scores_are_standardised_and_own_items_raised(make_dataset: Any) -> None:
    dataset = make_dataset(3, 5, TRAIN)
    plain = np.array([1, 2, 3, 4, 5], np.float32)
    scorer = blended(lambda clients: np.tile(plain, (len(clients), 1)), dataset, "validation", Weights(2, 1, 0.5, 0.25))
    base = (plain - 3) / np.sqrt(2)
    scores = scorer(np.array([0, 2], np.int32))
    gain = [0, 2 + 1 / 2 + 0.5 / 2 + 0, 0, 2 + 1 + 0.5 + 0.25, 0]
    np.testing.assert_allclose(scores, [base + gain, base], rtol=1e-6)
    constant = blended(lambda clients: np.ones((len(clients), 5), np.float32), dataset, "validation", Weights())
    assert constant(np.array([0], np.int32)).tolist() == [[0] * 5]


def shop(make_dataset: Any, repeating: bool, **options: Any) -> Any:
    """50 clients who buy one of 40 items again, or another one, in validation and test."""
    draw = np.random.default_rng(2)
    own = draw.permuted(np.tile(np.arange(40), (50, 1)), axis=1)
    train = [(c, int(own[c, place]), place, 1) for c in range(50) for place in range(5)]
    later = {
        name: [(c, int(own[c, 4 if repeating else 20]), 10 + n, 1) for c in range(50)]
        for n, name in enumerate(("validation", "test"))
    }
    return make_dataset(50, 40, train, **(later | options))


def noise(clients: Any) -> Any:
    return np.random.default_rng(7).random((50, 40)).astype(np.float32)[clients]


def test_weights_follow_what_clients_do(make_dataset: Any) -> None:
    repeating, exploring = (shop(make_dataset, repeats) for repeats in (True, False))
    weights = fit(noise, repeating)
    assert weights.own + weights.order + weights.weeks > 1
    task = make_task(repeating)
    plain, better = (
        evaluate(s, task, [10]).metrics["ndcg@10"] for s in (noise, blended(noise, repeating, "test", weights))
    )
    assert better > 2 * plain
    assert fit(noise, exploring) == Weights()


def test_what_is_fitted_is_what_is_measured(make_dataset: Any) -> None:
    dataset = shop(make_dataset, True)
    task = make_task(dataset, "validation")
    lists = blend._short_lists(noise, recent_purchases(dataset, "validation"), task)
    for weights in (Weights(), Weights(own=1.0), Weights(0.5, 2.0, 1.0, 4.0)):
        measured = evaluate(blended(noise, dataset, "validation", weights), task, [10]).metrics["ndcg@10"]
        assert lists.value(weights) == pytest.approx(measured)


def test_test_is_never_read_and_cannot_matter(make_dataset: Any) -> None:
    one, other = shop(make_dataset, True), shop(make_dataset, True, test=[])
    assert fit(noise, one) == fit(noise, other)
    assert "test" not in one.read
    blended(noise, one, "test", Weights(own=1.0))(np.arange(50))
    assert "test" not in one.read


def test_where_nothing_is_bought_again_there_is_nothing_to_blend(make_dataset: Any) -> None:
    with pytest.raises(InputError, match="nothing to blend"):
        fit(noise, shop(make_dataset, True, repeats=False))
