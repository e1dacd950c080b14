from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.errors import InputError


def test_a_small_folder(movielens_folder: Path, tmp_path: Path) -> None:
    prepare("movielens", movielens_folder, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.client_ids == ["2", "10"]  # numbers, not text
    assert dataset.item_ids == ["1", "9", "10"]
    assert not dataset.repeats
    assert dataset.manifest.time_unit == "second"
    # User 2 rated 10, 9, 1 in this order; user 10 rated 9, 10, 1 at one moment, in the order of the file.
    held_out = {split: dataset.truth(split).values.tolist() for split in ("validation", "test")}
    assert held_out == {"validation": [1, 2], "test": [0, 0]}
    assert dataset.history("train").values.tolist() == [2, 1]


def test_features_and_labels(movielens_folder: Path, tmp_path: Path) -> None:
    prepare("movielens", movielens_folder, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    vocabularies = {entry.name: entry.vocabulary for entry in dataset.manifest.item_fields}
    assert vocabularies == {"year": ("1995", "1996"), "genres": ("Animation|Children's|Comedy", "Drama")}
    assert dataset.item_codes.tolist() == [[1, 1], [2, 2], [0, 0]]
    vocabularies = {entry.name: entry.vocabulary for entry in dataset.manifest.client_fields}
    assert vocabularies == {"age_bucket": ("0-19", "50-59"), "gender": ("F", "M"), "occupation": ("other", "student")}
    assert dataset.client_codes.tolist() == [[2, 1, 1], [1, 2, 2]]
    assert dataset.item_labels([1, 2]) == [{"name": "Les Misérables (1995)", "type": "Drama"}, {"name": "unknown"}]


def test_movies_and_users_may_be_absent(movielens_folder: Path, tmp_path: Path) -> None:
    (movielens_folder / "u.item").unlink()
    (movielens_folder / "u.user").unlink()
    summary = prepare("movielens", movielens_folder, tmp_path / "out")
    assert summary.notes[:2] == [
        "u.item is absent: ids only, no features",
        "u.user is absent: ids only, no features",
    ]


@pytest.mark.parametrize(
    "line, message",
    [
        ("2\t5\t3\tnoon", r"time 'noon' is not a number of seconds since 1970 \(.*u.data, line 7\)"),
        ("2\t5\t3\t3000000000", r"time '3000000000' is not a number of seconds"),
        ("x\t5\t3\t1", r"user 'x' is not a whole number \(.*u.data, line 7\)"),
        ("2\t5\t3", r"line has 3 columns where the first has 4 \(.*u.data, line 7\)"),
        ("2\t1\t3\t900", r"user 2 rates the movie 1 a second time \(.*u.data, line 7\)"),
    ],
)
def test_a_bad_line_is_named(movielens_folder: Path, tmp_path: Path, line: str, message: str) -> None:
    with (movielens_folder / "u.data").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        prepare("movielens", movielens_folder, tmp_path / "out")


def test_a_ragged_table_of_movies(movielens_folder: Path, tmp_path: Path) -> None:
    with (movielens_folder / "u.item").open("a") as file:
        file.write("11|short\n")
    with pytest.raises(InputError, match=r"line has 2 columns where the first has 24 \(.*u.item, line 4\)"):
        prepare("movielens", movielens_folder, tmp_path / "out")


def test_the_folder_must_hold_ratings(movielens_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        prepare("movielens", movielens_folder / "u.data", tmp_path / "out")
    (movielens_folder / "u.data").unlink()
    with pytest.raises(InputError, match=r"holds neither u.data nor u.data.gz"):
        prepare("movielens", movielens_folder, tmp_path / "out")


@pytest.mark.realdata
def test_the_real_folder(real_data: Path, tmp_path: Path) -> None:
    summary = prepare("movielens", real_data / "ml-100k", tmp_path / "out")
    assert (summary.purchases, summary.clients, summary.items) == (100_000, 943, 1_682)
    assert summary.splits == {"train": 98_114, "validation": 943, "test": 943}
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.item_labels([0]) == [{"name": "Toy Story (1995)", "type": "Animation|Children's|Comedy"}]
    seen = dataset.history("train", "validation")
    truth = dataset.truth("test")
    assert not any(truth.row(user)[0] in seen.row(user) for user in range(943))
