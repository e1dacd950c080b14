import os
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli import files
from spfedrec_cli.data import hashes, schema
from spfedrec_cli.data.dataset import Dataset, Field
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.purchases import concatenate
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
    assert (train.purchases.dtype, train.pieces.dtype) == (np.int32, np.int64)
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
    prepare("hm", tmp_path / "hm", tmp_path / "other", seed=5, customers=2)
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
        ('{"schema_version": 3}', "cannot be read"),
        ('{"schema_version": 1}', "has schema version 1, and this program reads 3"),
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
    reseal(dataset.path, novelty=1)
    assert Dataset.open(dataset.path).manifest == dataset.manifest


def reseal(folder: Path, **more: object) -> Dataset:
    """The Dataset with its files as they are now, as if it had been prepared so."""
    content = files.read_json(folder / "dataset.json") | more
    content["files"] = {name: files.hash_of(folder / name) for name in content["files"]}
    content["sizes"] = {name: (folder / name).stat().st_size for name in content["sizes"]}
    files.write_json(folder / "dataset.json", files.sealed(content))
    return Dataset.open(folder)


def test_a_description_that_was_changed(dataset: Dataset) -> None:
    file = dataset.path / "dataset.json"
    file.write_text(file.read_text().replace('"repeats": true', '"repeats": false'))
    with pytest.raises(InputError, match="description of the Dataset cannot be read"):
        Dataset.open(dataset.path)


def test_the_description_is_in_the_fingerprint_and_the_name_is_not(dataset: Dataset) -> None:
    assert reseal(dataset.path, name="other").fingerprint == dataset.fingerprint
    assert reseal(dataset.path, time_unit="second").fingerprint != dataset.fingerprint


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "name", ["train.parquet", "test.parquet", "items.parquet", "clients.parquet", "negatives.parquet"]
)
def test_a_flipped_bit_is_found_on_opening(dataset: Dataset, name: str) -> None:
    flipped(dataset.path / name)
    with pytest.raises(InputError, match=rf"was changed .*{name}"):
        Dataset.open(dataset.path)


def test_files_are_hashed_once(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was just written is hashed again; so is one whose time is another, or all where nothing is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hashed: list[str] = []
    known = files.hash_of

    def hash_of(path: Path, size: int | None = None) -> str:
        hashed.append(path.name)
        return known(path, size)

    monkeypatch.setattr(files, "hash_of", hash_of)
    every = sorted(dataset.manifest.files)

    def opened() -> list[str]:
        hashed.clear()
        Dataset.open(dataset.path)
        return sorted(hashed)

    assert opened() == opened() == every
    monkeypatch.setattr(hashes, "_SETTLED", 0)
    assert opened() == every
    assert opened() == []
    assert hashes.cache_file().stat().st_mode & 0o077 == 0
    os.utime(dataset.path / "items.parquet")
    assert opened() == ["items.parquet"]
    hashes.cache_file().write_text("{")
    assert opened() == every
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert opened() == opened() == every


def test_a_dataset_that_is_exchanged_while_it_is_in_use(dataset: Dataset) -> None:
    file = dataset.path / "train.parquet"
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    copy.replace(file)
    with pytest.raises(InputError, match=r"exchanged while it was in use .*train.parquet"):
        dataset.history("train")


def test_a_split_as_a_frame_has_the_ids_of_the_source(dataset: Dataset) -> None:
    frame = dataset.frame("validation")
    assert frame["article_id"].tolist() == [dataset.item_ids[item] for item in dataset.purchases("validation").item]
    assert frame["customer_id"].tolist() == [dataset.client_ids[c] for c in dataset.purchases("validation").client]
    assert list(frame.columns) == ["customer_id", "article_id", "time", "purchases", "pieces", "price"]


@pytest.fixture(params=["sample", "synthetic", "movielens"])
def any_dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    if request.param == "movielens":
        prepare("movielens", request.getfixturevalue("movielens_folder"), tmp_path / "movielens")
        return Dataset.open(tmp_path / "movielens")
    dataset: Dataset = request.getfixturevalue(request.param)
    return dataset


@pytest.mark.parametrize("splits", [("train",), ("train", "validation"), schema.SPLITS])
def test_a_later_split_goes_on_where_the_earlier_ended(any_dataset: Dataset, splits: tuple[str, ...]) -> None:
    """Rows joined client by client are those sorted by (client, time), and so the history is what it should be."""
    rows = concatenate([any_dataset.purchases(split) for split in splits])
    rows = rows.take(np.lexsort((rows.time, rows.client)))
    assert any_dataset.bought(*splits).values.tolist() == rows.item.tolist()
    assert any_dataset._joined(splits).time.tolist() == rows.time.tolist()
    last: list[dict[int, None]] = [{} for _ in range(any_dataset.n_clients)]
    for client, item in zip(rows.client, rows.item.tolist(), strict=True):
        last[client].pop(item, None)
        last[client][item] = None
    history = any_dataset.history(*splits)
    assert [history.row(i).tolist() for i in range(len(history))] == [list(items) for items in last]


def test_only_the_columns_asked_for_are_read(dataset: Dataset) -> None:
    dataset.history("train")
    assert set(dataset._columns) == {("train", "item")}
    assert dataset.column("train", "item") is dataset.purchases("train").item


def test_offsets_say_where_the_rows_of_each_client_are(dataset: Dataset) -> None:
    assert dataset.purchases("validation").client.tolist() == [0, 1]
    assert dataset.offsets("validation").tolist() == [0, 1, 2, 2]


def write(dataset: Dataset, table: str, **columns: list[int]) -> Dataset:
    """The Dataset with other numbers in the columns of one table, and the size of its file in the manifest."""
    file = dataset.path / f"{table}.parquet"
    kept = pq.read_table(file)
    for name, values in columns.items():
        place = kept.schema.get_field_index(name)
        kept = kept.set_column(place, kept.schema.field(place), pa.array(values, kept.schema.field(place).type))
    pq.write_table(kept, file, row_group_size=2)
    return reseal(dataset.path)


def test_row_groups_are_joined(dataset: Dataset) -> None:
    before = dataset.purchases("train").item.tolist()
    again = write(dataset, "train")
    assert pq.read_metadata(dataset.path / "train.parquet").num_row_groups == 2
    assert again.purchases("train").item.tolist() == before == [1, 0, 2, 1]
    assert again.offsets("train").tolist() == [0, 4, 4, 4]


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"client": [0, 1, 0, 0]}, "not sorted by client"),
        ({"client": [0, 0, 0, 3]}, "client is not always from 0 to 2"),
        ({"client": [1, 1, 0, 0]}, "not sorted by client"),
        ({"item": [0, 0, 3, 0]}, "item is not always from 0 to 2"),
        ({"item": [0, 0, -1, 0]}, "item is not always from 0 to 2"),
    ],
)
def test_numbers_that_cannot_be(dataset: Dataset, columns: dict[str, list[int]], message: str) -> None:
    with pytest.raises(InputError, match=rf"damaged: .*{message} .*train.parquet.*; prepare it again"):
        write(dataset, "train", **columns).history("train")


def test_codes_that_their_field_does_not_have(dataset: Dataset) -> None:
    with pytest.raises(InputError, match=r"damaged: field:colour is not always from 0 to 2"):
        write(dataset, "items", **{"field:colour": [0, 3, 0]}).item_codes  # noqa: B018


READERS: dict[str, Callable[[Dataset], object]] = {
    "train": lambda dataset: dataset.history("train"),
    "test": lambda dataset: dataset.frame("test"),
    "items": lambda dataset: dataset.item_ids,
    "clients": lambda dataset: dataset.client_codes,
    "negatives": lambda dataset: dataset.negatives,
}


@pytest.mark.parametrize("table", READERS)
@pytest.mark.parametrize("spoil", ["gone", "cut", "noise"])
def test_a_file_that_cannot_be_read(dataset: Dataset, table: str, spoil: str) -> None:
    """Spoilt after the Dataset was opened, or with its size unchanged."""
    file = dataset.path / f"{table}.parquet"
    content = file.read_bytes()
    file.unlink()
    if spoil != "gone":
        file.write_bytes(content[: len(content) // 2] if spoil == "cut" else bytes(len(content)))
    with pytest.raises(InputError, match=rf"A file of the Dataset .* \(.*{table}.parquet\); prepare it again"):
        READERS[table](dataset)


def test_pages_that_were_overwritten(dataset: Dataset) -> None:
    """The footer is whole, so that only reading the column shows it."""
    file = dataset.path / "train.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:4] + b"\xff" * 60 + content[64:])
    with pytest.raises(InputError, match=r"A file of the Dataset .*train.parquet"):
        Dataset.open(dataset.path).offsets("train")


def test_letters_that_are_none(dataset: Dataset) -> None:
    file = dataset.path / "clients.parquet"
    none = pa.array([b"\xff"] * 3, pa.binary()).view(pa.string())
    pq.write_table(pq.read_table(file).set_column(0, schema.CLIENT_ID, none), file)
    with pytest.raises(InputError, match=r"A file of the Dataset cannot be read .*clients.parquet"):
        dataset.client_ids  # noqa: B018


def test_rows_that_are_missing_from_the_table_of_clients(dataset: Dataset) -> None:
    file = dataset.path / "clients.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)
    again = reseal(dataset.path)
    with pytest.raises(InputError, match=r"damaged: .* 2 of 3 rows"):
        again.client_ids  # noqa: B018
    with pytest.raises(InputError, match=r"damaged: .* 2 of 3 rows"):
        again.client_codes  # noqa: B018


@pytest.mark.parametrize("size", [1, 2, 7, 10**6])
def test_histories_of_neighbours_are_those_of_all(sample_dataset: Dataset, tmp_path: Path, size: int) -> None:
    """Read from the row groups that hold their rows, and no others; of others the whole column is read."""
    shutil.copytree(sample_dataset.path, tmp_path / "groups")
    for split in ("train", "validation", "test"):
        file = tmp_path / "groups" / f"{split}.parquet"
        pq.write_table(pq.read_table(file), file, row_group_size=size)
    resealed, n = reseal(tmp_path / "groups"), sample_dataset.n_clients
    whole = sample_dataset.history("train", "validation", "test")
    for first, last in combinations(range(n + 1), 2):
        some = np.arange(first, last)
        found = resealed.history_of(some, "train", "validation", "test")
        assert [found.row(row).tolist() for row in range(len(some))] == [whole.row(one).tolist() for one in some]
    apart = np.array([n - 1, 0, 0])
    found = resealed.history_of(apart, "train", "validation", "test")
    assert [found.row(row).tolist() for row in range(3)] == [whole.row(one).tolist() for one in apart]
    assert len(resealed.history_of(apart[:0], "train")) == 0


def test_of_neighbours_no_other_rows_are_read(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataset, "column", lambda *_: pytest.fail("the whole column was read"))
    dataset.history_of(np.array([1, 2]), "train")
    with pytest.raises(pytest.fail.Exception):
        dataset.history_of(np.array([2, 1]), "train")
