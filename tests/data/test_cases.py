"""Small tables that were answered wrongly once, each for its kind, and what is right."""

import bz2
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import Summary, prepare
from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.sources import table as source

COLUMNS = {"customer": "user", "item": "sku", "time": "at"}
HEADER = "user,sku,at\n"


def made(
    tmp_path: Path, content: str | bytes, split: str | None = "leave-one-out", **more: object
) -> tuple[Dataset, Summary]:
    path = tmp_path / "case.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    columns = {**COLUMNS, **more.pop("columns", {})}  # type: ignore[dict-item]
    summary = prepare("table", path, tmp_path / "out", split=split, columns=columns, **more)  # type: ignore[arg-type]
    return Dataset.open(tmp_path / "out"), summary


def read(tmp_path: Path, content: str | bytes, **columns: str) -> Raw:
    path = tmp_path / "case.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return source.read(Request((path,), 0, reading=Reading({**COLUMNS, **columns})))


def moments(raw: Raw) -> list[str]:
    unit = 86400 if raw.time_unit == "day" else 1
    return [f"{datetime.fromtimestamp(int(time) * unit, UTC):%Y-%m-%d %H:%M:%S}" for time in raw.time]


def rows(dataset: Dataset) -> list[tuple[str, str, int]]:
    """Of all splits: the customer, the item and the time."""
    parts = [dataset.purchases(split) for split in SPLITS]
    return sorted(
        (dataset.client_id(int(client)), dataset.item_id(int(item)), int(time))
        for part in parts
        for client, item, time in zip(part.client, part.item, part.time, strict=True)
    )


def bought_once(customers: int = 6) -> str:
    """Customer n has the items n to n + 7, one a day."""
    return HEADER + "".join(f"u{n},m{n + day},2020-01-0{day + 1}\n" for n in range(customers) for day in range(8))


def test_where_nobody_buys_again_bought_items_leave_the_ranking(tmp_path: Path) -> None:
    dataset, summary = made(tmp_path, bought_once())
    assert not dataset.repeats
    assert (summary.purchases, summary.clients, summary.items) == (48, 6, 13)
    assert any("0.0% of pairs" in note and "--repeats overrules it" in note for note in summary.notes)


def test_the_user_overrules_what_the_data_say(tmp_path: Path) -> None:
    dataset, summary = made(tmp_path, bought_once(), repeats=True)
    assert dataset.repeats
    assert any("as --repeats says" in note for note in summary.notes)
    again = bought_once() + "".join(f"u{n},m{n},2020-02-01\n" for n in range(6))
    assert made(tmp_path, again)[0].repeats
    assert not made(tmp_path, again, repeats=False)[0].repeats


def test_one_double_row_flips_nothing(tmp_path: Path) -> None:
    """Neither the same row twice, nor one pair among hundreds bought again."""
    assert not made(tmp_path, bought_once() + "u0,m0,2020-01-01\n")[0].repeats
    assert not made(tmp_path, bought_once(50) + "u0,m0,2020-02-01\n")[0].repeats


def test_days_as_numbers(tmp_path: Path) -> None:
    content = HEADER + "1,a,20060413\n1,b,20060501\n1,c,20080706\n"
    raw = read(tmp_path, content)
    assert (raw.time_unit, [one[:10] for one in moments(raw)]) == ("day", ["2006-04-13", "2006-05-01", "2008-07-06"])
    _, summary = made(tmp_path, content)
    assert any("times like 20060413 are read as dates" in note for note in summary.notes)
    assert any("from 2006-04-13 to 2008-07-06" in note for note in summary.notes)


def test_minutes_as_numbers(tmp_path: Path) -> None:
    raw = read(tmp_path, HEADER + "1,a,200901011200\n1,b,201501011200\n1,c,202012312359\n")
    assert raw.time_unit == "second"
    assert moments(raw) == ["2009-01-01 12:00:00", "2015-01-01 12:00:00", "2020-12-31 23:59:00"]


LARGE = "user,sku,at,q\n1,a,2020-01-01,20000\n1,a,2020-01-01,20000\n1,b,2020-01-02,1\n1,c,2020-01-03,2\n"


def test_large_quantities(tmp_path: Path) -> None:
    dataset, summary = made(tmp_path, LARGE, columns={"quantity": "q"})
    assert (summary.purchases, summary.pieces, sum(summary.splits.values())) == (4, 40_003, 4)
    train = dataset.purchases("train")
    assert (train.purchases.tolist(), train.pieces.tolist()) == ([2], [40_000])


@pytest.mark.parametrize("quantity", [80_995, 2**31 - 1])
def test_a_single_row_of_many_pieces(tmp_path: Path, quantity: int) -> None:
    """Three such rows of one moment come to more than 32 bits hold."""
    content = LARGE + f"1,d,2019-12-31,{quantity}\n" * 3
    dataset, summary = made(tmp_path, content, columns={"quantity": "q"})
    assert (summary.purchases, summary.pieces) == (7, 40_003 + 3 * quantity)
    assert max(dataset.purchases("train").pieces.tolist()) == 3 * quantity


def test_ids_with_commas_and_blanks(tmp_path: Path) -> None:
    others = "".join(f"u{n},i{n},2019-12-0{n + 1}\n" for n in range(9))
    own = '1,"10,5",2020-01-01\n1,10,2020-01-02\n1,5,2020-01-03\n1,t ,2020-01-04\n'
    dataset, summary = made(tmp_path, HEADER + own + others)
    assert (summary.purchases, summary.clients, summary.items) == (13, 10, 13)
    assert dataset.item_ids[:3] == ["10", "10,5", "5"]
    for one in ("10,5", "10", "5", "t "):
        assert dataset.item_id(int(dataset.item_index([one])[0])) == one
    assert dataset.item_index(["10,5", "t "]).tolist() == [1, dataset.item_ids.index("t ")]


def test_five_items_are_prepared(tmp_path: Path) -> None:
    content = HEADER + "".join(f"u{n},s{(n + day) % 5},2020-01-0{day + 1}\n" for n in range(4) for day in range(5))
    _, summary = made(tmp_path, content)
    assert (summary.purchases, summary.clients, summary.items) == (20, 4, 5)
    assert summary.splits == {"train": 12, "validation": 4, "test": 4}


def hm_parquet(tmp_path: Path, name: str) -> Path:
    days = [datetime(2018, 9, day, tzinfo=UTC).replace(tzinfo=None) for day in (1, 2, 20)]
    bought = {"customer_id": pa.array(["a" * 64] * 3, pa.large_string()), "article_id": pa.array([1, 2, 3])}
    pq.write_table(pa.table({"t_dat": pa.array(days, pa.timestamp("us")), **bought}), tmp_path / "t.parquet")
    with zipfile.ZipFile(tmp_path / "hm.zip", "w") as archive:
        archive.write(tmp_path / "t.parquet", name)
    return tmp_path / "hm.zip"


@pytest.mark.parametrize("name", ["transactions_train.parquet", "h-and-m/transactions_train.parquet"])
def test_parquet_in_an_archive_of_hm(tmp_path: Path, name: str) -> None:
    summary = prepare("hm", hm_parquet(tmp_path, name), tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (summary.purchases, summary.clients, summary.items) == (3, 1, 3)
    assert dataset.manifest.time_unit == "day"
    assert rows(dataset) == [("a" * 64, f"000000000{n}", day) for n, day in ((1, 17775), (2, 17776), (3, 17794))]


def test_seconds_as_floats(tmp_path: Path) -> None:
    """In CSV as in Parquet: 881250949.0 is a moment of December 1997."""
    raw = read(tmp_path, HEADER + "1,a,881250949.0\n")
    assert (raw.time_unit, moments(raw)) == ("second", ["1997-12-04 15:55:49"])
    pq.write_table(pa.table({"user": [1], "sku": ["a"], "at": [881250949.0]}), tmp_path / "t.parquet")
    of_parquet = source.read(Request((tmp_path / "t.parquet",), 0, reading=Reading(COLUMNS)))
    assert of_parquet.time.tolist() == raw.time.tolist()


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2019-10-01 00:00:00 +0200", "2019-09-30 22:00:00"),
        ("2019-10-01 00:00:00 +02:00", "2019-09-30 22:00:00"),
        ("2019-10-01 00:00:00 UTC", "2019-10-01 00:00:00"),
    ],
)
def test_offsets_after_a_blank(tmp_path: Path, text: str, moment: str) -> None:
    raw = read(tmp_path, HEADER + f"1,a,{text}\n")
    assert (raw.time_unit, moments(raw)) == ("second", [moment])


def test_one_date_that_stands_apart(tmp_path: Path) -> None:
    """Which it is, how large the gap is, what is held out, and which option mends it."""
    content = bought_once(4) + "u1,s1,2033-01-01\n"
    dataset, summary = made(tmp_path, content, split="temporal")
    assert (summary.purchases, summary.splits["validation"], summary.splits["test"]) == (33, 0, 1)
    (note,) = [note for note in summary.notes if "--to 2020-01-08" in note]
    gap = (datetime(2033, 1, 1) - datetime(2020, 1, 8)).days - 1
    assert "1 purchase on 2033-01-01" in note
    assert f"{gap:,} days" in note
    assert "validation holds 0 and test 1 purchase" in note
    assert any("from 2020-01-01 to 2033-01-01" in note for note in summary.notes)
    assert list(summary.notes) == list(dataset.manifest.notes)


def test_dates_in_the_future_are_told(tmp_path: Path) -> None:
    year = datetime.now(UTC).year + 2
    _, summary = made(tmp_path, bought_once() + f"u0,m9,{year}-01-01\nu1,m9,1970-01-02\n")
    assert any(f"on {year}-01-01, after today" in note and "--time-format" in note for note in summary.notes)
    assert any("on 1970-01-02, before 1990" in note and "--time-format" in note for note in summary.notes)


def test_a_shop_without_a_gap_is_not_warned_of(tmp_path: Path) -> None:
    content = HEADER + "".join(f"u{day % 5},s{day % 7},2020-0{day // 28 + 1}-{day % 28 + 1:02}\n" for day in range(84))
    _, summary = made(tmp_path, content, split="temporal")
    assert not [note for note in summary.notes if "--to" in note or "--from" in note]


def test_packed_by_bzip2(tmp_path: Path) -> None:
    raw = read(tmp_path, bz2.compress((HEADER + "1,a,2020-01-01\n").encode()))
    assert (raw.client.to_pylist(), raw.item.to_pylist(), moments(raw)) == (["1"], ["a"], ["2020-01-01 00:00:00"])


def test_ids_as_floats(tmp_path: Path) -> None:
    """17850.0 is customer 17850 of the customer table; said once."""
    customers = tmp_path / "customers.csv"
    customers.write_text("user,country\n17850,UK\n")
    dataset, summary = made(
        tmp_path,
        HEADER + "17850.0,a,2020-01-01\n17850.0,b,2020-01-02\n17850.0,c,2020-01-03\n",
        columns={"customer.country": "country"},
        reading=Reading(customer_table=customers),
    )
    assert dataset.client_ids == ["17850"]
    assert [field.vocabulary for field in dataset.manifest.client_fields] == [("UK",)]
    assert dataset.client_codes.tolist() == [[1]]
    assert [note for note in summary.notes if "decimals" in note] == [
        "ids of case.csv had become decimals, as 17850.0 for 17850: 1 restored"
    ]
    assert not any("not in the table of customers" in note for note in summary.notes)


def test_quantity_as_float(tmp_path: Path) -> None:
    raw = read(tmp_path, "user,sku,at,q\n17850.0,a,2020-01-01,1.0\n", quantity="q")
    assert raw.quantity is not None
    assert raw.quantity.tolist() == [1]
