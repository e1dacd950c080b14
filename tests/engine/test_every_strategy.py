"""Whatever the strategy: a run that resumes, spreads over workers, is evaluated, recommends and exports alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import TrainResult
from spfedrec_cli.federated.strategies.central import COLLECTED
from spfedrec_cli.federated.strategies.table import STRATEGIES

Make = Callable[..., Config]
OTHERS = [name for name in STRATEGIES if name != "split"]


@pytest.fixture(scope="module", params=OTHERS)
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def done(strategy: str, shop: Dataset, config: Make, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    chosen = config(f"federated.strategy={strategy}", "train.rounds=4")
    return engine.train(shop, chosen, tmp_path_factory.mktemp("runs") / strategy)


def test_a_resumed_run_ends_in_the_same_bits(
    done: TrainResult, strategy: str, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    short = engine.train(shop, config(f"federated.strategy={strategy}", "train.rounds=2"), tmp_path / "run")
    assert engine.resume(short.run, rounds=4).state_sha256 == done.state_sha256


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("negatives", ["public", "request", "both"])
def test_workers_come_to_the_same_bits(
    strategy: str, negatives: str, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    settings = [f"federated.strategy={strategy}", f"client.negatives={negatives}", "train.rounds=2"]
    one, two = (
        engine.train(shop, config(*settings, f"train.workers={count}"), tmp_path / str(count)) for count in (1, 2)
    )
    unlike = {"run": one.run, "clients_per_second": one.clients_per_second}
    assert replace(two, **unlike) == one
    assert run.records(one.run / "ledger.jsonl") == run.records(two.run / "ledger.jsonl")


def test_everything_behind_training_works(done: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    report = engine.evaluate(done.run, baselines=True)
    assert report.checkpoint_round == done.best_round
    assert 0 <= report.metrics["ndcg@10"] <= 1
    (found,) = engine.recommend(done.run, [shop.client_ids[0]], k=5)
    assert len(found.items) == 5
    exported = engine.export(done.run, tmp_path / "exported")
    assert exported


def test_what_crossed(done: TrainResult, strategy: str) -> None:
    crossed = {row.kind: row for row in engine.crossed(done.run)}
    assert list(crossed) == {"central": [], "full": ["fields", "model", "delta"]}[strategy]
    assert (done.bytes_up > 0, done.bytes_down > 0) == ((True, True) if crossed else (False, False))


def test_a_central_run_says_that_nothing_is_private(done: TrainResult, strategy: str) -> None:
    said = [record["warning"] for record in run.records(done.run / "metrics.jsonl")]
    if strategy == "central":
        assert COLLECTED in said[0]
        assert said.count(COLLECTED) <= 1
        assert COLLECTED in done.warnings
    else:
        assert COLLECTED not in done.warnings


def test_a_dry_run(strategy: str, shop: Dataset, config: Make) -> None:
    told = engine.rehearse(shop, config(f"federated.strategy={strategy}"))
    assert (told.bytes_up > 0, told.multiply_adds > 0) == (strategy == "full", strategy == "full")
