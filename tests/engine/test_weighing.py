"""γ of ranking, chosen on validation: from the checkpoint to the lists."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, ModelConfig
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import checkpoint, load, scoring
from spfedrec_cli.engine.weighing import FARTHEST, climb, weight_of
from spfedrec_cli.errors import InputError
from spfedrec_cli.model.prior import log_sales
from spfedrec_cli.retrieval.evaluate import evaluate, make_task

Make = Callable[..., Config]
CHOSEN = ("model.prior=0.5", "model.prior_in=ranking", "model.prior_choice=validation")


def hill(top: int, asked: list[int]) -> Callable[[int], dict[str, float]]:
    def measure(steps: int) -> dict[str, float]:
        asked.append(steps)
        return {"ndcg@10": 1 - 0.01 * abs(steps - top)}

    return measure


@pytest.mark.parametrize("start, top", [(0, 0), (0, 3), (0, -4), (5, 2), (-12, -12), (-12, -9)])
def test_it_climbs_to_the_top_and_measures_nothing_twice(start: int, top: int) -> None:
    asked: list[int] = []
    found, scores = climb(hill(top, asked), start, "ndcg@10")
    assert (found, scores["ndcg@10"]) == (top, 1.0)
    assert len(asked) == len(set(asked)) <= abs(top - start) + 3


@pytest.mark.parametrize("top", [99, -99])
def test_it_stops_at_the_farthest(top: int) -> None:
    assert climb(hill(top, []), 0, "ndcg@10")[0] == FARTHEST * (1 if top > 0 else -1)


def test_of_equal_ones_it_stays() -> None:
    assert climb(lambda steps: {"ndcg@10": 0.5}, 2, "ndcg@10")[0] == 2


def test_two_steps_are_twice_the_weight() -> None:
    assert [weight_of(ModelConfig(prior=0.25), steps) for steps in (0, 2, -2)] == pytest.approx([0.25, 0.5, 0.125])


def test_the_checkpoint_holds_what_was_best_and_lists_follow_it(shop: Dataset, config: Make, tmp_path: Path) -> None:
    """Nobody else's γ is better by one step, and what evaluation finds is what the training said."""
    done = engine.train(shop, config(*CHOSEN), tmp_path / "run")
    dataset, world = load.open_run(done.run)
    state, tally = checkpoint.load_state(done.run, done.best_round)
    assert done.prior == tally.prior == pytest.approx(float(state.prior))  # type: ignore[arg-type]
    task = make_task(shop, "validation")
    found = evaluate(scoring.model_scorer(dataset, world, state, "validation"), task, [10]).metrics
    assert found == done.validation
    rounds = [each for each in run.records(done.run / "metrics.jsonl") if each["round"] == done.best_round]
    assert rounds[0]["prior"] == done.prior


def test_it_never_touches_the_towers(shop: Dataset, config: Make, tmp_path: Path) -> None:
    fixed, chosen = (
        engine.train(shop, config(*CHOSEN[:2], *more), tmp_path / name)
        for name, more in (("fixed", []), ("chosen", [CHOSEN[2]]))
    )
    ours, theirs = (checkpoint.load_state(each.run, 6)[0] for each in (chosen, fixed))
    assert all(bool((ours.item[name] == theirs.item[name]).all()) for name in theirs.item)
    assert all(bool((ours.query[name] == theirs.query[name]).all()) for name in theirs.query)
    assert chosen.validation["ndcg@10"] >= fixed.validation["ndcg@10"]


def test_a_resumed_run_goes_on_with_it(shop: Dataset, config: Make, tmp_path: Path) -> None:
    whole = engine.train(shop, config(*CHOSEN, "train.eval_every=2"), tmp_path / "whole")
    engine.train(shop, config(*CHOSEN, "train.eval_every=2", "train.rounds=4"), tmp_path / "parts")
    parts = engine.resume(tmp_path / "parts", rounds=6)
    assert (parts.state_sha256, parts.prior) == (whole.state_sha256, whole.prior)


def test_without_a_prior_there_is_nothing_to_choose(shop: Dataset, config: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.prior = 0 means none"):
        engine.train(shop, config("model.prior_choice=validation"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_lists_and_exports_follow_the_chosen_weight(shop: Dataset, config: Make, tmp_path: Path) -> None:
    """Validation chooses another weight than that of the settings, by which nobody may rank then."""
    done = engine.train(shop, config("model.prior=3", *CHOSEN[1:]), tmp_path / "run")
    dataset, world = load.open_run(done.run)
    state, _ = checkpoint.load_state(done.run, done.best_round)
    assert done.prior is not None
    assert abs(done.prior - 3) > 0.5
    scores = scoring.model_scorer(dataset, world, state, "test")(np.arange(1, dtype=np.int32))[0]
    (listed,) = engine.recommend(done.run, customers=[dataset.client_id(0)], k=5, exclude_seen=False)
    engine.export(done.run, tmp_path / "out")
    vectors = {
        name: np.stack(pq.read_table(tmp_path / "out" / f"{name}.parquet")["embedding"].to_numpy())
        for name in ("clients", "items")
    }
    places = [dataset.item_index([each.article_id])[0] for each in listed.items]
    exported = vectors["clients"][0] @ vectors["items"].T
    assert [each.score for each in listed.items] == pytest.approx(exported[places], abs=1e-5)
    prior = 0.1 * done.prior * log_sales(state.sales.numpy())  # type: ignore[union-attr]
    np.testing.assert_allclose(vectors["items"][:, -1], prior, atol=1e-5)
    assert scores.shape == exported.shape
