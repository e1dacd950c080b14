from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Raw, Request
from spfedrec_cli.data.sources import synthetic as source
from spfedrec_cli.data.sources.synthetic import make_shop, read
from spfedrec_cli.data.sources.synthetic_world import make_world

Scores = npt.NDArray[np.floating]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """10,000 customers, since only one in twenty buys in the last week."""
    made = prepare("synthetic", None, tmp_path_factory.mktemp("data") / "busy", customers=10_000)
    return Dataset.open(made.dataset)


def ndcg(scores: Scores, dataset: Dataset, clients: npt.NDArray[np.int64], k: int = 10) -> npt.NDArray[np.float64]:
    """Per client; ties go to the lower item."""
    truth = dataset.truth("test")
    gains = 1 / np.log2(np.arange(k) + 2)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = [np.isin(row, truth.row(client)) for row, client in zip(top, clients, strict=True)]
    best = [gains[: min(k, int(truth.lengths[client]))].sum() for client in clients]
    return np.asarray([gains[hit].sum() for hit in hits]) / np.asarray(best, np.float64)


def test_the_shape_of_the_shop(synthetic: Dataset) -> None:
    counts, split = synthetic.manifest.counts, synthetic.manifest.split
    assert (counts.clients, counts.items) == (2000, 1000)
    assert (split.validation_from, split.test_from, split.end) == ("2020-09-09", "2020-09-16", "2020-09-22")
    assert 20 < counts.purchases / counts.clients < 27
    assert 0.03 < (synthetic.truth("test").lengths > 0).mean() < 0.08
    assert 0.03 < (synthetic.truth("validation").lengths > 0).mean() < 0.08
    entry = synthetic.manifest.oracle
    assert entry is not None
    assert (entry.clusters, entry.purity, entry.weeks) == (50, 0.8, 105)
    assert synthetic.purchases("train").time.min() > entry.first_day
    assert synthetic.purchases("train").purchases.max() > 1


def test_the_fields_are_those_of_hm(synthetic: Dataset) -> None:
    assert [field.name for field in synthetic.item_fields] == [
        *("product_type", "product_group", "graphical_appearance", "colour", "perceived_colour"),
        *("department", "index", "section", "garment_group"),
    ]
    names = [field.name for field in synthetic.client_fields]
    assert names == ["age_bucket", "club_status", "news_frequency", "fn", "active"]


def test_features_carry_the_cluster(synthetic: Dataset) -> None:
    # 95 % faithful, and of the others one in fifty by chance: .951, with standard deviation .007 over 1,000 items.
    assert (synthetic.item_codes[:, 0] - 1 == make_world(0, 1000).cluster).mean() == pytest.approx(0.951, abs=0.035)


@pytest.fixture(scope="module")
def raw() -> Raw:
    return read(Request((), 0, 200, 100))


def test_raw_purchases_name_customers_and_articles(raw: Raw) -> None:
    shop = make_shop(Request((), 0, 200, 100))
    assert raw.client.indices.type == raw.item.indices.type == "int32"
    assert raw.client.dictionary.equals(raw.clients.ids)
    assert raw.item.dictionary.equals(raw.items.ids)
    assert (raw.client.indices.to_numpy() == shop.sold.client).all()
    assert (raw.time.dtype, raw.price.dtype) == (np.int32, np.float32)
    assert raw.quantity is None
    assert raw.channel is not None
    assert (raw.channel.dtype, set(raw.channel)) == (np.int8, {1, 2})


def test_a_price_is_the_articles_in_its_week(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_shop(Request((), 0, 200, 100))
    place = len(raw.price) // 2
    item, week = shop.sold.item[place], shop.world.week(shop.sold.day[place])
    assert raw.price[place] == np.float32(shop.cents[item, week] / 59_000)
    monkeypatch.setattr(source, "_SLICE", 1000)
    assert (read(Request((), 0, 200, 100)).price == raw.price).all()


def test_another_seed_makes_another_shop(raw: Raw) -> None:
    other = read(Request((), 1, 200, 100))
    assert not raw.clients.ids.equals(other.clients.ids)
    assert (raw.item.indices.to_numpy()[:500] == other.item.indices.to_numpy()[:500]).mean() < 0.3
    assert not (raw.price[:500] == other.price[:500]).all()


def popularity(dataset: Dataset, clients: npt.NDArray[np.int64], last_days: int = 10**6) -> Scores:
    train = dataset.purchases("train")
    recent = train.take(train.time > train.time.max() - last_days)
    return np.tile(np.bincount(recent.item, recent.purchases, dataset.n_items), (len(clients), 1))


def recent_popularity(dataset: Dataset, clients: npt.NDArray[np.int64]) -> Scores:
    return popularity(dataset, clients, 28)


def repeat_last(dataset: Dataset, clients: npt.NDArray[np.int64]) -> Scores:
    scores = popularity(dataset, clients) * 1e-9
    history = dataset.history("train", "validation").take(clients)
    scores[history.row_index(), history.values] += 1 + history.position()
    return scores


def same_product_type(dataset: Dataset, clients: npt.NDArray[np.int64]) -> Scores:
    history, kinds = dataset.history("train", "validation"), dataset.item_codes[:, 0]
    counts = np.zeros((dataset.n_clients, kinds.max() + 1))
    np.add.at(counts, (history.row_index(), kinds[history.values]), 1)
    return (counts[clients][:, kinds] + 0.1) * popularity(dataset, clients)


def item_to_item(dataset: Dataset, clients: npt.NDArray[np.int64]) -> Scores:
    """EASE: ridge regression of each item on all others (Steck 2019)."""
    history = dataset.history("train", "validation")
    seen = np.zeros((dataset.n_clients, dataset.n_items))
    seen[history.row_index(), history.values] = 1
    inverse = np.linalg.inv(seen.T @ seen + 200 * np.eye(dataset.n_items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return seen[clients] @ weights


SCORERS = [popularity, recent_popularity, repeat_last, same_product_type, item_to_item]


@pytest.mark.parametrize("scorer", SCORERS)
def test_nobody_beats_the_oracle(busy: Dataset, scorer: Callable[[Dataset, npt.NDArray[np.int64]], Scores]) -> None:
    clients = np.flatnonzero(busy.truth("test").lengths)
    best = ndcg(busy.oracle_scores(clients), busy, clients)
    other = ndcg(scorer(busy, clients), busy, clients)
    lead = best - other
    # The lead is a mean over some 540 clients; "more than noise" is three of its standard errors.
    assert lead.mean() > -3 * lead.std() / np.sqrt(len(lead))
    assert best.mean() > 2 * ndcg(popularity(busy, clients), busy, clients).mean()


def test_the_oracle_knows_which_week_it_scores(synthetic: Dataset) -> None:
    clients = np.flatnonzero(synthetic.truth("test").lengths)[:5]
    for splits in (("train",), ("train", "validation")):
        scores = synthetic.oracle_scores(clients, splits)
        assert scores.shape == (5, 1000)
        assert scores.dtype == np.float32
        assert scores.sum(axis=1) == pytest.approx(np.ones(5), rel=1e-5)
    assert (synthetic.oracle_scores(clients, ("train",)) != synthetic.oracle_scores(clients)).any()


def test_leave_one_out_has_no_oracle(tmp_path: Path) -> None:
    prepare("synthetic", None, tmp_path / "out", split="leave-one-out", customers=100, items=100)
    dataset = Dataset.open(tmp_path / "out")
    assert not dataset.has_oracle
    assert not (tmp_path / "out" / "oracle.parquet").exists()
