"""A run with a prior: from one secure sum to the lists, whatever the strategy and the mode."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from spfedrec_cli import engine
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import TrainResult, checkpoint, load, scoring
from spfedrec_cli.engine.everybody import recommend_all
from spfedrec_cli.errors import InputError
from spfedrec_cli.model.prior import log_sales

Make = Callable[..., Config]
GAMMA, DECAYED = "model.prior=0.7", "request.prior_half_life=14"
WAYS: dict[str, list[str]] = {
    "paper": [],
    "its own obfuscating items": ["client.negatives=request"],
    "uniform obfuscating items": ["request.negatives=uniform"],
    "slate": ["request.mode=slate", "request.slate_size=60", "client.private_state=none"],
    "catalogue": ["request.mode=catalogue"],
    "full": ["federated.strategy=full"],
    "central": ["federated.strategy=central"],
    "decayed": [DECAYED],
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lifted(way: str, shop: Dataset, config: Make, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return engine.train(shop, config(GAMMA, *WAYS[way]), tmp_path_factory.mktemp("runs") / "lifted")


def sales_of_train(shop: Dataset, half_life: float | None) -> np.ndarray:
    """Written out: a client counts once for an item; by age, 2^(−age/half_life) for its last purchase, in 1/1024."""
    frame = shop.frame("train").groupby(["customer_id", "article_id"], as_index=False)["time"].max()
    age = (frame["time"].max() - frame["time"]).dt.days
    counts = 1.0 if half_life is None else (1024 * 2 ** (-age / half_life)).round() / 1024
    by_item = frame.assign(count=counts).groupby("article_id")["count"].sum()
    return by_item.reindex(shop.item_ids, fill_value=0).to_numpy()


def told(result: TrainResult) -> set[str]:
    return {row.kind for row in engine.crossed(result.run)}


def test_scores_are_cosines_and_the_prior_of_training_sales(lifted: TrainResult, way: str, shop: Dataset) -> None:
    """Sales of train alone: neither validation nor test is in the prior."""
    dataset, world = load.open_run(lifted.run)
    state, _ = checkpoint.load_state(lifted.run, lifted.best_round)
    items = scoring.item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    history = dataset.history("train", "validation").take(np.arange(9))
    cosines = scoring.client_queries(world, state, np.arange(9), history, items)[:, :-1] @ items.T
    assert float(cosines.abs().max()) <= 1 + 1e-5
    sales = sales_of_train(shop, 14 if way == "decayed" else None)
    assert state.sales is not None
    np.testing.assert_allclose(state.sales, sales)
    found = scoring.model_scorer(dataset, world, state, "test")(np.arange(9, dtype=np.int32))
    np.testing.assert_allclose(found, cosines.numpy() + 0.1 * 0.7 * log_sales(sales), atol=1e-5)


def test_the_export_reproduces_the_lists(lifted: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    engine.export(lifted.run, tmp_path / "out")
    queries, items = (
        np.stack(pq.read_table(tmp_path / "out" / f"{name}.parquet")["embedding"].to_numpy())
        for name in ("clients", "items")
    )
    assert items.shape == (shop.n_items, 9)
    scores = queries @ items.T
    more = load_file(tmp_path / "out" / "item_tower.safetensors")["prior"]
    np.testing.assert_array_equal(items[:, -1], more.numpy())
    found = engine.recommend(lifted.run, shop.client_ids[:20], k=5)
    for row, one in enumerate(found):
        listed = shop.item_index([item.article_id for item in one.items])
        np.testing.assert_allclose([item.score for item in one.items], scores[row, listed], atol=1e-5)
        assert scores[row, listed].min() >= np.delete(scores[row], listed).max() - 1e-5
    recommend_all(lifted.run, tmp_path / "all.parquet", k=5)
    everybody = pq.read_table(tmp_path / "all.parquet")["article_id"].to_pylist()
    assert everybody[:20] == [[item.article_id for item in one.items] for one in found]


def test_a_stranger_gets_the_prior_too(lifted: TrainResult, shop: Dataset) -> None:
    (found,) = engine.recommend(lifted.run, history=[shop.item_ids[3]])
    assert len(found.items) == 12


def test_evaluate_says_what_training_said(lifted: TrainResult) -> None:
    report = engine.evaluate(lifted.run, split="validation", ks=(10,))
    assert {name: report.metrics[name] for name in lifted.validation} == pytest.approx(lifted.validation)


def test_the_sum_and_its_result_cross(lifted: TrainResult, way: str) -> None:
    crossed = {"popularity", "counts"} & told(lifted)
    assert crossed == (set() if way == "central" else {"popularity", "counts"})


def test_a_resumed_run_ends_in_the_same_bits(
    lifted: TrainResult, way: str, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    short = engine.train(shop, config(GAMMA, *WAYS[way], "train.rounds=3"), tmp_path / "run")
    assert engine.resume(short.run, rounds=6).state_sha256 == lifted.state_sha256


@pytest.mark.parametrize(
    "more, crossed",
    [
        (["request.negatives=uniform"], {"popularity"}),
        (["request.mode=slate", "client.private_state=none"], {"popularity"}),
        (["federated.strategy=full"], {"popularity"}),
        ([], {"popularity", "counts"}),
    ],
)
def test_clients_are_told_what_they_need_alone(
    more: list[str], crossed: set[str], shop: Dataset, config: Make, tmp_path: Path
) -> None:
    """In ranking alone the prior is no business of theirs; they may draw by popularity all the same."""
    result = engine.train(shop, config(GAMMA, "model.prior_in=ranking", "train.rounds=1", *more), tmp_path / "run")
    assert {"popularity", "counts"} & told(result) == crossed


def test_a_prior_of_ranking_alone_changes_lists_and_no_weight(
    trained: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    result = engine.train(shop, config(GAMMA, "model.prior_in=ranking"), tmp_path / "run")
    ours, theirs = (checkpoint.load_state(each.run, 6)[0] for each in (result, trained))
    assert all(torch.equal(ours.item[name], theirs.item[name]) for name in ours.item)
    assert result.validation != trained.validation


def test_a_decayed_prior_is_a_sum_of_its_own(shop: Dataset, config: Make, tmp_path: Path) -> None:
    """Beside the one that obfuscating items are drawn by; alone where nobody draws. Both engines sum the same."""
    sums, digests = [], []
    for number, more in enumerate(([], ["request.negatives=uniform"], ["train.engine=reference"])):
        result = engine.train(shop, config(GAMMA, DECAYED, "train.rounds=1", *more), tmp_path / str(number))
        crossed = {row.kind: row.count for row in engine.crossed(result.run)}
        trained = int((shop.history("train").lengths > 0).sum())
        sums.append((crossed["popularity"] / trained, crossed["counts"] / trained))
        state, _ = checkpoint.load_state(result.run, 1)
        assert (state.popularity is None) == (number == 1)
        digests.append(state.server.decayed.tolist())
    assert sums == [(2, 2), (1, 1), (2, 2)]
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("strategy", ["split", "full"])
def test_workers_come_to_the_same_bits(strategy: str, shop: Dataset, config: Make, tmp_path: Path) -> None:
    """And so does a run that begins again, by several processes, from a checkpoint that has the sums."""
    settings = [GAMMA, DECAYED, f"federated.strategy={strategy}"]
    one, two = (
        engine.train(shop, config(*settings, "train.rounds=2", f"train.workers={count}"), tmp_path / str(count))
        for count in (1, 2)
    )
    assert one.state_sha256 == two.state_sha256
    assert engine.resume(one.run, rounds=3).state_sha256 == engine.resume(two.run, rounds=3).state_sha256


def test_decay_needs_days(sample_dataset: Dataset, shop: Dataset, config: Make, tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(f"item,count\n{shop.item_ids[0]},3\n")
    given = f"request.popularity={tmp_path / 'counts.csv'}"
    with pytest.raises(InputError, match="names a file instead"):
        engine.train(shop, config(GAMMA, DECAYED, given), tmp_path / "run")
    with pytest.raises(InputError, match="knows only an order"):
        engine.train(sample_dataset, config(GAMMA, DECAYED), tmp_path / "run")
