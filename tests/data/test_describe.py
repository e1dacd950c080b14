import json
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.describe import describe, example_client
from spfedrec_cli.data.prepare import prepare

WriteHm = Callable[..., Path]


@pytest.fixture
def dataset(hm_folder: Path, tmp_path: Path) -> Dataset:
    prepare("hm", hm_folder, tmp_path / "out")
    return Dataset.open(tmp_path / "out")


def test_numbers_by_hand(dataset: Dataset) -> None:
    told = describe(dataset)
    assert (told["purchases"], told["clients"], told["items"]) == (6, 3, 4)
    assert told["splits"] == {"train": 3, "validation": 1, "test": 2}
    assert (told["buyers"], told["items_sold"]) == (2, 3)
    # a bought 10 and 20, c bought 99 and 20: 4 of 3 * 4 pairs.
    assert told["sparsity"] == pytest.approx(1 - 4 / 12)
    # a made 4 purchases (10 three times), c made 2.
    assert told["purchases_per_client"]["mean"] == 3
    assert (told["purchases_per_client"]["min"], told["purchases_per_client"]["max"]) == (2, 4)
    assert told["histogram"] == [0, 1, 1]
    assert [(row["article_id"], row["purchases"]) for row in told["top_items"]] == [  # one was never sold
        ("0000000010", 3),
        ("0000000020", 2),
        ("0000000099", 1),
    ]
    assert told["top_items"][0]["name"] == "Strap top"
    assert (told["cold_client_share"], told["cold_item_share"]) == (0, 0)


def test_volume_and_repetition_by_hand(dataset: Dataset) -> None:
    told = describe(dataset)
    assert told["weeks"][0] == {"from": "2020-08-01", "purchases": 3}
    assert told["weeks"][-2:] == [{"from": "2020-09-09", "purchases": 1}, {"from": "2020-09-16", "purchases": 2}]
    # a bought 2, 1 and 1 on three days, c 1 and 1 on two; the 90th percentile lies 0.6 of the way from 1 to 2.
    assert told["baskets"] == {"count": 5, "mean": 6 / 5, "median": 1, "p90": pytest.approx(1.6)}
    # One row of five is of two purchases; the second of these is one of six purchases; a bought 10 again in September.
    assert told["quantity_above_one_share"] == 1 / 5
    assert told["exact_repeat_share"] == 1 / 6
    assert told["bought_again_share"] == 1 / 5


def test_weeks_hold_every_purchase_and_end_with_the_held_out_ones(synthetic: Dataset) -> None:
    told = describe(synthetic)
    volume = [week["purchases"] for week in told["weeks"]]
    assert sum(volume) == told["purchases"]
    assert volume[-2:] == [told["splits"]["validation"], told["splits"]["test"]]
    assert [week["from"] for week in told["weeks"][-2:]] == [
        told["split"]["validation_from"],
        told["split"]["test_from"],
    ]


def test_without_dates_nothing_is_said_of_them(sample: Dataset) -> None:
    told = describe(sample)
    assert (told["weeks"], told["baskets"], told["bought_again_share"]) == (None, None, None)
    assert (told["quantity_above_one_share"], told["exact_repeat_share"]) == (0, 0)


@pytest.mark.parametrize("name", ["sample", "synthetic"])
def test_it_is_json(name: str, request: pytest.FixtureRequest) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    assert json.loads(json.dumps(describe(dataset)))["name"] == name


def test_the_example_has_a_history_and_ground_truth(synthetic: Dataset) -> None:
    client = synthetic.client_index(example_client(synthetic))
    assert synthetic.history("train").lengths[client] > 0
    assert synthetic.truth("test").lengths[client] > 0


def test_where_all_ground_truth_is_cold_the_example_has_a_history_at_least(write_hm: WriteHm, tmp_path: Path) -> None:
    rows = [("2020-08-01", "a", "10", "1"), ("2020-09-22", "b", "10", "1")]
    prepare("hm", write_hm(rows), tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert example_client(dataset) == "a" * 64
    assert describe(dataset)["cold_client_share"] == 1
