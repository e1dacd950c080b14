"""The second stage as part of a run: trained, resumed, evaluated, served."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine import Progress, TrainResult, checkpoint, load, scoring
from spfedrec_cli.engine.own_lists import own_lists, ranker_of, second_stage_of
from spfedrec_cli.engine.second_stage import check_second_stage, labelled_weeks
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.strategies.ranking import first_ranking, ranking_round
from spfedrec_cli.retrieval.second_stage import ALONE, TOWERS
from spfedrec_cli.second_stage.features import FEATURES

Make = Callable[..., Config]
STAGE = [
    "second_stage.form=linear",
    "second_stage.rounds=5",
    "second_stage.cohort_size=60",
    "second_stage.label_weeks=4",
    "second_stage.popular=20",
]


@pytest.fixture(scope="module")
def both(shop: Dataset, config: Make, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """Towers and a second stage."""
    return engine.train(shop, config(*STAGE), tmp_path_factory.mktemp("runs") / "both")


def at(round_: int) -> Callable[[Progress], None]:
    """Presses Ctrl-C in a round of the second stage."""

    def press(progress: Progress) -> None:
        if progress.stage == "second stage" and progress.round == round_:
            os.kill(os.getpid(), signal.SIGINT)

    return press


def test_it_leaves_the_towers_as_they_are(both: TrainResult, trained: TrainResult) -> None:
    first, second = (checkpoint.load_state(each.run, 6)[0] for each in (trained, both))
    assert first.ranking is None
    assert second.ranking is not None
    assert all(torch.equal(first.item[name], second.item[name]) for name in first.item)
    assert both.bytes_up == trained.bytes_up
    assert both.state_sha256 != trained.state_sha256


def test_what_it_came_to_is_told(both: TrainResult) -> None:
    told = both.second_stage
    assert told is not None
    assert (told.rounds, told.client_updates) == (5, 300)
    assert 0 < told.validation["ndcg@10"] <= 1
    lines = run.records(both.run / "second_stage.jsonl")
    assert [line["round"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["loss"] < lines[0]["loss"]
    ledger = [line for line in run.records(both.run / "ledger.jsonl") if line["round"] > 1 << 30]
    for direction, total in (("up", told.bytes_up), ("down", told.bytes_down)):
        assert sum(line["bytes"] for line in ledger if line["direction"] == direction) == total
    assert max(line["largest"] for line in ledger if line["kind"] == "ranker_update") < 20_000


@pytest.mark.parametrize("stopped", [1, 3])
def test_resuming_in_the_middle_comes_to_the_same_bits(
    both: TrainResult, shop: Dataset, config: Make, tmp_path: Path, stopped: int
) -> None:
    with pytest.raises(engine.Interrupted, match=f"round {stopped + 1} of 5 of the second stage is saved"):
        engine.train(shop, config(*STAGE), tmp_path / "run", at(stopped))
    found = engine.resume(tmp_path / "run")
    assert found.state_sha256 == both.state_sha256
    assert found.second_stage == replace(both.second_stage, seconds=found.second_stage.seconds)  # type: ignore
    for name in ("second_stage.jsonl", "ledger.jsonl"):
        one, two = (run.records(folder / name) for folder in (both.run, tmp_path / "run"))
        assert [{**line, "seconds": 0} for line in one] == [{**line, "seconds": 0} for line in two]


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    "more",
    [["train.threads=3"], ["train.workers=3", "second_stage.form=network"]],
    ids=["threads", "workers, a network"],
)
def test_any_number_of_workers_and_threads_comes_to_the_same_bits(
    shop: Dataset, config: Make, tmp_path: Path, more: list[str]
) -> None:
    same = [each for each in more if each.startswith("second_stage")]
    one = engine.train(shop, config(*STAGE, *same), tmp_path / "one")
    two = engine.train(shop, config(*STAGE, *more), tmp_path / "two")
    assert one.state_sha256 == two.state_sha256
    assert one.second_stage == replace(two.second_stage, seconds=one.second_stage.seconds)  # type: ignore


def test_chains_come_to_the_same_bits(both: TrainResult, shop: Dataset, config: Make, tmp_path: Path) -> None:
    ring = ["federated.aggregation=ring", "federated.chain_length=5"]
    chained = engine.train(shop, config(*STAGE, *ring), tmp_path / "run")
    assert chained.state_sha256 == both.state_sha256


def test_a_prolonged_run_keeps_it_and_fits_the_mix_anew(
    both: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    engine.train(shop, config(*STAGE, "train.rounds=4"), tmp_path / "run")
    longer = engine.resume(tmp_path / "run", rounds=6)
    assert longer.state_sha256 == both.state_sha256
    assert len(run.records(tmp_path / "run" / "second_stage.jsonl")) == 5


def test_the_weights_follow_from_what_devices_hold_of_train(both: TrainResult, shop: Dataset, config: Make) -> None:
    world = load.load_world(shop, config(*STAGE))
    state, labelled = checkpoint.load_state(both.run, 6)[0].ranking, labelled_weeks(shop, world)
    assert state is not None
    found = first_ranking(world, labelled)
    for _ in range(5):
        found, _ = ranking_round(found, world, labelled)
    assert torch.equal(found.weights, state.weights)
    assert torch.equal(found.weeks, state.weeks)


def shop_whose_end_is(turned: int, folder: Path) -> Dataset:
    """60 customers who buy 3 of 20 articles in each of 12 weeks; in the last two, what customer i + `turned` would."""
    draw, lines = np.random.default_rng(0), ["who,what,day"]
    bought = np.array(
        [[draw.choice(20, 3, p=np.arange(1, 21) / 210, replace=False) for _ in range(12)] for _ in range(60)]
    )
    for customer, week in np.ndindex(60, 12):
        whose = (customer + turned) % 60 if week >= 10 else customer
        day = np.datetime64("2024-01-01") + 7 * week + customer % 7
        lines += [f"c{customer:02},a{article:02},{day}" for article in bought[whose, week]]
    folder.mkdir()
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    columns = {"customer": "who", "item": "what", "time": "day"}
    prepare("table", folder / "table.csv", folder / "shop", columns=columns, repeats=True)
    return Dataset.open(folder / "shop")


def test_what_is_bought_from_validation_on_changes_no_weight(config: Make, tmp_path: Path) -> None:
    """Purchases of validation and test are put into other hands: weights and public sums stay to the bit."""
    found = []
    for turned in (0, 1):
        dataset = shop_whose_end_is(turned, tmp_path / f"by-{turned}")
        done = engine.train(dataset, config(*STAGE), tmp_path / f"run-{turned}")
        found.append((dataset, checkpoint.load_state(done.run, 6)[0].ranking))
    (one, first), (other, second) = found
    assert one.fingerprint != other.fingerprint
    assert one.item_ids == other.item_ids
    assert first is not None
    assert second is not None
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.weeks, second.weeks)
    assert int(first.weeks.sum()) > 0


def test_evaluate_puts_it_beside_the_run(both: TrainResult) -> None:
    report = engine.evaluate(both.run, second_stage=True, baselines=["repeat_often"])
    assert set(report.second_stage) == set(report.metrics)
    assert set(report.beside) == {"second-stage", "repeat_often"}
    assert report.second_stage_mix in {ALONE, TOWERS} or sum(report.second_stage_mix) > 1
    kept = json.loads((both.run / "evaluation.json").read_text())["test/full/all"]
    assert kept["second_stage"] == report.second_stage
    pairs = engine.compare([f"{both.run}:second-stage", both.run]).pairs
    difference = report.second_stage["ndcg@10"] - report.metrics["ndcg@10"]
    assert pairs[0].differences["ndcg@10"].mean == pytest.approx(difference)


def test_it_is_not_measured_where_its_mix_is_fitted(both: TrainResult) -> None:
    with pytest.raises(InputError, match="cannot be measured there; evaluate it on test"):
        engine.evaluate(both.run, split="validation", second_stage=True)


def test_a_run_without_one_says_so(trained: TrainResult) -> None:
    with pytest.raises(InputError, match=r"has no second stage.*second_stage\.rounds"):
        engine.evaluate(trained.run, second_stage=True)


def test_one_that_is_not_finished_is_not_served(shop: Dataset, config: Make, tmp_path: Path) -> None:
    with pytest.raises(engine.Interrupted):
        engine.train(shop, config(*STAGE), tmp_path / "run", at(2))
    with pytest.raises(InputError, match=r"is not finished.*--resume"):
        engine.evaluate(tmp_path / "run", second_stage=True)
    customer = shop.client_id(int(shop.clients_with_history()[0]))
    with pytest.raises(InputError, match="is not finished"):
        engine.recommend(tmp_path / "run", [customer], second_stage=True)
    assert engine.recommend(tmp_path / "run", [customer])[0].items


def test_recommend_ranks_by_it(both: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    """A list is the best of its scores; towers alone are ranked when asked for."""
    client = int(shop.clients_with_history()[3])
    world = load.load_world(shop, load.load_config(both.run))
    state = checkpoint.load_state(both.run, both.best_round)[0]
    every = ("train", "validation", "test")
    ranker = ranker_of(shop, world.config, second_stage_of(both.run, world.config))
    towers = scoring.scorer(world, state, shop.history(*every).take)
    scores = own_lists(ranker, shop, towers, *every)(np.array([client], np.int32))[0]
    best = [shop.item_id(int(item)) for item in np.argsort(-scores, kind="stable")[:12]]
    (found,) = engine.recommend(both.run, [shop.client_id(client)])
    assert [item.article_id for item in found.items] == best
    (alone,) = engine.recommend(both.run, [shop.client_id(client)], second_stage=False)
    by_towers = np.argsort(-towers(np.array([client], np.int32))[0], kind="stable")[:12]
    assert [item.article_id for item in alone.items] == [shop.item_id(int(item)) for item in by_towers]
    engine.recommend_all(both.run, tmp_path / "all.csv")
    rows = [line.split(",") for line in (tmp_path / "all.csv").read_text().splitlines()[1:]]
    assert [row[2] for row in rows if row[0] == shop.client_id(client)] == best


def test_export_writes_weights_and_features(both: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    engine.export(both.run, tmp_path / "out")
    with safe_open(tmp_path / "out" / "second_stage.safetensors", "pt") as file:
        features, weights = json.loads(file.metadata()["features"]), file.get_tensor("weights")
        assert file.get_tensor("ever").shape == (shop.n_items,)
    assert len(weights) == len(features) + 1
    assert {feature["known_by"] for feature in features} == {"device", "everybody"}
    assert {feature["name"] for feature in features} >= set(FEATURES) - {"share"}


@pytest.mark.parametrize(
    "setting, words",
    [
        ("second_stage.form=deep", "second_stage.form = 'deep' does not fit"),
        ("second_stage.loss=hinge", "second_stage.loss = 'hinge' does not fit"),
        ("second_stage.siblings=colur", "is no field of the Dataset's items"),
        ('second_stage.without=["habitt"]', "did you mean habit"),
        ("second_stage.label_weeks=500", "go back further"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    shop: Dataset, config: Make, tmp_path: Path, setting: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        engine.train(shop, config("second_stage.rounds=5", setting), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_label_weeks_that_are_named_in_a_refusal_fit(shop: Dataset, config: Make) -> None:
    with pytest.raises(InputError) as refused:
        check_second_stage(config("second_stage.rounds=1", "second_stage.label_weeks=500"), shop)
    fitting = (refused.value.hint or "").removeprefix("set ")
    check_second_stage(config("second_stage.rounds=1", fitting), shop)


def test_a_dataset_without_weeks_learns_from_last_purchases(
    sample_dataset: Dataset, config: Make, tmp_path: Path
) -> None:
    """Leave-one-out, no days, and nobody buys twice."""
    made = resolve("sample", settings=["second_stage.rounds=4", "second_stage.label_weeks=3"])
    done = engine.train(sample_dataset, made, tmp_path / "run")
    assert done.second_stage is not None
    report = engine.evaluate(done.run, second_stage=True)
    assert set(report.second_stage) == set(report.metrics)


def test_where_nobody_buys_twice_lists_hold_nothing_bought(tmp_path: Path, config: Make) -> None:
    lines = ["who,what,day"]
    draw = np.random.default_rng(0)
    for customer in range(60):
        for place, article in enumerate(draw.choice(50, 12, replace=False)):
            lines.append(f"c{customer},a{article},{np.datetime64('2024-01-01') + 6 * place}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    prepare(
        "table", tmp_path / "table.csv", tmp_path / "shop", columns={"customer": "who", "item": "what", "time": "day"}
    )
    dataset = Dataset.open(tmp_path / "shop")
    assert not dataset.repeats
    done = engine.train(dataset, config("second_stage.rounds=3", "second_stage.label_weeks=2"), tmp_path / "run")
    report = engine.evaluate(done.run, second_stage=True, ks=[5])
    assert 0 <= report.second_stage["ndcg@5"] <= 1
    (found,) = engine.recommend(done.run, ["c1"])
    bought = {dataset.item_id(int(item)) for item in dataset.history("train", "validation", "test").row(1)}
    assert not bought & {item.article_id for item in found.items}


def test_own_weights_are_in_no_upload_and_in_no_checkpoint(
    both: TrainResult, shop: Dataset, config: Make, tmp_path: Path
) -> None:
    """With them, everything that crosses and is kept is the same, to the bit; lists are others."""
    own = engine.train(shop, config(*STAGE, "second_stage.personal=20"), tmp_path / "run")
    one, two = (run.records(each.run / "ledger.jsonl") for each in (both, own))
    assert one == two
    first, second = (second_stage_of(each.run, load.load_config(each.run)) for each in (both, own))
    tensors = second.tensors()
    assert tensors.keys() == first.tensors().keys()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in first.tensors().items() if "mix" not in name)
    assert all(client.size(0) != shop.n_clients for client in tensors.values())
    plain, corrected = (engine.evaluate(each.run, second_stage=True).second_stage for each in (both, own))
    assert plain != corrected


def test_own_weights_come_to_the_same_after_a_resume(shop: Dataset, config: Make, tmp_path: Path) -> None:
    settings = config(*STAGE, "second_stage.personal=20")
    whole = engine.train(shop, settings, tmp_path / "whole")
    with pytest.raises(engine.Interrupted):
        engine.train(shop, settings, tmp_path / "run", at(2))
    assert engine.resume(tmp_path / "run").state_sha256 == whole.state_sha256
    one, two = (engine.evaluate(folder, second_stage=True).second_stage for folder in (whole.run, tmp_path / "run"))
    assert one == two


def test_a_rehearsal_tells_of_it(both: TrainResult, shop: Dataset, config: Make) -> None:
    told = engine.rehearse(shop, config(*STAGE)).second_stage
    assert told is not None
    assert (told.rounds, told.clients) == (5, 60)
    assert told.seconds > told.seconds_a_round > 0
    ledger = [line for line in run.records(both.run / "ledger.jsonl") if line["round"] > 1 << 30]
    sizes = {line["kind"]: line["largest"] for line in ledger}
    assert told.bytes_up == sizes["ranker_update"]
    assert told.bytes_down == sizes["ranker"]
    assert told.bytes_once == sizes["weeks"]
    assert engine.rehearse(shop, config()).second_stage is None
