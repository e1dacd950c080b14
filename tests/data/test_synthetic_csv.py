import gzip
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Progress, Request
from spfedrec_cli.data.sources import synthetic_csv
from spfedrec_cli.data.sources.synthetic import make_shop
from spfedrec_cli.data.sources.synthetic_csv import write_csv

REQUEST = Request((), seed=5, customers=300, items=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("csv")
    assert write_csv(REQUEST, made) == len(make_shop(REQUEST).sold.day)
    return made


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_transactions_look_like_the_original(folder: Path) -> None:
    header, *rows = lines(folder / "transactions_train.csv")
    assert header == "t_dat,customer_id,article_id,price,sales_channel_id"
    form = re.compile(r"20(18|19|20)-\d\d-\d\d,[0-9a-f]{64},0\d{9},0\.\d+,[12]")
    assert all(form.fullmatch(row) for row in rows)
    assert [row[:75] for row in rows] == sorted(row[:75] for row in rows)
    assert len(rows) == len(make_shop(REQUEST).sold.day)


def test_prices_are_written_in_full(folder: Path) -> None:
    prices = {row.split(",")[3] for row in lines(folder / "transactions_train.csv")[1:]}
    assert all(repr(float(price)) == price for price in prices)
    assert all(round(float(price) * 59_000) / 59_000 == float(price) for price in prices)


def test_the_other_files_have_the_original_columns(folder: Path) -> None:
    customers, articles = lines(folder / "customers.csv"), lines(folder / "articles.csv")
    assert customers[0] == "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code"
    assert (len(customers), len(articles)) == (301, 201)
    assert {row.count(",") for row in customers} == {6}
    assert {row.count(",") for row in articles} == {24}


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["transactions_train", "customers", "articles"])
def test_headers_are_those_of_the_real_files(folder: Path, real_data: Path, name: str) -> None:
    with gzip.open(real_data / "hm" / f"{name}.csv.gz", "rt") as file:
        assert lines(folder / f"{name}.csv")[0] == file.readline().strip()


def test_the_files_hold_the_shop_that_is_prepared_directly(folder: Path, tmp_path: Path) -> None:
    prepare("hm", folder, tmp_path / "read", seed=5)
    prepare("synthetic", None, tmp_path / "made", seed=5, customers=300, items=200)
    read, made = Dataset.open(tmp_path / "read"), Dataset.open(tmp_path / "made")
    assert read.manifest.item_fields == made.manifest.item_fields
    assert read.manifest.client_fields == made.manifest.client_fields
    assert read.manifest.counts == made.manifest.counts
    for name in read.manifest.files:
        assert pq.read_table(tmp_path / "read" / name).equals(pq.read_table(tmp_path / "made" / name)), name
    assert any(read.purchases("train").purchases > 1)


def test_slices_do_not_show(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_csv, "_SLICE", 1000)
    told: list[Progress] = []
    rows = write_csv(Request((), 5, 300, 200, tell=told.append), tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    writing = [one.done for one in told if one.stage == "writing transactions_train.csv"]
    assert writing == [*range(1000, rows, 1000), rows]
    assert {one.stage for one in told} == {"making purchases", "writing transactions_train.csv"}
    assert all(one.rows == one.done and one.total == rows for one in told if one.stage.startswith("writing"))


def test_another_seed_writes_other_files(folder: Path, tmp_path: Path) -> None:
    write_csv(Request((), 6, 300, 200), tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() != path.read_bytes()
