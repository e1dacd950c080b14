from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.sources.synthetic import make_purchases, make_world, tastes

Scores = npt.NDArray[np.floating]
Made = tuple[World, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]


@pytest.fixture(scope="module")
def made() -> Made:
    """World, taste, client, day, item of 6,000 customers (some 130,000 purchases)."""
    world = make_world(1, 1000)
    taste = tastes(1, world, 6000)
    return (world, taste, *make_purchases(1, world, taste))


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
    assert 19 < counts.purchases / counts.clients < 27
    assert (synthetic.truth("test").lengths > 0).sum() > 300
    assert (synthetic.truth("validation").lengths > 0).sum() > 300
    entry = synthetic.manifest.oracle
    assert entry is not None
    assert (entry.clusters, entry.purity, entry.repeat, entry.zipf) == (50, 0.8, 0.05, 1.0)
    assert synthetic.purchases("train").time.min() >= entry.first_day


def test_purchases_per_client_are_log_normal(made: Made) -> None:
    sizes = np.bincount(made[2], minlength=6000)
    assert sizes.min() >= 1
    assert np.median(sizes) == pytest.approx(9, abs=1)
    # Of log(size) where rounding does not bite: quartiles are 0.674 standard deviations from the median.
    upper = np.log(np.quantile(sizes, 0.75)) - np.log(9)
    assert upper == pytest.approx(0.674 * 1.37, rel=0.1)


def test_the_share_of_repeats_is_as_stated() -> None:
    """In a shop of so many equal items that an item is hardly ever bought twice by chance."""
    n = 200_000
    entry = make_world(0, 1000).entry.model_copy(update={"clusters": 1, "season": 0.0})
    world = World(entry, np.zeros(n, np.int32), np.ones(n), np.zeros(n))
    client, day, item = make_purchases(0, world, np.zeros(3000, np.int32))
    # Purchases are sorted by day, so that the first occurrence of a (client, item) is on its first day.
    _, first, pair = np.unique(client.astype(np.int64) * n + item, return_index=True, return_inverse=True)
    seen = day[first][pair] < day
    _, first, moment = np.unique(client, return_index=True, return_inverse=True)
    could = day[first][moment] < day
    sizes = np.bincount(client)[client]
    chance = could * (entry.repeat + 0.5 * sizes / n)  # about half of a client's purchases were made before
    assert not seen[~could].any()
    assert abs(seen.sum() - chance.sum()) < 5 * np.sqrt((chance * (1 - chance)).sum())
    assert chance.sum() == pytest.approx(0.05 * could.sum(), rel=0.1)


def test_purity_and_popularity_are_as_stated(made: Made) -> None:
    world, taste, client, day, item = made
    first = np.unique(client, return_index=True)[1]  # a first purchase is always fresh
    client, day, item = client[first], day[first], item[first]
    own = world.cluster[item] == taste[client]
    # In the own cluster: .8, and by chance .2 times the cluster's share of demand in that week.
    totals = world.totals[world.week(day)]
    expected = 0.8 + 0.2 * totals[np.arange(len(item)), taste[client]] / totals.sum(axis=1)
    assert abs(own.sum() - expected.sum()) < 5 * np.sqrt((expected * (1 - expected)).sum())


def test_popularity_falls_as_one_over_rank(made: Made) -> None:
    world, _, _, _, item = made
    counts = np.bincount(item, minlength=1000)
    assert np.sort(1 / world.popularity) == pytest.approx(np.arange(1, 1001))
    # Within a cluster sales are proportional to popularity (its seasons aside): slope 1 in logarithms, pooled.
    logs = np.log(np.maximum(counts, 1)), np.log(world.popularity)
    centred = [log - (np.bincount(world.cluster, log) / 20)[world.cluster] for log in logs]
    slope = (centred[0] * centred[1]).sum() / (centred[1] ** 2).sum()
    assert slope == pytest.approx(1, abs=0.1)


def test_purchases_follow_the_stated_probabilities(made: Made) -> None:
    world, taste, client, day, item = made
    first = np.unique(client, return_index=True)[1]
    expected = np.zeros(1000)
    everything = np.arange(1000, dtype=np.int32)
    for week in np.unique(world.week(day[first])):
        own, rest = world.fresh(everything, int(week))
        rows = first[world.week(day[first]) == week]
        per_cluster = np.bincount(taste[client[rows]], minlength=50)
        expected += per_cluster[world.cluster] * own + len(rows) * rest
    counts = np.bincount(item[first], minlength=1000)
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    # Some 999 degrees of freedom: standard deviation sqrt(2 * 999) = 45.
    assert abs(chi_square - 999) < 5 * 45


def test_features_carry_the_cluster(synthetic: Dataset) -> None:
    world = make_world(0, 1000)
    kinds, sections, colours = synthetic.item_codes.T
    # 95 % faithful, and of the others one in fifty by chance: .951, with standard deviation .007 over 1,000 items.
    assert (kinds - 1 == world.cluster).mean() == pytest.approx(0.951, abs=0.035)
    assert (sections - 1 == world.cluster // 5).all()
    assert abs(np.corrcoef(colours, world.cluster)[0, 1]) < 0.16


def test_the_same_customers_come_first_in_a_larger_shop() -> None:
    world = make_world(3, 100)
    few, many = (make_purchases(3, world, tastes(3, world, n)) for n in (20, 40))
    kept = many[0] < 20
    assert all((a == b[kept]).all() for a, b in zip(few, many, strict=True))


def test_the_seed_changes_everything() -> None:
    one, two = make_world(0, 100), make_world(1, 100)
    assert (one.cluster != two.cluster).any()
    assert (one.popularity != two.popularity).any()
    assert (one.phase != two.phase).any()
    assert (tastes(0, one, 50) != tastes(1, one, 50)).any()


def popularity(dataset: Dataset, clients: npt.NDArray[np.int64], last_days: int = 10**6) -> Scores:
    train = dataset.purchases("train")
    recent = train.take(train.time > train.time.max() - last_days)
    return np.tile(np.bincount(recent.item, recent.quantity, dataset.n_items), (len(clients), 1))


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
def test_nobody_beats_the_oracle(
    synthetic: Dataset, scorer: Callable[[Dataset, npt.NDArray[np.int64]], Scores]
) -> None:
    clients = np.flatnonzero(synthetic.truth("test").lengths)
    best = ndcg(synthetic.oracle_scores(clients), synthetic, clients)
    other = ndcg(scorer(synthetic, clients), synthetic, clients)
    lead = best - other
    # The lead is a mean over some 850 clients; "more than noise" is three of its standard errors.
    assert lead.mean() > -3 * lead.std() / np.sqrt(len(lead))
    assert best.mean() > 2 * ndcg(popularity(synthetic, clients), synthetic, clients).mean()


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
