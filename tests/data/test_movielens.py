from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Reading
from spfedrec_cli.data.schema import SPLITS
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
    assert prepare("movielens", movielens_folder / "u.data", tmp_path / "out").items == 3
    (movielens_folder / "u.data").unlink()
    for place in (movielens_folder, movielens_folder / "u.user"):
        with pytest.raises(
            InputError, match=r"There are none of u.data, ratings.csv, ratings.dat \(.*\); name the folder"
        ):
            prepare("movielens", place, tmp_path / "out")


def zipped(folder: Path, path: Path, inside: str) -> Path:
    with ZipFile(path, "w") as archive:
        for one in folder.iterdir():
            archive.write(one, f"{inside}/{one.name}")
    return path


@pytest.fixture
def million(tmp_path: Path) -> Path:
    """The layout of MovieLens 1M: users 1 and 10, movies 1, 9 and 12."""
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    ratings = ("1::12::5::978300760", "10::1::4::978302000", "1::1::5::978300761", "10::9::3::978302001")
    ratings += ("1::9::2::978300900", "10::12::3::978301999")
    movies = (
        "1::Toy Story (1995)::Animation|Children's|Comedy",
        "9::Misérables, Les (1998)::Drama",
        "12::Plain::Horror",
    )
    users = ("1::F::1::10::48067", "10::M::56::16::70072")
    for name, lines in (("ratings", ratings), ("movies", movies), ("users", users)):
        (folder / f"{name}.dat").write_text("\n".join(lines) + "\n", encoding="latin-1")
    return folder


def test_the_edition_of_a_million(million: Path, tmp_path: Path) -> None:
    prepare("movielens", million, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (dataset.client_ids, dataset.item_ids) == (["1", "10"], ["1", "9", "12"])
    held_out = {split: dataset.truth(split).values.tolist() for split in ("validation", "test")}
    assert held_out == {"validation": [0, 0], "test": [1, 1]}
    assert dataset.item_labels([0, 1]) == [
        {"name": "Toy Story (1995)", "type": "Animation|Children's|Comedy"},
        {"name": "Misérables, Les (1998)", "type": "Drama"},
    ]
    fields = {
        entry.name: entry.vocabulary for entry in (*dataset.manifest.item_fields, *dataset.manifest.client_fields)
    }
    assert fields == {
        "year": ("1995", "1998"),
        "genres": ("Animation|Children's|Comedy", "Drama", "Horror"),
        "age_bucket": ("0-17", "56+"),
        "gender": ("F", "M"),
        "occupation": ("10", "16"),
    }
    assert dataset.item_codes[:, 0].tolist() == [1, 2, 0]


def test_all_ages_of_a_million(million: Path, tmp_path: Path) -> None:
    ages = (1, 18, 25, 35, 45, 50, 56, 33)
    lines = (f"{user}::F::{age}::1::1" for user, age in enumerate(ages, 20))
    (million / "users.dat").write_text("\n".join(lines) + "\n")
    prepare("movielens", million, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    vocabulary = dataset.manifest.client_fields[0].vocabulary
    assert vocabulary == ("0-17", "18-24", "25-34", "35-44", "45-49", "50-55", "56+")
    assert dataset.client_codes[2:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 0]


@pytest.mark.parametrize(
    "line, message",
    [
        ("1::2::5", r"line has 3 columns where the first has 4 \(.*ratings.dat, line 7\)"),
        ("1::2::5::noon", r"time 'noon' is not a number of seconds since 1970 \(.*ratings.dat, line 7\)"),
        ("1::9::5::978300999", r"user 1 rates the movie 9 a second time \(.*ratings.dat, line 7\)"),
    ],
)
def test_a_bad_line_of_a_million_is_named(million: Path, tmp_path: Path, line: str, message: str) -> None:
    with (million / "ratings.dat").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        prepare("movielens", million, tmp_path / "out")


def test_another_delimiter_is_for_another_source(million: Path, tmp_path: Path) -> None:
    path = million / "ratings.dat"
    path.write_text(path.read_text().replace("::", ","))
    with pytest.raises(InputError, match=r"line 1\); read it with --source table --no-header, which takes other deli"):
        prepare("movielens", million, tmp_path / "out")
    columns = {"customer": "1", "item": "2", "time": "4"}
    prepare("table", path, tmp_path / "out", "leave-one-out", columns=columns, reading=Reading(header=False))


def test_archives_as_they_are_downloaded(million: Path, movielens_folder: Path, tmp_path: Path) -> None:
    for folder, name in ((million, "ml-1m"), (movielens_folder, "ml-100k")):
        prepare("movielens", folder, tmp_path / "plain")
        prepare("movielens", zipped(folder, tmp_path / f"{name}.zip", name), tmp_path / "zipped")
        assert Dataset.open(tmp_path / "plain").manifest.files == Dataset.open(tmp_path / "zipped").manifest.files


def test_second_ratings_are_skipped_and_told_behind_other_bad_lines(movielens_folder: Path, tmp_path: Path) -> None:
    """A rating that could not be read makes none behind it a second one."""
    with (movielens_folder / "u.data").open("a") as file:
        file.write("3\t1\t3\tnoon\n\n3\t1\t3\t100\n3\t1\t5\t200\n")
    summary = prepare("movielens", movielens_folder, tmp_path / "out", skip_bad_rows=True)
    assert (summary.purchases, summary.skipped_rows) == (7, 2)
    listed = (tmp_path / "out" / "skipped-rows.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in listed] == ['"line"', "7", "10"]


@pytest.fixture
def ten_million(tmp_path: Path) -> Path:
    """The layout of MovieLens 10M: half stars, UTF-8, no users."""
    folder = tmp_path / "ml-10M100K"
    folder.mkdir()
    ratings = ("1::122::5::838985046", "1::185::4.5::838983525", "1::231::0.5::838983392", "2::122::3::868245777")
    (folder / "ratings.dat").write_text("\n".join(ratings) + "\n")
    movies = (
        "122::Boomerang (1992)::Comedy|Romance",
        '185::"Amélie" – Le Fabuleux (2001)::Comedy',
        "231::Runner 2049::Drama",
    )
    (folder / "movies.dat").write_text("\n".join(movies) + "\n", encoding="utf-8")
    (folder / "tags.dat").write_text("15::122::excellent!::1215184630\n")
    return folder


def test_the_edition_of_ten_millions(ten_million: Path, tmp_path: Path) -> None:
    summary = prepare("movielens", ten_million, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (summary.purchases, dataset.client_ids, dataset.item_ids) == (4, ["1", "2"], ["122", "185", "231"])
    held_out = {split: dataset.truth(split).values.tolist() for split in ("validation", "test")}
    assert held_out == {"validation": [1], "test": [0]}
    assert dataset.item_labels([1]) == [{"name": '"Amélie" – Le Fabuleux (2001)', "type": "Comedy"}]
    assert dataset.client_fields == ()
    vocabularies = {entry.name: entry.vocabulary for entry in dataset.manifest.item_fields}
    assert vocabularies == {"year": ("1992", "2001"), "genres": ("Comedy", "Comedy|Romance", "Drama")}
    assert "users.dat is absent: ids only, no features" in summary.notes


@pytest.fixture
def latest(tmp_path: Path) -> Path:
    """The layout of 20M, 25M, 32M and latest-small: CSV with a header, titles quoted where they hold commas."""
    folder = tmp_path / "ml-latest-small"
    folder.mkdir()
    ratings = ("10,1,4.0,964982703", "10,11,0.5,964981247", "10,2,4.5,964982224", "9,2,5.0,847434962")
    (folder / "ratings.csv").write_text("\n".join(("userId,movieId,rating,timestamp", *ratings)) + "\n")
    movies = (
        "1,Toy Story (1995),Adventure|Animation",
        '2,"American President, The (1995)",Comedy',
        '11,"Misérables, Les ""1995""",(no genres listed)',
    )
    (folder / "movies.csv").write_text("\n".join(("movieId,title,genres", *movies)) + "\n", encoding="utf-8")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0114709,862\n")
    return folder


@pytest.mark.parametrize(
    "content, note",
    [
        ("movieId,title,genres\n", "movies.csv holds no rows: ids only, no features"),
        (2 * "movieId,title,genres\n" + "1,A,B\n", "1 row of movies.csv left out: the header once more"),
    ],
)
def test_what_is_odd_about_the_films_is_told(latest: Path, tmp_path: Path, content: str, note: str) -> None:
    (latest / "movies.csv").write_text(content)
    assert note in prepare("movielens", latest, tmp_path / "out").notes


def test_a_column_that_the_films_lack_is_named(latest: Path, tmp_path: Path) -> None:
    (latest / "movies.csv").write_text("movieId,title\n1,A\n")
    with pytest.raises(InputError, match=r"The column genres is missing \(.*movies.csv, line 1\)"):
        prepare("movielens", latest, tmp_path / "out")


def test_the_editions_with_a_header(latest: Path, tmp_path: Path) -> None:
    summary = prepare("movielens", latest, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (summary.purchases, dataset.client_ids, dataset.item_ids) == (4, ["9", "10"], ["1", "2", "11"])
    held_out = {split: dataset.truth(split).values.tolist() for split in ("validation", "test")}
    assert held_out == {"validation": [1], "test": [0]}
    assert dataset.item_labels([1, 2]) == [
        {"name": "American President, The (1995)", "type": "Comedy"},
        {"name": 'Misérables, Les "1995"', "type": "(no genres listed)"},
    ]
    assert dataset.client_fields == ()
    years = next(entry for entry in dataset.manifest.item_fields if entry.name == "year")
    assert years.vocabulary == ("1995",)
    assert not any("absent" in note for note in summary.notes)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_an_edition_with_a_header_are_told_by_their_lines(latest: Path, tmp_path: Path, end: str) -> None:
    text = (latest / "ratings.csv").read_text() + "9,2,3.0,847434963\n"
    (latest / "ratings.csv").write_text(text, newline=end)
    with pytest.raises(InputError, match=r"The user 9 rates the movie 2 a second time \(.*ratings.csv, line 6\)"):
        prepare("movielens", latest, tmp_path / "out")


def test_times_of_other_forms(latest: Path, tmp_path: Path) -> None:
    """As Kaggle has the edition of 20M; conditions on times hold for numbers of seconds too."""
    rows = pd.read_csv(latest / "ratings.csv")
    summary = prepare("movielens", latest, tmp_path / "out", reading=Reading(where=("timestamp>=2000-01-01",)))
    assert summary.purchases == 3
    before = [Dataset.open(tmp_path / "out").purchases(split).time.tolist() for split in SPLITS]
    rows.assign(timestamp=pd.to_datetime(rows["timestamp"], unit="s")).to_csv(latest / "ratings.csv", index=False)
    prepare("movielens", latest, tmp_path / "out", reading=Reading(where=("timestamp>=2000-01-01",)))
    assert [Dataset.open(tmp_path / "out").purchases(split).time.tolist() for split in SPLITS] == before


def test_a_file_of_ratings_as_parquet(latest: Path, tmp_path: Path) -> None:
    prepare("movielens", latest, tmp_path / "plain")
    pd.read_csv(latest / "ratings.csv").to_parquet(latest / "ratings.parquet")
    prepare("movielens", latest / "ratings.parquet", tmp_path / "out")
    assert Dataset.open(tmp_path / "out").manifest.files == Dataset.open(tmp_path / "plain").manifest.files


def test_films_of_another_encoding(latest: Path, tmp_path: Path) -> None:
    (latest / "movies.csv").write_text((latest / "movies.csv").read_text("utf-8"), encoding="cp1252")
    with pytest.raises(InputError, match=r"title is not UTF-8 text \(.*line 4\); say .* as --encoding cp1252"):
        prepare("movielens", latest, tmp_path / "out")
    prepare("movielens", latest, tmp_path / "out", reading=Reading(encoding="cp1252"))
    assert Dataset.open(tmp_path / "out").item_labels([2])[0]["name"] == 'Misérables, Les "1995"'


def test_likes_alone_may_be_chosen(latest: Path, ten_million: Path, tmp_path: Path) -> None:
    """Every rating counts as a purchase, unless the user says which; --where knows half stars as numbers."""
    for folder, items in ((latest, ["1", "2"]), (ten_million, ["122", "185"])):
        (folder / "more").mkdir()
        ratings = next(folder.glob("ratings.*"))
        extra = {"ratings.csv": "10,3,4.0,964982800\n", "ratings.dat": "1::999::5::838985099\n"}[ratings.name]
        ratings.write_text(ratings.read_text() + extra)
        name = "rating>=4"
        summary = prepare("movielens", folder, tmp_path / "out", reading=Reading(where=(name,)))
        sold = {
            Dataset.open(tmp_path / "out").item_id(int(item))
            for split in ("train", "validation", "test")
            for item in Dataset.open(tmp_path / "out").purchases(split).item
        }
        assert sold == {*items, "3" if ratings.name == "ratings.csv" else "999"}
        assert any(f"left out: --where {name}" in note for note in summary.notes)


def test_archives_of_the_other_editions(latest: Path, ten_million: Path, tmp_path: Path) -> None:
    for folder in (latest, ten_million):
        prepare("movielens", folder, tmp_path / "plain")
        prepare("movielens", zipped(folder, tmp_path / f"{folder.name}.zip", folder.name), tmp_path / "zipped")
        assert Dataset.open(tmp_path / "plain").manifest.files == Dataset.open(tmp_path / "zipped").manifest.files


def test_the_first_edition_is_the_one_whose_ratings_are_there(
    movielens_folder: Path, latest: Path, tmp_path: Path
) -> None:
    (movielens_folder / "ratings.csv").write_text((latest / "ratings.csv").read_text())
    prepare("movielens", movielens_folder, tmp_path / "out")
    assert Dataset.open(tmp_path / "out").client_ids == ["2", "10"]


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
