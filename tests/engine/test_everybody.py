"""Recommendations for everybody, as files; and a history whose ids have commas and blanks."""

import csv
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Progress
from spfedrec_cli.engine import TrainResult, everybody
from spfedrec_cli.engine.everybody import format_of
from spfedrec_cli.engine.ranker import length
from spfedrec_cli.errors import InputError
from spfedrec_cli.locks import Locked, locked

ODD = ("10,5", "10", "5", "t ")
PURCHASES = "user,sku,at\n" + "".join(
    [f'1,"{id}",2020-01-0{day}\n' for day, id in enumerate(ODD, 1)] + [f"u{n},i{n},2019-12-0{n}\n" for n in range(1, 9)]
)


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_everybody_gets_what_each_would_get(trained: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    assert engine.recommend_all(trained.run, tmp_path / "all.parquet", k=5) == shop.n_clients
    engine.recommend_all(trained.run, tmp_path / "all.csv", k=5)
    engine.recommend_all(trained.run, tmp_path / "kaggle.csv", k=5, format="kaggle")
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert [row["customer_id"] for row in rows] == shop.client_ids
    (alone,) = engine.recommend(trained.run, [rows[7]["customer_id"]], k=5)
    assert rows[7]["article_id"] == [item.article_id for item in alone.items]
    flat = lines(tmp_path / "all.csv")[35:40]
    assert [(row["customer_id"], row["rank"]) for row in flat] == [(shop.client_ids[7], f"{n}") for n in range(1, 6)]
    for row, item, name in zip(flat, alone.items, rows[7]["name"], strict=True):
        labels = {label: row[label] for label in ("name", "type", "colour")}
        assert (row["article_id"], float(row["score"])) == (item.article_id, pytest.approx(item.score, abs=1e-6))
        assert labels == item.labels
        assert name == item.labels["name"]
    assert lines(tmp_path / "kaggle.csv")[7]["prediction"].split() == rows[7]["article_id"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["all.csv", "all.parquet", "kaggle.csv"]


def test_to_rank_for_everybody_reads_no_history_of_all(
    trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of all of H&M would take a third of a gigabyte while it is made."""
    monkeypatch.setattr(Dataset, "history", lambda *_: pytest.fail("the whole history was read"))
    assert engine.recommend_all(trained.run, tmp_path / "all.parquet", k=5) > 0


def test_a_submission_is_what_kaggle_takes(trained: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    """Heading, every customer once, and twelve different articles of ten digits with blanks between; no quotes."""
    engine.recommend_all(trained.run, tmp_path / "submission.csv", format="kaggle")
    text = (tmp_path / "submission.csv").read_bytes().decode("ascii")
    head, *rows = text.splitlines()
    assert head == "customer_id,prediction"
    assert all(re.fullmatch(r"[0-9a-f]{64},\d{10}(?: \d{10}){11}", row) for row in rows)
    customers, predictions = zip(*(row.split(",") for row in rows), strict=True)
    assert sorted(customers) == sorted(shop.client_ids)
    assert all(len(set(prediction.split())) == 12 for prediction in predictions)
    assert {article for prediction in predictions for article in prediction.split()} <= set(shop.item_ids)


def test_a_file_that_is_there_is_replaced_on_demand_alone(trained: TrainResult, tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("mine")
    with pytest.raises(InputError, match=r"already exists .*replace it by --force"):
        engine.recommend_all(trained.run, tmp_path / "all.csv", k=1)
    assert (tmp_path / "all.csv").read_text() == "mine"
    engine.recommend_all(trained.run, tmp_path / "all.csv", k=1, force=True)
    assert lines(tmp_path / "all.csv")


def test_names_are_harmless_in_csv_and_whole_in_parquet(
    trained: TrainResult, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = pa.array(['=HYPERLINK("x"), Tröja'] * 199 + [None], pa.string())
    monkeypatch.setattr(Dataset, "labels", pa.table({"name": names}))
    engine.recommend_all(trained.run, tmp_path / "all.csv", k=200)
    engine.recommend_all(trained.run, tmp_path / "all.parquet", k=200)
    told = {row["article_id"]: row["name"] for row in lines(tmp_path / "all.csv")}
    assert told == dict.fromkeys(shop.item_ids[:199], '\'=HYPERLINK("x"), Tröja') | {shop.item_ids[199]: ""}
    first = pq.read_table(tmp_path / "all.parquet").to_pylist()[0]
    assert dict(zip(first["article_id"], first["name"], strict=True)) == dict(
        zip(shop.item_ids, names.to_pylist(), strict=True)
    )


def test_what_was_bought_is_left_out_of_files_too(
    trained: TrainResult, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dataset, "repeats", False)
    lengths = shop.history("train", "validation", "test").lengths
    for name in ("all.csv", "all.parquet"):
        engine.recommend_all(trained.run, tmp_path / name, k=200)
    kept = pq.read_table(tmp_path / "all.parquet").column("article_id").to_pylist()
    assert [len(articles) for articles in kept] == (200 - lengths).tolist()
    assert len(lines(tmp_path / "all.csv")) == (200 - lengths).sum()


@pytest.mark.parametrize(
    "output, format, written",
    [
        ("all.csv", None, "csv"),
        ("all.CSV", None, "csv"),
        ("all.parquet", None, "parquet"),
        ("all.pq", "parquet", "parquet"),
        ("all", None, "parquet"),
        ("all", "csv", "csv"),
        ("all.txt", "csv", "csv"),
        ("all.csv", "kaggle", "kaggle"),
    ],
)
def test_the_suffix_says_the_format_where_nobody_does(output: str, format: str | None, written: str) -> None:
    assert format_of(Path(output), format) == written


@pytest.mark.parametrize(
    "output, format, problem",
    [
        ("all.parquet", "csv", "not that of the format csv .*; end it in .csv, or choose the format parquet"),
        ("all.csv", "parquet", "not that of the format parquet .*; end it in .parquet, or choose the format csv"),
        ("all.parquet", "kaggle", "not that of the format kaggle .*; end it in .csv"),
        ("all.json", None, "does not say what to write .*; end it in .parquet or .csv"),
        ("all.csv.gz", None, "A packed file is not written"),
        ("all.csv.gz", "csv", "A packed file is not written"),
        ("all", "xml", "There is no format 'xml'"),
        ("no/all.csv", None, "folder does not exist"),
        ("folder", None, "The output is a folder"),
    ],
)
def test_where_nothing_can_be_written_that_is_said_and_nothing_left(
    trained: TrainResult, tmp_path: Path, output: str, format: str | None, problem: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=problem):
        engine.recommend_all(trained.run, tmp_path / output, format=format)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_no_link_beside_the_file_is_followed(trained: TrainResult, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for name in ("lists.csv", "lists.csv.part", f"lists.csv.{os.getpid()}.part"):
        (tmp_path / name).symlink_to(tmp_path / "mine")
    engine.recommend_all(trained.run, tmp_path / "lists.csv", force=True)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "lists.csv").is_symlink()


def test_it_is_told_how_far_it_is_once_all_is_checked(
    trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    def tell(at: Progress) -> None:
        told.append((at.done, at.total))

    with pytest.raises(InputError, match="from 1 to the 200 in the catalogue"):
        engine.recommend_all(trained.run, tmp_path / "all.csv", k=201, tell=tell)
    assert told == []
    monkeypatch.setattr(everybody, "_BLOCK", 128)
    engine.recommend_all(trained.run, tmp_path / "all.csv", k=1, tell=tell)
    assert told == [(0, 300), (128, 300), (256, 300)]


@pytest.mark.parametrize("name", ["all.csv", "all.parquet"])
def test_what_was_made_before_a_kill_is_not_made_again(
    trained: TrainResult, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The file equals that of an unbroken call, whatever the size of its pieces; another call begins anew."""
    engine.recommend_all(trained.run, tmp_path / f"whole-{name}", k=3)
    monkeypatch.setattr(everybody, "_BLOCK", 50)
    monkeypatch.setattr(everybody, "_PIECE", 100)
    asked: list[int] = []

    def stop(at: Progress) -> None:
        asked.append(at.done)
        if len(asked) == 4:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.recommend_all(trained.run, tmp_path / name, k=3, tell=stop)
        del asked[:]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f".{name}.pieces", f"whole-{name}"]
    engine.recommend_all(trained.run, tmp_path / name, k=3, tell=lambda at: asked.append(at.done))
    assert asked == [200, 250]
    assert rows_of(tmp_path / name) == rows_of(tmp_path / f"whole-{name}")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, f"whole-{name}"])


def test_pieces_of_another_request_are_thrown_away(
    trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everybody, "_PIECE", 100)
    monkeypatch.setattr(everybody, "_BLOCK", 100)

    def stop(at: Progress) -> None:
        if at.done == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.recommend_all(trained.run, tmp_path / "all.csv", k=3, tell=stop)
    asked: list[int] = []
    engine.recommend_all(trained.run, tmp_path / "all.csv", k=4, tell=lambda at: asked.append(at.done))
    assert asked == [0, 100, 200]
    assert len(lines(tmp_path / "all.csv")) == 1200


def rows_of(file: Path) -> list[dict[str, str]]:
    return pq.read_table(file).to_pylist() if file.suffix == ".parquet" else lines(file)


def test_some_customers_alone_and_in_their_order(trained: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    some = [shop.client_ids[9], shop.client_ids[2], shop.client_ids[9]]
    assert engine.recommend_all(trained.run, tmp_path / "some.parquet", k=2, customers=some) == 2
    assert [row["customer_id"] for row in rows_of(tmp_path / "some.parquet")] == some[:2]
    with pytest.raises(InputError, match="does not hold a customer"):
        engine.recommend_all(trained.run, tmp_path / "none.csv", customers=["f" * 64])


@dataclass(frozen=True)
class Odd:
    """A run on a Dataset whose ids have commas and blanks, and which has twelve items."""

    run: Path
    dataset: Path
    items: list[str]


@pytest.fixture(scope="module")
def odd(config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Odd:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "case.csv").write_text(PURCHASES)
    columns = {"customer": "user", "item": "sku", "time": "at"}
    prepare("table", folder / "case.csv", folder / "shop", split="leave-one-out", columns=columns)
    dataset = Dataset.open(folder / "shop")
    settings = config("train.rounds=2", "train.monitor=ndcg@1", "federated.cohort_size=4", "client.pool_size=4")
    return Odd(engine.train(dataset, settings, folder / "run").run, dataset.path, dataset.item_ids)


@pytest.mark.parametrize(
    "values, articles",
    [
        (["10,5"], ["10,5"]),
        (["5,10"], ["5", "10"]),
        (["5, 10"], ["5", "10"]),
        (["t "], ["t "]),
        (["10,t "], ["10", "t "]),
        (["10", "5"], ["10", "5"]),
        (["t ", "10,5", "i1, i2"], ["t ", "10,5", "i1", "i2"]),
    ],
)
def test_a_value_that_is_an_id_is_that_id(odd: Odd, values: list[str], articles: list[str]) -> None:
    assert engine.articles(odd.run, values) == articles
    (found,) = engine.recommend(odd.run, history=articles)
    assert [item.article_id for item in found.history] == articles[::-1]


def test_every_id_can_be_named(odd: Odd) -> None:
    for id in odd.items:
        assert engine.articles(odd.run, [id]) == [id]


@pytest.mark.parametrize("value", ["", " ", "10,,5", "10,"])
def test_an_empty_place_in_a_history(odd: Odd, value: str) -> None:
    with pytest.raises(InputError, match="has an empty place"):
        engine.articles(odd.run, [value])


@pytest.mark.parametrize("id, near", [("t", "'t '"), ("10,6", "'10,5'"), ("I7", "i7")])
def test_an_unknown_article_is_named_with_a_near_one(odd: Odd, id: str, near: str) -> None:
    with pytest.raises(InputError, match=f"does not hold an article with the id .*; did you mean {near}"):
        engine.recommend(odd.run, history=[id])


def test_kaggle_has_no_place_for_ids_with_blanks(odd: Odd, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The article id 't ' has a blank"):
        engine.recommend_all(odd.run, tmp_path / "all.csv", format="kaggle")
    assert list(tmp_path.iterdir()) == []
    engine.recommend_all(odd.run, tmp_path / "all.csv", k=12)
    assert {row["article_id"] for row in lines(tmp_path / "all.csv")} == set(odd.items)


def test_a_list_for_which_no_length_is_said_is_as_long_as_the_catalogue(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dataset, "n_items", 5)
    assert (length(None, Dataset.open(odd.dataset)), length(7, Dataset.open(odd.dataset))) == (5, 7)


def test_two_do_not_make_one_file(trained: TrainResult, tmp_path: Path) -> None:
    """They would share its pieces, and the first to end would take them away."""
    with locked(tmp_path / "all.csv"), pytest.raises(Locked, match="is writing there"):
        engine.recommend_all(trained.run, tmp_path / "all.csv", k=1)
    assert list(tmp_path.iterdir()) == []
    assert engine.recommend_all(trained.run, tmp_path / "all.csv", k=1) == 300
