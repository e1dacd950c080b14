"""Whole shops without hand work, held against a few lines of pandas that know nothing of the reader."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import Summary, prepare
from spfedrec_cli.data.raw import Reading
from spfedrec_cli.data.schema import SPLITS

pytestmark = pytest.mark.realdata

RETAIL = {
    "customer": "Customer ID",
    "item": "StockCode",
    "time": "InvoiceDate",
    "price": "Price",
    "quantity": "Quantity",
    "name": "Description",
}
NAMES = ["customer", "item", "time", "price", "quantity", "name"]


def online_retail(folder: Path) -> pd.DataFrame:
    """Known customers, quantity and price above 0, codes of five digits; what both files hold counts once."""
    first, second = (pd.read_parquet(folder / name) for name in ("2009-2010.parquet", "2010-2011.parquet"))
    second = second.rename(columns={"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"})
    both = []
    for frame in (first, second):
        frame = frame.rename(columns={column: role for role, column in RETAIL.items()})
        meant = frame["customer"].notna() & (frame["quantity"] > 0) & (frame["price"] > 0)
        frame = frame[meant & frame["item"].str.match("[0-9]{5}")][NAMES]
        frame = frame.assign(time=pd.to_datetime(frame["time"]), customer=frame["customer"].astype("int64").astype(str))
        frame["name"] = frame["name"].fillna("")
        frame["nth"] = frame.groupby(NAMES).cumcount()
        both.append(frame)
    key = [*NAMES, "nth"]
    old = pd.MultiIndex.from_frame(both[1][key]).isin(pd.MultiIndex.from_frame(both[0][key]))
    return pd.concat([both[0], both[1][~old]], ignore_index=True)


@pytest.fixture(scope="module")
def retail(real_data: Path) -> pd.DataFrame:
    folder = real_data / "online-retail-ii"
    if not folder.is_dir():
        pytest.skip(f"no online-retail-ii/ in {real_data}")
    return online_retail(folder)


@pytest.fixture(scope="module")
def prepared(
    real_data: Path, retail: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dataset, Summary]:
    folder, out = real_data / "online-retail-ii", tmp_path_factory.mktemp("retail") / "out"
    inputs = [folder / "2009-2010.parquet", folder / "2010-2011.parquet"]
    reading = Reading(where=("StockCode~^[0-9]{5}", "Price>0"), returns="drop", drop_missing=True)
    summary = prepare("table", inputs, out, columns=RETAIL, reading=reading)
    return Dataset.open(out), summary


def as_frame(dataset: Dataset) -> pd.DataFrame:
    """Rows of all splits by ids."""
    parts = {name: np.concatenate([getattr(dataset.purchases(split), name) for split in SPLITS])
             for name in ("client", "item", "time", "purchases", "pieces", "price")}  # fmt: skip
    clients, items = np.array(dataset.client_ids, object), np.array(dataset.item_ids, object)
    return pd.DataFrame({**parts, "client": clients[parts["client"]], "item": items[parts["item"]]})


def test_online_retail_without_hand_work(prepared: tuple[Dataset, Summary], retail: pd.DataFrame) -> None:
    _, summary = prepared
    assert (summary.purchases, summary.clients, summary.items) == (788_187, 5_852, 4_619)
    assert (len(retail), retail["customer"].nunique(), retail["item"].nunique()) == (788_187, 5_852, 4_619)
    assert summary.pieces == retail["quantity"].sum()
    assert sum(summary.splits.values()) == len(retail)


def test_what_was_done_to_online_retail_is_said(prepared: tuple[Dataset, Summary]) -> None:
    _, summary = prepared
    said = "\n".join(summary.notes)
    for one in ("UnitPrice is read as Price", "CustomerID is read as Customer ID", "--drop-missing", "--returns drop"):
        assert one in said
    assert "in an earlier input too" in said
    assert "from 2009-12-01 to 2011-12-09" in said


def test_every_row_of_online_retail(prepared: tuple[Dataset, Summary], retail: pd.DataFrame) -> None:
    dataset, _ = prepared
    retail = retail.assign(
        client=retail["customer"],
        time=((retail["time"] - pd.Timestamp(0)) // pd.Timedelta(seconds=1)).astype("int64"),
        spent=retail["price"] * retail["quantity"],
    )
    key = ["client", "item", "time"]
    expected = retail.groupby(key).agg(
        purchases=("quantity", "size"), pieces=("quantity", "sum"), spent=("spent", "sum")
    )
    found = as_frame(dataset).set_index(key).sort_index()
    expected = expected.sort_index()
    assert found.index.equals(expected.index)
    assert (found["purchases"] == expected["purchases"]).all()
    assert (found["pieces"] == expected["pieces"]).all()
    np.testing.assert_allclose(found["price"], expected["spent"] / expected["pieces"], rtol=1e-5)


def test_a_name_of_online_retail_is_the_last_one(prepared: tuple[Dataset, Summary], retail: pd.DataFrame) -> None:
    dataset, _ = prepared
    last = retail[retail["name"] != ""].groupby("item")["name"].last()
    labels = dataset.item_labels(range(dataset.n_items))
    assert {id: label.get("name") for id, label in zip(dataset.item_ids, labels, strict=True)} == last.to_dict()


def test_the_likes_of_a_million(real_data: Path, tmp_path: Path) -> None:
    """With what is known of movies and users, by the option that MovieLens has no need of."""
    folder = real_data / "ml-1m"
    if not folder.is_dir():
        pytest.skip(f"no ml-1m/ in {real_data}")
    columns = {"customer": "user_id", "item": "movie_id", "time": "timestamp", "name": "title"}
    columns |= {"item.genres": "genres", "customer.age": "age", "customer.gender": "gender"}
    reading = Reading(item_table=folder / "movies.parquet", customer_table=folder / "users.parquet")
    likes = folder / "ml-1m-likes.parquet"
    summary = prepare("table", likes, tmp_path / "out", columns=columns, reading=reading, split="leave-one-out")
    dataset, frame = Dataset.open(tmp_path / "out"), pd.read_parquet(likes)
    movies, users = (pd.read_parquet(folder / f"{name}.parquet") for name in ("movies", "users"))
    assert (summary.purchases, summary.clients, summary.items) == (len(frame), len(users), len(movies))
    assert summary.purchases == 575_281
    assert not dataset.repeats
    found = as_frame(dataset)
    assert (found["client"].nunique(), found["item"].nunique()) == (6_038, 3_533)
    key = ["client", "item", "time"]
    expected = frame.rename(columns={"user_id": "client", "movie_id": "item", "timestamp": "time"})[key]
    expected = expected.astype({"client": str, "item": str}).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(
        found[key].astype({"client": str, "item": str, "time": "int64"}).sort_values(key, ignore_index=True), expected,
        check_dtype=False,
    )  # fmt: skip
    last = (
        frame.sort_values(["user_id", "timestamp"], kind="stable").groupby("user_id").filter(lambda own: len(own) > 2)
    )
    test = dataset.purchases("test")
    assert len(test.client) == last["user_id"].nunique()
    moments = frame.groupby("user_id")["timestamp"].max()
    assert [int(moments[int(dataset.client_id(int(one)))]) for one in test.client] == test.time.tolist()
    titles = movies.set_index("movie_id")["title"]
    assert dataset.item_labels(dataset.item_index(["1", "3952"])) == [{"name": titles[1]}, {"name": titles[3952]}]
    cardinality = {field.name: field.cardinality - 1 for field in (*dataset.item_fields, *dataset.client_fields)}
    assert cardinality == {"genres": movies["genres"].nunique(), "age": 7, "gender": 2}
    assert dataset.client_ids == sorted(map(str, users["user_id"]))


def test_the_extract_of_hm(real_data: Path, tmp_path: Path) -> None:
    summary = prepare("hm", real_data / "hm", tmp_path / "out")
    frame = pd.read_csv(real_data / "hm" / "transactions_train.csv.gz", dtype={"article_id": str})
    assert (summary.purchases, summary.pieces) == (len(frame), len(frame)) == (24_594, 24_594)
    found, key = as_frame(Dataset.open(tmp_path / "out")), ["client", "item", "time"]
    day = (pd.to_datetime(frame["t_dat"]) - pd.Timestamp(0)).dt.days
    expected = frame.assign(client=frame["customer_id"], item=frame["article_id"], time=day).groupby(key).size()
    assert found.set_index(key)["purchases"].sort_index().to_dict() == expected.to_dict()


def test_the_hundred_thousand_of_movielens(real_data: Path, tmp_path: Path) -> None:
    summary = prepare("movielens", real_data / "ml-100k", tmp_path / "out")
    names = ["client", "item", "rating", "time"]
    frame = pd.read_csv(real_data / "ml-100k" / "u.data.gz", sep="\t", names=names, dtype={"client": str, "item": str})
    assert (summary.purchases, summary.clients, summary.items) == (len(frame), 943, 1_682)
    found, key = as_frame(Dataset.open(tmp_path / "out")), ["client", "item", "time"]
    pd.testing.assert_frame_equal(
        found[key].sort_values(key, ignore_index=True),
        frame[key].sort_values(key, ignore_index=True),
        check_dtype=False,
    )
