import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli.data.dataset import Dataset, Field
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.errors import InputError

WriteHm = Callable[..., Path]


@pytest.fixture
def dataset(write_hm: WriteHm, tmp_path: Path) -> Dataset:
    folder = write_hm(
        [
            ("2020-07-01", "a", "20", "1"),
            ("2020-07-02", "a", "10", "1"),
            ("2020-07-02", "a", "30", "1"),
            ("2020-07-03", "a", "20", "1"),
            ("2020-09-10", "a", "10", "1"),
            ("2020-09-10", "b", "30", "1"),
            ("2020-09-20", "a", "30", "1"),
            ("2020-09-22", "a", "10", "1"),
            ("2020-09-22", "a", "30", "1"),
            ("2020-09-22", "c", "10", "1"),
        ]
    )
    prepare("hm", folder, tmp_path / "out")
    return Dataset.open(tmp_path / "out")


def rows(ragged: object) -> list[list[int]]:
    return [ragged.row(i).tolist() for i in range(len(ragged))]  # type: ignore[attr-defined, arg-type]


def test_history_is_in_the_order_of_the_last_purchase(dataset: Dataset) -> None:
    # a bought 20, 10, 30, 20 in train: 20 moves to the end; then 10 again in validation.
    assert rows(dataset.history("train")) == [[0, 2, 1], [], []]
    assert rows(dataset.history("train", "validation")) == [[2, 1, 0], [2], []]
    assert rows(dataset.history("validation", "train")) == rows(dataset.history("train", "validation"))


def test_truth_is_a_set(dataset: Dataset) -> None:
    assert rows(dataset.truth("test")) == [[0, 2], [], [0]]
    assert rows(dataset.truth("validation")) == [[0], [2], []]


def test_clients_with_history(dataset: Dataset) -> None:
    assert dataset.clients_with_history().tolist() == [0]
    assert dataset.clients_with_history("train", "validation").tolist() == [0, 1]
    assert dataset.manifest.counts.cold_clients == 1


def test_splits_must_be_known_and_distinct(dataset: Dataset) -> None:
    for splits in ((), ("train", "train"), ("tset",)):
        with pytest.raises(ValueError, match="splits must be"):
            dataset.history(*splits)


def test_purchases_carry_their_prices_and_can_be_written_to(dataset: Dataset) -> None:
    train = dataset.purchases("train")
    assert train.price.tolist() == [1, 1, 1, 1]
    assert train.price.dtype == np.float32
    assert train.quantity.dtype == np.int16
    assert train.client.flags.writeable  # torch warns about arrays that are not


def test_fields(dataset: Dataset) -> None:
    assert dataset.item_fields == (Field("product_type", 4), Field("colour", 3))
    assert dataset.client_fields[0] == Field("age_bucket", 2)


def test_ids(dataset: Dataset) -> None:
    assert dataset.item_index(["10", "0000000030"]).tolist() == [0, 2]
    assert dataset.client_index("b" * 64) == 1
    with pytest.raises(InputError, match="did you mean 0000000010"):
        dataset.item_index(["11"])
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        dataset.client_index("b")
    with pytest.raises(InputError, match="does not hold a customer"):
        dataset.client_index("d" * 64)


def test_no_oracle(dataset: Dataset) -> None:
    assert not dataset.has_oracle
    with pytest.raises(InputError, match="best possible recommender is not known"):
        dataset.oracle_scores(np.array([0]))


def test_the_fingerprint_follows_the_content(dataset: Dataset, tmp_path: Path) -> None:
    prepare("hm", tmp_path / "hm", tmp_path / "same")
    assert Dataset.open(tmp_path / "same").fingerprint == dataset.fingerprint
    prepare("hm", tmp_path / "hm", tmp_path / "other", seed=1, customers=2)
    assert Dataset.open(tmp_path / "other").fingerprint != dataset.fingerprint


def test_what_is_not_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist .*spfedrec prepare"):
        Dataset.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not a Dataset: it has no dataset.json"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"schema_version": 1}', "cannot be read"),
        ('{"schema_version": 2}', "has schema version 2, and this program reads 1"),
    ],
)
def test_a_manifest_of_another_kind(dataset: Dataset, content: str, message: str) -> None:
    (dataset.path / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Dataset.open(dataset.path)


def test_a_missing_or_changed_file(dataset: Dataset) -> None:
    with (dataset.path / "items.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"was changed .*items.parquet"):
        Dataset.open(dataset.path)
    (dataset.path / "items.parquet").unlink()
    with pytest.raises(InputError, match=r"is missing .*items.parquet"):
        Dataset.open(dataset.path)


def test_keys_of_a_later_version_are_read_past(dataset: Dataset) -> None:
    file = dataset.path / "dataset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "novelty": 1}))
    assert Dataset.open(dataset.path).manifest == dataset.manifest


def test_a_split_as_a_frame_has_the_ids_of_the_source(dataset: Dataset) -> None:
    frame = dataset.frame("validation")
    assert frame["article_id"].tolist() == [dataset.item_ids[item] for item in dataset.purchases("validation").item]
    assert frame["customer_id"].tolist() == [dataset.client_ids[c] for c in dataset.purchases("validation").client]
    assert list(frame.columns) == ["customer_id", "article_id", "time", "quantity", "price"]
