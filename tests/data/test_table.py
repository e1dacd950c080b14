import csv
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.prepare import Summary, prepare
from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.reading.frames import as_table
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.sources import table as source
from spfedrec_cli.data.sources.table import parse_columns
from spfedrec_cli.errors import InputError

COLUMNS = "customer=user,item=sku,time=at"
HEADER = "user,sku,at"
ANY = FORMS["any"].described
GOOD = "u,s,2020-09-22,1,1"


@dataclass(frozen=True)
class Shop:
    """A folder with a table of purchases."""

    folder: Path

    def write(self, *lines: str, header: str = HEADER, name: str = "shop.csv") -> Path:
        (self.folder / name).write_text("\n".join([header, *lines]) + "\n")
        return self.folder / name

    def read(self, path: Path | pa.Table, columns: str = COLUMNS, skip: bool = False, **tables: Path) -> Raw:
        reading = Reading(parse_columns(columns), **tables)  # type: ignore[arg-type]
        return source.read(Request((path,), 0, rejects=Rejects(skip), reading=reading))

    def read_all(self, table: Any) -> list[tuple[object, ...]]:
        raw = self.read(as_table(table))
        return list(zip(raw.client.to_pylist(), raw.item.to_pylist(), raw.time.tolist(), strict=True))

    def prepare(self, path: Path, columns: str = COLUMNS, **options: object) -> tuple[Dataset, Summary]:
        out = self.folder / "out"
        summary = prepare("table", path, out, columns=parse_columns(columns), **options)  # type: ignore[arg-type]
        return Dataset.open(out), summary


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def plain(values: Mapping[str, pa.Array]) -> dict[str, list[str | None]]:
    return {name: column.dictionary_decode().to_pylist() for name, column in values.items()}


def test_columns_are_named_by_their_roles() -> None:
    text = "customer=user id, item=sku,time=at,price=€,quantity=n,name=title,item.colour=c,customer.age=a=b"
    assert parse_columns(text) == {
        "customer": "user id", "item": "sku", "time": "at", "price": "€", "quantity": "n", "name": "title",
        "item.colour": "c", "customer.age": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"'' does not say which column plays which role \(--columns\); write --columns customer=user_id"),
        ("customer", "'customer' does not say which column"),
        ("customer=a,,item=b", "'' does not say which column"),
        ("customer=", "'customer=' does not say"),
        ("=a", "'=a' does not say"),
        ("customer=a,customer=b", r"The role customer is given twice \(--columns\)"),
        ("item=b", r"No column is named for customer \(--columns\); write --columns customer=user_id"),
        ("time=b", "No column is named for customer and item"),
        ("costumer=a", "There is no role 'costumer' .*; did you mean customer? The roles are customer, item, time"),
        ("customer=a,item=b,item.=c", r"There is no role 'item.' .*did you mean item"),
        ("zzz=a", "There is no role 'zzz' .*; roles are customer, item, time, price, quantity, name, item.FIELD"),
        ("customer=a,item=a,time=b", "The column a cannot be both customer and item"),
        ("customer=a,item=b,time=c,item.x=b", "The column b cannot be both item and item.x"),
    ],
)
def test_what_is_wrong_with_the_names(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        parse_columns(text)


MOMENTS = {
    "2020-09-22": (18527, "day"),
    "1970-01-01": (0, "day"),
    "2020-09-22T10:30:00": (1600770600, "second"),
    "2020-09-22 10:30": (1600770600, "second"),
    "2020-09-22 10:30:00.999": (1600770600, "second"),
    "2020-09-22T10:30:00Z": (1600770600, "second"),
    "2020-09-22T12:30:00.5+02:00": (1600770600, "second"),
    "1969-12-31T23:59:59.5": (-1, "second"),
    "1600770600": (1600770600, "second"),
    "1600770600999": (1600770600, "second"),
}


@pytest.mark.parametrize("text", MOMENTS)
def test_moments_in_every_form(shop: Shop, text: str) -> None:
    raw = shop.read(shop.write(f"u,s,{text}", f"v,s,{text}"))
    assert (raw.time.tolist(), raw.time_unit) == ([MOMENTS[text][0]] * 2, MOMENTS[text][1])
    expected = ["shop.csv: times are milliseconds since 1970: whole seconds are kept"] * (len(text) == 13)
    assert list(raw.notes) == expected


NOON = datetime(2020, 9, 22, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "values, time, unit",
    [
        (pa.array([NOON.date()]), 18527, "day"),
        (pa.array([NOON.date()], pa.date64()), 18527, "day"),
        (pa.array([NOON], pa.timestamp("ns")), 1600770600, "second"),
        (pa.array([NOON], pa.timestamp("ms", "Europe/Stockholm")), 1600770600, "second"),
        (pa.array([1600770600], pa.int32()), 1600770600, "second"),
        (pa.array([1600770600.0]), 1600770600, "second"),
        (pa.array([1600770600999]), 1600770600, "second"),
        (pa.array(["2020-09-22"]).dictionary_encode(), 18527, "day"),
        (pa.array(["2020-09-22T12:30:00+02:00"]), 1600770600, "second"),
    ],
)
def test_moments_of_parquet(shop: Shop, values: pa.Array, time: int, unit: str) -> None:
    path = shop.folder / "shop.parquet"
    pq.write_table(pa.table({"user": [7], "sku": ["s"], "at": values}), path)
    raw = shop.read(path)
    assert (raw.time.tolist(), raw.time_unit) == ([time], unit)
    assert raw.client.to_pylist() == ["7"]


@pytest.mark.parametrize(
    "first", ["2020-09-22", "2020-09-22T10:30:00", "2020-09-22T10:30Z", "1600770600", "1600770600999"]
)
@pytest.mark.parametrize("other", ["soon", "", "2020-09-22T10:30:00", "2020-09-22T10:30Z", "1600770600"])
def test_a_moment_of_another_form_is_a_bad_row(shop: Shop, first: str, other: str) -> None:
    if first == other:
        return
    path = shop.write(f"u,s,{first}", f"u,s,{first}", f"u,s,{other}", f"u,s,{first}")
    with pytest.raises(InputError, match=r"The at '.*' is not a .* \(.*shop.csv, line 4\)"):
        shop.read(path)
    assert len(shop.read(path, skip=True).time) == 3


def test_the_form_is_that_of_the_first_moment_that_is_one(shop: Shop) -> None:
    path = shop.write("u,s,soon", "u,short", "u,s,2020-09-22")
    with pytest.raises(InputError, match=r"The at 'soon' is not a date like 2020-09-22 \(.*line 2\)"):
        shop.read(path)
    assert shop.read(path, skip=True).time.tolist() == [18527]
    with pytest.raises(
        InputError, match=r"'soon' is not a date like .*, a date and time like .* or a number of seconds"
    ):
        shop.read(shop.write("u,s,soon"))
    assert len(shop.read(shop.write("u,s,soon"), skip=True).time) == 0


@pytest.mark.parametrize("moment", ["2039-01-01T00:00:00", "1800-01-01T00:00:00", "2020-02-30T00:00:00"])
def test_moments_that_there_are_not(shop: Shop, moment: str) -> None:
    with pytest.raises(InputError, match=r"is not a date and time like .*line 3\)"):
        shop.read(shop.write("u,s,2020-09-22T10:30:00", f"u,s,{moment}"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_stands_between_values_is_found_out(shop: Shop, delimiter: str) -> None:
    lines = ["u,s,2020-09-22,1", 'v,"s, 2",2020-09-22,'.replace(", ", f"{delimiter} ")]
    path = shop.write(*(line.replace(",", delimiter) for line in lines), header=f"{HEADER},p".replace(",", delimiter))
    raw = shop.read(path, COLUMNS + ",price=p")
    assert raw.item.to_pylist() == ["s", f"s{delimiter} 2"]
    assert raw.price[0] == 1
    assert np.isnan(raw.price[1])


@pytest.mark.parametrize(
    "line, message",
    [
        (",s,2020-09-22,1,1", rf"The user '' is not {ANY} \(.*shop.csv, line 2\); .* --drop-missing"),
        ("nan,s,2020-09-22,1,1", rf"The user 'nan' is not {ANY} \(.*line 2\); .* --drop-missing"),
        ("u,NULL,2020-09-22,1,1", rf"The sku 'NULL' is not {ANY} \(.*line 2\); .* --drop-missing"),
        ("u,  ,2020-09-22,1,1", rf"The sku '  ' is not {ANY} \(.*line 2\); .* --drop-missing"),
        ("u,s,,1,1", r"The at '' is not a date .*line 2\); leave such rows out with --drop-missing"),
        (
            "u,s,2020-09-22,-1,1",
            r"The p '-1' is not a price .*line 2\); mend .*or leave bad rows out with --skip-bad-rows",
        ),
        ("u,s,2020-09-22,1,0", r"The n '0' is not a quantity from 1 to 2,147,483,647 .*; .* --returns drop"),
        ("u,s,2020-09-22,1,-6.0", r"The n '-6.0' is not a quantity .*line 2\); leave returns out with --returns drop"),
        ("u,s,2020-09-22,1,2147483648", r"The n '2147483648' is not a quantity .*line 2\); mend or remove that line"),
        ("u,s,2020-09-22,1,1.5", r"The n '1.5' is not a quantity"),
        ("u,s,2020-09-22,1,", r"The n '' is not a quantity"),
        ("u,s,2020-09-22,1", r"The line has 4 columns where the first has 5"),
    ],
)
def test_a_bad_value_is_named_with_its_line(shop: Shop, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        shop.read(shop.write(line, GOOD, header=HEADER + ",p,n"), COLUMNS + ",price=p,quantity=n")


def test_columns_that_the_file_lacks(shop: Shop) -> None:
    path = shop.write("u,s,2020-09-22")
    with pytest.raises(InputError, match=r"The column when is missing \(.*line 1\); its columns are user, sku, at"):
        shop.read(path, "customer=user,item=sku,time=when")
    with pytest.raises(InputError, match="The column colour is missing") as refused:
        shop.read(path, COLUMNS + ",item.colour=colour")
    assert "--no-header" not in str(refused.value)
    path.write_text("u,s,2020-09-22\n")
    with pytest.raises(InputError, match=r"its columns are u, s, 2020-09-22; say --no-header where its first line hol"):
        shop.read(path)
    pq.write_table(pa.table({"user": ["u"]}), shop.folder / "t.parquet")
    with pytest.raises(InputError, match=r"The column sku is missing \(.*t.parquet\)"):
        shop.read(shop.folder / "t.parquet")
    pq.write_table(pa.table({"user": ["u"], "sku": ["s"], "at": [[1]]}), shop.folder / "t.parquet")
    with pytest.raises(InputError, match="the column at holds list"):
        shop.read(shop.folder / "t.parquet")


ROWS = (
    "u,s,2020-09-01,Sock,,old",
    "v,t,2020-09-02,Top,red,",
    "u,s,2020-09-03,Socks,blue,young",
    "u,s,2020-09-04,,nan,None",
)
DESCRIBED = COLUMNS + ",name=title,item.colour=c,customer.age=a"


def test_the_last_word_in_the_purchases_counts(shop: Shop) -> None:
    raw = shop.read(shop.write(*ROWS, header=HEADER + ",title,c,a"), DESCRIBED)
    assert raw.items.ids.to_pylist() == ["s", "t"]
    assert plain(raw.items.display) == {"name": ["Socks", "Top"]}
    assert plain(raw.items.fields) == {"colour": ["blue", "red"]}
    assert raw.clients.ids.to_pylist() == ["u", "v"]
    assert plain(raw.clients.fields) == {"age": ["young", None]}


def test_tables_of_items_and_customers(shop: Shop) -> None:
    path = shop.write("u,s,2020-09-01", "v,t,2020-09-02", "w,x,2020-09-03", "u,s,2020-09-22")
    items = shop.write("s;Socks;blue", "t;Top;", "never;Hat;red", header="sku;title;c", name="items.csv")
    pq.write_table(pa.table({"user": ["v", "u"], "a": [30, None]}), shop.folder / "customers.parquet")
    customers = shop.folder / "customers.parquet"
    dataset, summary = shop.prepare(path, DESCRIBED, reading=Reading(item_table=items, customer_table=customers))
    assert dataset.item_ids == ["never", "s", "t", "x"]
    assert [entry.vocabulary for entry in dataset.manifest.item_fields] == [("blue", "red")]
    assert dataset.item_codes.ravel().tolist() == [2, 1, 0, 0]
    assert dataset.item_labels([1, 3]) == [{"name": "Socks"}, {}]
    assert dataset.client_codes.ravel().tolist() == [0, 1, 0]
    in_memory: Any = {"item_table": pd.read_csv(items, sep=";"), "customer_table": str(customers)}
    shop.prepare(path, DESCRIBED, reading=Reading(**in_memory))
    assert Dataset.open(shop.folder / "out").manifest.files == dataset.manifest.files
    assert dataset.manifest.time_unit == "day"
    assert summary.notes[-3:] == [
        "1 item sold but not in the catalogue: kept, features unknown",
        "1 client not in the table of customers: kept, features unknown",
        "test is of 1 client, too few to tell models apart: prepare more customers or more time",
    ]


@pytest.mark.parametrize("theirs, told", [(("1", "2"), True), (("001", "2"), False), (("1.0", "A"), True)])
def test_a_table_that_describes_nobody_writes_ids_otherwise(shop: Shop, theirs: tuple[str, str], told: bool) -> None:
    path = shop.write("u,001,2020-09-01", "u,002,2020-09-22")
    items = shop.write(*(f"{one},x" for one in theirs), header="sku,c", name="items.csv")
    _, summary = shop.prepare(path, COLUMNS + ",item.c=c", reading=Reading(item_table=items))
    sentence = (
        f"items.csv describes no item of the purchases: write ids alike in both, as {theirs[0]!r} there and '001' in"
    )
    assert any(note.startswith(sentence) for note in summary.notes) == told


def test_rows_of_nobody_are_left_out_of_the_tables_too(shop: Shop) -> None:
    path = shop.write("u,s,2020-09-01", "u,t,2020-09-22")
    items = shop.write("s,x", ",y", "t,z", header="sku,c", name="items.csv")
    with pytest.raises(
        InputError, match=r"The sku '' is not .*items.csv, line 3\); leave such rows out with --drop-missing"
    ):
        shop.prepare(path, COLUMNS + ",item.c=c", reading=Reading(item_table=items))
    dataset, summary = shop.prepare(path, COLUMNS + ",item.c=c", reading=Reading(item_table=items, drop_missing=True))
    assert dataset.item_codes.ravel().tolist() == [1, 2]
    assert "1 row of items.csv left out: --drop-missing" in summary.notes


def test_a_table_beside_no_purchases_is_no_reason_to_fall(shop: Shop) -> None:
    items = shop.write("s,blue", header="sku,c", name="items.csv")
    reading = Reading(item_table=items, where=("sku=other",))
    with pytest.raises(
        InputError, match=r"The input holds no purchases .*; 1 row of shop.csv left out: --where sku=oth"
    ):
        shop.prepare(shop.write("u,s,2020-09-01"), COLUMNS + ",item.colour=c", reading=reading)


def test_what_is_wrong_with_the_tables(shop: Shop) -> None:
    path = shop.write("u,s,2020-09-01")
    items = shop.write("s,blue", "s,red", header="sku,c", name="items.csv")
    columns = COLUMNS + ",item.colour=c"
    with pytest.raises(
        InputError, match=r"The sku s has a second row that says something else \(.*items.csv, line 3\)"
    ):
        shop.read(path, columns, item_table=items)
    with pytest.raises(InputError, match=r"No column is named for --item-table \(--columns\); add item.FIELD=… to it"):
        shop.read(path, item_table=items)
    with pytest.raises(
        InputError, match=r"The table does not exist \(.*\); give a CSV or Parquet file with --customer-t"
    ):
        shop.read(path, COLUMNS + ",customer.a=a", customer_table=shop.folder / "nowhere")
    with pytest.raises(InputError, match=r"The column d is missing \(.*items.csv, line 1\); its columns are sku, c"):
        shop.read(path, columns + ",item.d=d", item_table=items)
    with pytest.raises(
        InputError, match=r"The table is not a file \(.*\); give a CSV or Parquet file with --item-table"
    ):
        shop.read(path, columns, item_table=shop.folder)


def test_options_of_other_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The source table needs to know its columns; give --columns customer="):
        prepare("table", tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="The source sample knows its own columns; leave --columns out"):
        prepare("sample", None, tmp_path / "out", columns={"customer": "a", "item": "b"})
    with pytest.raises(InputError, match="The source hm knows its own columns; leave --item-table out"):
        prepare("hm", tmp_path, tmp_path / "out", reading=Reading(item_table=tmp_path))
    for name, option, reading in (
        ("movielens", "--returns", Reading(returns="drop")),
        ("movielens", "--no-header", Reading(header=False)),
        ("hm", "--timezone", Reading(timezone="Europe/Stockholm")),
    ):
        with pytest.raises(InputError, match=f"The source {name} has nothing to read so; leave {option} out"):
            prepare(name, tmp_path, tmp_path / "out", reading=reading)


def test_ids_are_looked_up_as_they_stand(shop: Shop) -> None:
    path = shop.write(" u ,s,2020-09-01", "u,S é,2020-09-02", "u,s,2020-09-22")
    dataset, _ = shop.prepare(path)
    assert dataset.client_ids == [" u ", "u"]
    assert [dataset.client_index(one) for one in (" u ", "u")] == [0, 1]
    assert dataset.item_index(["S é"]).tolist() == [0]
    with pytest.raises(InputError, match="'' is not a customer id; a customer id is a text of 1 character or more"):
        dataset.client_index("")


def test_without_times_the_order_of_rows_is_time(shop: Shop) -> None:
    """The notebook's own frame: leave-one-out unless the user says otherwise, which then has no dates to go by."""
    path = shop.write("u,c", "v,a", "u,a", "u,b", "u,c", header="user,sku")
    dataset, summary = shop.prepare(path, "customer=user,item=sku")
    assert (dataset.manifest.time_unit, dataset.manifest.split.kind) == ("row", "leave-one-out")
    held = {split: dataset.purchases(split) for split in SPLITS}
    assert {split: (part.item.tolist(), part.time.tolist()) for split, part in held.items()} == {
        "train": ([2, 0, 0], [0, 2, 1]), "validation": ([1], [3]), "test": ([2], [4])
    }  # fmt: skip
    assert summary.splits == {"train": 3, "validation": 1, "test": 1}
    with pytest.raises(
        InputError, match="A temporal split needs dates, and this source has none; use --split leave-one"
    ):
        shop.prepare(path, "customer=user,item=sku", split="temporal")


def test_the_order_of_rows_goes_on_through_several_inputs(shop: Shop) -> None:
    first = shop.write("u,c", "u,a", header="user,sku")
    second = shop.write("u,b", "v,a", header="user,sku", name="more.csv")
    raw = source.read(Request((first, second), 0, reading=Reading({"customer": "user", "item": "sku"})))
    assert (raw.time.tolist(), raw.item.to_pylist()) == ([0, 1, 2, 3], ["c", "a", "b", "a"])


def test_quantities_are_exact(shop: Shop) -> None:
    most = 2**31 - 1
    path = shop.write(*(f"u,{sku},2020-09-2{day},{n}" for sku, day, n in (
        ("s", 1, "6.0"), ("s", 1, f"{most}"), ("s", 1, f"{most}.0"), ("t", 2, "+1"), ("w", 3, " 32768 "))
    ), header=HEADER + ",n")  # fmt: skip
    dataset, summary = shop.prepare(path, COLUMNS + ",quantity=n", split="leave-one-out")
    assert (summary.purchases, summary.pieces) == (5, 6 + 2 * most + 1 + 32768)
    train = dataset.purchases("train")
    assert (train.purchases.tolist(), train.pieces.tolist()) == ([3], [6 + 2 * most])


@pytest.mark.parametrize("text", ["", "nan", "NaN", "NULL", "None", "<NA>", "#N/A", "NA", "NaT", r"\N"])
def test_what_is_missing_is_no_id_and_no_price(shop: Shop, text: str) -> None:
    """In CSV as in a table of pandas, where it is none."""
    path = shop.write(
        f"{text},s,2020-09-22,1", f"u,{text},2020-09-22,1", f"u,s,2020-09-22,{text}", header=HEADER + ",p"
    )
    reading = Reading(parse_columns(COLUMNS + ",price=p"), drop_missing=True)
    raw = source.read(Request((path,), 0, reading=reading))
    assert (raw.client.to_pylist(), raw.item.to_pylist()) == (["u"], ["s"])
    assert np.isnan(raw.price).all()
    assert len(shop.read(path, COLUMNS + ",price=p", skip=True).time) == 1


def shop_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user": [1.0, 1.0, 1.0, np.nan, 2.0],
            "sku": pd.Categorical(["a", "b", "c", "a", "a"]),
            "at": pd.to_datetime([f"2020-09-0{day} 12:00" for day in range(1, 6)]),
            "n": pd.array([1, 2, 3, 1, 70_000], "Int64"),
            "p": [0.5, None, 1.5, 1.0, 2.0],
        },
        index=[5, 5, 3, 2, 1],
    )


@pytest.mark.parametrize("form", ["pandas", "arrow", "chunked", "stream", "in the place of a path"])
def test_a_table_that_is_in_memory(shop: Shop, form: str) -> None:
    """As if it had been written to a file first."""
    frame, columns = shop_frame(), parse_columns(COLUMNS + ",quantity=n,price=p")
    how = {"columns": columns, "reading": Reading(drop_missing=True), "split": "leave-one-out"}
    frame.to_parquet(shop.folder / "t.parquet", index=False)
    prepare("table", shop.folder / "t.parquet", shop.folder / "expected", **how)  # type: ignore[arg-type]
    out, table = shop.folder / "out", pa.Table.from_pandas(frame, preserve_index=False)
    if form == "in the place of a path":
        summary = prepare("table", frame, out, **how)  # type: ignore[arg-type]
    else:
        chunked = pa.concat_tables([table.slice(0, 2), table.slice(2)])
        given = {"pandas": frame, "arrow": table, "chunked": chunked, "stream": chunked.to_reader()}[form]
        summary = prepare(given, output=out, **how)  # type: ignore[arg-type]
    dataset, expected = Dataset.open(out), Dataset.open(shop.folder / "expected")
    assert dataset.manifest.files == expected.manifest.files
    assert (dataset.client_ids, dataset.item_ids) == (["1", "2"], ["a", "b", "c"])
    assert (summary.purchases, summary.pieces) == (4, 70_006)
    assert dataset.purchases("train").time.tolist() == [1598961600, 1599307200]


def test_columns_and_paths_may_be_given_as_other_programs_have_them(shop: Shop) -> None:
    """As the option has columns, and paths of libraries."""

    class Place:
        def __fspath__(self) -> str:
            return str(shop.folder / "t.parquet")

    shop_frame().to_parquet(shop.folder / "t.parquet", index=False)
    how = {"columns": COLUMNS, "reading": Reading(drop_missing=True), "split": "leave-one-out"}
    for one in (shop_frame(), Place(), shop.folder / "t.parquet"):
        assert prepare(one, output=shop.folder / "out", **how).purchases == 4  # type: ignore[arg-type]


def test_what_is_no_table(tmp_path: Path) -> None:
    how = {"output": tmp_path / "out", "columns": parse_columns(COLUMNS)}
    with pytest.raises(InputError, match=r"int is no table; give a path, a pandas.DataFrame or a pyarrow.Table"):
        prepare(7, **how)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"An input stands behind a table; give both in one list, as prepare\(\[one, o"
    ):
        prepare(shop_frame(), shop_frame(), **how)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="The source hm reads files; give its path"):
        prepare("hm", shop_frame(), tmp_path / "out")
    with pytest.raises(InputError, match="Series is no table"):
        prepare(pd.Series([7]), **how)  # type: ignore[arg-type]
    texts = pd.DataFrame({"user": ["u", "1"], "sku": ["s", "t"], "at": ["2020-09-22"] * 2})
    with pytest.raises(InputError, match=r"The column sku is missing \(the table\); its columns are user"):
        prepare(texts[["user"]], **how)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^The input holds no purchases; check that it is the right one"):
        prepare(texts.head(0), **how)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


DAYS_AS_IDS = ["2020-09-22 00:00:00", "2020-09-22 10:30:00.5"]


@pytest.mark.parametrize(
    "values, ids",
    [
        ([22423, "85123A", 5.0, np.nan, None], ["22423", "5", "85123A"]),
        ([2**70, 7, 7, 7, 7], [str(2**70), "7"]),
        (pd.arrays.SparseArray([5, 7, 7, 7, 7]), ["5", "7"]),
        (pd.array([b"a", "b", "b", "b", "b"], object), ["a", "b"]),
        ([UUID(int=1), UUID(int=2**127), None, None, None], [str(UUID(int=1)), str(UUID(int=2**127))]),
        (pd.array(["é", "b", None, "b", "b"], "string[pyarrow]"), ["b", "é"]),
        (pd.Categorical([UUID(int=1), UUID(int=2), None, None, None]), [str(UUID(int=1)), str(UUID(int=2))]),
        (np.array([0.1, 2.5, 7, 7, 7], np.float32), ["0.1", "2.5", "7"]),
        ([np.float32(5), "5", b"5", 5, "85123A"], ["5", "85123A"]),
        (pd.to_datetime(["2020-09-22", "2020-09-22 10:30:00.5"] * 2 + [None], format="ISO8601"), DAYS_AS_IDS),
    ],
)
def test_ids_of_any_kind_in_a_frame(tmp_path: Path, values: Any, ids: list[str]) -> None:
    """As Excel leaves them in one column, and whatever the frame holds besides; its columns may be numbers."""
    days = pd.to_datetime([f"2020-0{month}-01" for month in (1, 2, 3, 9, 9)])
    frame = pd.concat(
        [pd.DataFrame({0: values, 1: list("abcde"), 2: days}), shop_frame().reset_index()[["n", "n"]]], axis=1
    )
    frame["junk"] = [[1], "x", 2.5, None, {3}]
    columns: Any = {"customer": 0, "item": 1, "time": 2}
    prepare(frame, output=tmp_path / "out", columns=columns, reading=Reading(drop_missing=True))
    assert Dataset.open(tmp_path / "out").client_ids == ids


NAIVE, STOCKHOLM = datetime(2020, 9, 22, 10, 30), datetime(2020, 9, 22, 12, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    "values, problem",
    [
        ([NAIVE.date(), NAIVE, None], "'2020-09-22 10:30:00' is not a date like 2020-09-22"),
        ([NAIVE, STOCKHOLM, STOCKHOLM], "'2020-09-22 10:30:00' is not a date, time and zone"),
        ([NAIVE, pd.Timestamp(NAIVE), STOCKHOLM], r"'2020-09-22 12:30:00\+02:00' is not a date and time"),
        (pd.to_timedelta([1, 2, 3], "D"), "the column at holds duration"),
        (pd.period_range("2020-07", periods=3, freq="M"), "the column at holds extension<pandas.period"),
        (
            pd.Categorical(pd.period_range("2020-07", periods=3, freq="M")),
            "the column at holds extension<pandas.period",
        ),
        (pd.Series(["2020-09-22", "\ud800", None], dtype=object), "the column at holds binary that is not UTF-8 text"),
    ],
)
def test_times_that_arrow_would_bend_are_refused(tmp_path: Path, values: Any, problem: str) -> None:
    """Days and moments in one column, moments with a zone and without, spans of time, half a letter."""
    frame = pd.DataFrame({"user": ["u"] * 3, "sku": list("xyz"), "at": pd.Series(values)})
    with pytest.raises(InputError, match=problem):
        prepare(frame, output=tmp_path / "out", columns=parse_columns(COLUMNS))


def test_what_a_table_in_memory_calls_its_columns(shop: Shop) -> None:
    """Levels of an index that have a name are columns, as in a file that the table is written to."""
    frame = shop_frame().dropna(subset="user")
    expected = shop.read_all(frame)
    for form in (
        frame.set_index(["at", "user"]),
        frame.set_index("at", append=True),
        frame.rename_axis("sku"),
        pa.RecordBatch.from_pandas(frame, preserve_index=False),
    ):
        assert shop.read_all(form) == expected


def test_blanks_around_names_count_in_no_form(shop: Shop) -> None:
    frame = pd.DataFrame({" user ": ["u"], "sku": ["s"], " at": ["2020-01-01"]})
    frame.to_csv(shop.folder / "t.csv", index=False)
    frame.to_parquet(shop.folder / "t.parquet")
    for form in (shop.folder / "t.csv", shop.folder / "t.parquet", as_table(frame)):
        for columns in (
            parse_columns(COLUMNS),
            source.check_columns({"customer": " user ", "item": "sku", "time": "at"}),
        ):
            assert source.read(Request((form,), 0, reading=Reading(columns))).client.to_pylist() == ["u"]


@pytest.mark.parametrize(
    "values, ids",
    [
        (pa.array(map(Decimal, ("0", "7", "100")), pa.decimal128(38, 10)), ["0", "7", "100"]),
        (pa.array(map(Decimal, ("0", "0.5", "7")), pa.decimal256(50, 12)), ["0", "0.500000000000", "7.000000000000"]),
        (pa.array(map(Decimal, ("0", "7", "100")), pa.decimal32(5, 2)), ["0", "7", "100"]),
        (pa.array(['{"a":1}', "2", '"x"'], pa.json_()), ['{"a":1}', "2", '"x"']),
    ],
)
def test_what_databases_write_to_parquet_is_read(shop: Shop, values: pa.Array, ids: list[str]) -> None:
    """Spark has a NUMBER of Oracle with ten places, of which nothing would be 0E-10."""
    table = pa.table({"user": values, "sku": list("abc"), "at": ["2020-01-01", "2020-01-02", "2020-09-01"]})
    pq.write_table(table, shop.folder / "t.parquet")
    for form in (shop.folder / "t.parquet", as_table(table)):
        assert source.read(Request((form,), 0, reading=Reading(parse_columns(COLUMNS)))).client.to_pylist() == ids


def test_uuids_of_parquet_are_their_text(shop: Shop) -> None:
    table = pa.table(
        {
            "user": pa.array([UUID(int=1).bytes, None, UUID(int=2**127).bytes], pa.uuid()),
            "sku": list("abc"),
            "at": ["2020-01-01", "2020-01-02", "2020-09-01"],
        }
    )
    pq.write_table(table, shop.folder / "t.parquet")
    raw = source.read(
        Request((shop.folder / "t.parquet",), 0, reading=Reading(parse_columns(COLUMNS), drop_missing=True))
    )
    assert raw.client.to_pylist() == [str(UUID(int=1)), str(UUID(int=2**127))]


def test_a_bad_row_of_a_table_in_memory_is_named(tmp_path: Path) -> None:
    frame = shop_frame()
    with pytest.raises(InputError, match=r"The user '' is not .* \(table 2, row 4\)"):
        prepare([frame.dropna(), frame], output=tmp_path / "out", columns=parse_columns(COLUMNS))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"The user '' is not .* \(the table, row 4\); .* --drop-missing"):
        prepare(frame, output=tmp_path / "out", columns=parse_columns(COLUMNS))
    wrong = frame.dropna(subset="user").assign(n=[1, -1, 1, 1])
    with pytest.raises(InputError, match=r"The n '-1' is not a quantity .*\(the table, row 2\); .* --returns drop"):
        prepare(wrong, output=tmp_path / "out", columns=parse_columns(COLUMNS + ",quantity=n"))


@pytest.mark.parametrize(
    "values, columns, hint",
    [
        (["22/09/2020", "23/09/2020"], COLUMNS.replace("time=at", "time=x"), "--time-format '%d/%m/%Y'"),
        (
            ["2020/09/22 10:30", "2020/09/22 11:30"],
            COLUMNS.replace("time=at", "time=x"),
            "--time-format '%Y/%m/%d %H:%M'",
        ),
        (["-1", "0"], COLUMNS + ",quantity=x", "--returns drop"),
        (["two", "three"], COLUMNS + ",quantity=x", "leave quantity= out"),
        (["1,50", "2,50"], COLUMNS + ",price=x", "write prices as 1234.5, or leave price= out of --columns"),
        (["", "NULL"], COLUMNS.replace("customer=user", "customer=x"), "name another column"),
        (["NA", " "], COLUMNS.replace("customer=user", "customer=x"), "name another column"),
        (["two"], COLUMNS + ",quantity=x", "leave quantity= out"),
        (["9/22/2020"], COLUMNS.replace("time=at", "time=x"), "--time-format '%m/%d/%Y'"),
        ([""], COLUMNS.replace("time=at", "time=x"), "name another column"),
    ],
)
def test_where_no_row_is_right_none_is_to_be_left_out(shop: Shop, values: list[str], columns: str, hint: str) -> None:
    """The sentence names what is wrong with all of them, and the option."""
    path = shop.write(*(f'u,s,2020-09-22,"{value}"' for value in values), header=HEADER + ",x")
    with pytest.raises(InputError, match=r"^The x '.*' is not .* \(.*shop.csv, line 2\); ") as caught:
        shop.read(path, columns)
    assert hint in str(caught.value)
    assert "--skip-bad-rows" not in str(caught.value)


@pytest.mark.parametrize("form, told", [("%Y-%m-%d %H:%M:%S", False), ("%Y-%m-%d %H:%M", True)])
def test_inputs_that_overlap_to_the_minute_alone_are_told(shop: Shop, form: str, told: bool) -> None:
    """Their rows count twice, and what is bought once seems to be bought again."""
    moments = [datetime(2020, 9, 1, 10, n, 30) for n in range(40)]
    one = shop.write(*(f"u{n},s,{at:%Y-%m-%d %H:%M:%S}" for n, at in enumerate(moments)))
    other = shop.write(*(f"u{n},s,{at:{form}}" for n, at in enumerate(moments)), name="other.csv")
    apart = shop.write(*(f"u{n},t,{at:{form}}" for n, at in enumerate(moments)), name="apart.csv")
    note = (
        "40 rows have customer, item and day of one in an earlier input, but another time of day: where they are the "
        "same purchases, write their times alike"
    )
    for inputs, found in (((one, other), told), ((one, apart), False)):
        raw = source.read(Request(inputs, 0, reading=Reading(parse_columns(COLUMNS))))
        assert (note in raw.notes) == found


def test_what_several_inputs_have_in_common_counts_once(shop: Shop) -> None:
    first = shop.write("u,s,2020-09-01,1", "u,s,2020-09-01,1", "u,t,2020-09-02,1", header=HEADER + ",n")
    second = shop.write(
        "u,t,2020-09-02,1",
        "u,s,2020-09-01,1",
        "u,t,2020-09-02,2",
        "v,s,2020-09-03,1",
        header=HEADER + ",n",
        name="more.csv",
    )
    reading = Reading(parse_columns(COLUMNS + ",quantity=n"))
    raw = source.read(Request((first, second), 0, reading=reading))
    assert list(zip(raw.client.to_pylist(), raw.item.to_pylist(), raw.time - 18500, raw.quantity, strict=True)) == [
        ("u", "s", 6, 1), ("u", "s", 6, 1), ("u", "t", 7, 1), ("u", "t", 7, 2), ("v", "s", 8, 1)
    ]  # fmt: skip
    assert raw.notes == ("2 rows stand in an earlier input too: they count once",)
    alone = source.read(Request((second,), 0, reading=reading))
    assert len(alone.time) == 4


def test_that_rows_in_common_cannot_be_told_is_said(shop: Shop) -> None:
    days = shop.write("u,s,2020-09-01", "u,t,2020-09-02")
    other = days.with_name("other.csv")
    other.write_text("user,sku,at\nu,s,2020-09-01 10:00\nu,t,2020-09-02 10:00\n")
    for columns in ({"customer": "user", "item": "sku", "time": "at"}, {"customer": "user", "item": "sku"}):
        for inputs in ((days, other), (days,), (days, days)):
            raw = source.read(Request(inputs, 0, reading=Reading(columns)))
            said = any(note.startswith("rows in common count twice") for note in raw.notes)
            assert said == (len(inputs) > 1 and (other in inputs or "time" not in columns))


@pytest.mark.parametrize("top", ["# made in 2020", "Sales 2020,,", "user^sku^at", "user sku at"])
def test_a_first_line_that_names_not_each_column_is_told_as_such(shop: Shop, top: str) -> None:
    path = shop.write("u,s,2020-09-22")
    path.write_text(f"{top}\n{path.read_text()}")
    with pytest.raises(InputError, match=r"line 2 names it: take away what stands above"):
        shop.read(path)
    path.write_text(f"{top}\nu,s,2020-09-22\n")
    with pytest.raises(InputError, match=r"its columns are .*; the first line has to hold the names of all, with a "):
        shop.read(path)


def test_a_column_of_another_table_is_to_be_renamed_there(shop: Shop) -> None:
    path, items = shop.write("u,s,2020-09-22"), shop.folder / "items.csv"
    items.write_text("SKU,c\ns,red\n")
    with pytest.raises(InputError, match=r"The column sku is missing \(.*items.csv, line 1\); rename SKU to sku there"):
        shop.read(path, COLUMNS + ",item.colour=c", item_table=items)


@pytest.mark.parametrize("columns", ["customer=user,item=sku", COLUMNS])
def test_where_files_were_put_one_behind_another_their_headers_are_left_out(shop: Shop, columns: str) -> None:
    raw = shop.read(shop.write("u,s,2020-09-22", "user,sku,at", "user,sku2,2020-09-23", "user,sku,at"), columns)
    assert raw.item.to_pylist() == ["s", "sku2"]
    assert "2 rows of shop.csv left out: the header once more" in raw.notes


def test_a_header_that_comes_again_may_have_its_mark(shop: Shop) -> None:
    """What Windows calls UTF-8 begins with a mark, which then stands in the middle."""
    file = shop.write("u,s,2020-09-22", "\ufeffuser,sku,at", '\ufeff"user","sku","at"', "u,s2,2020-09-23")
    assert shop.read(file, "customer=user,item=sku").item.to_pylist() == ["s", "s2"]


@pytest.mark.parametrize("name", ["shop.csv", "country=UK/shop.csv"])
def test_a_header_that_comes_again_may_have_blanks_and_lie_in_a_folder_that_tells_a_column(
    shop: Shop, name: str
) -> None:
    path = shop.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("user, sku\nu,s\nuser, sku\n")
    assert shop.read(path, "customer=user,item=sku").item.to_pylist() == ["s"]


def test_numbers_of_columns_are_ids_too(shop: Shop) -> None:
    raw = shop.read(shop.write("1,2,2020-09-22", header="1,2,2020-09-21"), "customer=1,item=2", header=False)
    assert raw.item.to_pylist() == ["2", "2"]


def test_parts_without_a_header_that_have_other_columns_are_told(tmp_path: Path) -> None:
    """The number of a column is all there is to know it by."""
    for name, line in (("a.csv", "u,s,x"), ("b.csv", "v,t,x"), ("c.csv", "0,u,s,x"), ("d.csv", "u,s")):
        (tmp_path / name).write_text(f"{line}\n")
    reading = Reading({"customer": "1", "item": "2"}, header=False)
    note = "c.csv has 4 columns where a.csv has 3: see that their numbers say the same"
    assert note in source.read(Request((tmp_path,), 0, reading=reading)).notes
    (tmp_path / "c.csv").unlink()
    (tmp_path / "d.csv").unlink()
    assert source.read(Request((tmp_path,), 0, reading=reading)).notes == ()


def test_names_of_parts_of_one_input_must_be_the_same(tmp_path: Path) -> None:
    """The sentence says what makes one table of them: it then does."""
    for name, header in (("a.csv", "Customer ID,sku,at"), ("b.csv", "CustomerID,sku,at")):
        (tmp_path / name).write_text(f"{header}\nu,{name},2020-01-01\n")
    reading = Reading({"customer": "Customer ID", "item": "sku", "time": "at"})
    with pytest.raises(
        InputError, match=r"did you mean CustomerID\? Files that call it differently are given each with"
    ):
        source.read(Request((tmp_path,), 0, reading=reading))
    raw = source.read(Request((tmp_path / "a.csv", tmp_path / "b.csv"), 0, reading=reading))
    assert raw.client.to_pylist() == ["u", "u"]


def test_one_row_in_common_is_one_row(shop: Shop) -> None:
    first, second = shop.write("u,s,2020-09-01"), shop.write("u,s,2020-09-01", name="more.csv")
    raw = source.read(Request((first, second), 0, reading=Reading(parse_columns(COLUMNS))))
    assert raw.notes == ("1 row stands in an earlier input too: it counts once",)


def test_the_last_row_that_says_something_of_an_item_counts_one_in_common_too(shop: Shop) -> None:
    header = HEADER + ",c"
    first = shop.write("u,s,2020-09-01,", "u,t,2020-09-01,red", header=header)
    second = shop.write("u,s,2020-09-01,blue", "u,t,2020-09-02,None", header=header, name="more.csv")
    raw = source.read(Request((first, second), 0, reading=Reading(parse_columns(COLUMNS + ",item.colour=c"))))
    assert (raw.item.to_pylist(), plain(raw.items.fields)) == (["s", "t", "t"], {"colour": ["blue", "red"]})
    assert len(raw.client) == len(raw.time) == len(raw.price) == 3


def test_a_column_of_a_later_input_is_not_two_of_the_first(shop: Shop) -> None:
    """Without customers, what is called like them would be taken for them."""
    first = shop.write("u,s,2020-09-01,Lund", header=HEADER + ",user city")
    second = shop.write("Lund,s,2020-09-02", header="user_city,sku,at", name="more.csv")
    reading = Reading(parse_columns(COLUMNS + ",customer.city=user city"))
    with pytest.raises(InputError, match=r"^The column user_city cannot be both user and user city \(.*more.csv\); "):
        source.read(Request((first, second), 0, reading=reading))


def test_one_customer_stays_one_where_a_single_input_holds_whole_numbers_alone(shop: Shop) -> None:
    """Ids are mended by the whole column: `7.0` beside `TEST` is a text, in whichever input it stands."""
    first = shop.write("7.0,s,2020-09-01")
    second = shop.write("7.0,t,2020-09-02", "TEST,s,2020-09-03", name="more.csv")
    raw = source.read(Request((first, second), 0, reading=Reading(parse_columns(COLUMNS))))
    assert raw.client.to_pylist() == ["7.0", "7.0", "TEST"]
    assert not any("restored" in note for note in raw.notes)


def test_ids_that_two_inputs_write_in_two_ways_are_told(shop: Shop) -> None:
    first, second = shop.write("u,007,2020-09-01"), shop.write("U,7,2020-09-02", name="more.csv")
    raw = source.read(Request((first, second), 0, reading=Reading(parse_columns(COLUMNS))))
    assert [note.partition(" is ")[0] for note in raw.notes] == ["1 customer", "1 item"]


def test_without_times_nothing_can_be_told_to_be_the_same(shop: Shop) -> None:
    """Whoever buys milk in both years bought it twice; no moment says that it is the same purchase."""
    first, second = (shop.write("u,s", "v,s", header="user,sku", name=name) for name in ("a.csv", "b.csv"))
    raw = source.read(Request((first, second), 0, reading=Reading({"customer": "user", "item": "sku"})))
    assert raw.client.to_pylist() == ["u", "v", "u", "v"]


IDS = st.text(st.sampled_from("abé \"'0\t"), min_size=1, max_size=4).filter(str.strip)
ROW = st.tuples(IDS, IDS, st.integers(0, 40 * 24), st.integers(1, 9), st.sampled_from([None, 0.0, 0.25, 10.0]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(ROW, max_size=20), days=st.booleans(), form=st.sampled_from(["csv", "parquet", "frame"]))
def test_any_table_is_prepared_as_ten_lines_of_pandas_do_it(
    shop: Shop, rows: list[tuple[str, str, int, int, float | None]], days: bool, form: str
) -> None:
    start = datetime(2020, 8, 1, tzinfo=UTC)
    rows = [("a", "b", 0, 1, 1.0), *rows, ("a", "c", 40 * 24, 1, None)]
    table = pd.DataFrame(rows, columns=["user", "sku", "at", "n", "p"])
    table["at"] = [
        (start + timedelta(hours=hours)).strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M:%S") for hours in table["at"]
    ]
    path = shop.folder / "table"
    table.to_parquet(path) if form == "parquet" else table.to_csv(path, index=False, quoting=csv.QUOTE_MINIMAL)
    columns = parse_columns(COLUMNS + ",quantity=n,price=p")
    summary = prepare("table", table if form == "frame" else path, shop.folder / "out", columns=columns)
    dataset = Dataset.open(shop.folder / "out")

    moment = pd.to_datetime(table["at"])
    table["time"] = (moment - pd.Timestamp("1970-01-01")) // pd.Timedelta(1, "D" if days else "s")
    table["spent"], table["priced"] = (table["n"] * table["p"]).fillna(0), table["n"] * table["p"].notna()
    last = moment.max().normalize()
    table["part"] = sum((moment >= last - pd.Timedelta(weeks * 7 - 1, "D")).astype(int) for weeks in (1, 2))
    table["row"] = range(len(table))
    merged = table.groupby(["user", "sku", "time"], as_index=False).agg(
        {"n": "sum", "spent": "sum", "priced": "sum", "part": "first", "row": ["first", "size"]}
    )
    merged.columns = [*merged.columns.get_level_values(0)[:-1], "purchases"]
    again = merged.groupby(["user", "sku"]).size() > 1
    assert dataset.manifest.repeated_pairs == pytest.approx(again.mean())
    assert (summary.purchases, summary.pieces) == (len(table), table["n"].sum())
    merged["user_bytes"] = merged["user"].str.encode("utf-8")
    merged = merged.sort_values(["user_bytes", "time", "row"])
    assert dataset.client_ids == sorted(set(table["user"]), key=str.encode)
    assert dataset.item_ids == sorted(set(table["sku"]), key=str.encode)
    assert dataset.manifest.time_unit == ("day" if days else "second")
    for number, split in enumerate(SPLITS):
        part, expected = dataset.purchases(split), merged[merged["part"] == number]
        assert [dataset.client_ids[one] for one in part.client] == expected["user"].tolist()
        assert [dataset.item_ids[one] for one in part.item] == expected["sku"].tolist()
        assert part.time.tolist() == expected["time"].tolist()
        assert part.pieces.tolist() == expected["n"].tolist()
        assert part.purchases.tolist() == expected["purchases"].tolist()
        assert summary.splits[split] == expected["purchases"].sum()
        price = expected["spent"] / expected["priced"].where(expected["priced"] > 0)
        np.testing.assert_allclose(part.price, price.to_numpy(float), rtol=1e-6)


def test_lists_among_other_values_are_no_ids(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["a", ["b"], 3], "sku": ["x", "y", "z"]})
    with pytest.raises(InputError, match="user"):
        prepare(frame, output=tmp_path / "out", columns={"customer": "user", "item": "sku"})


@pytest.mark.parametrize("guest", ["0", "-1", "guest", "cash & carry", "(none)"])
def test_the_condition_that_leaves_guests_out_does_so(shop: Shop, guest: str) -> None:
    known = [f"u{n},s{m},2020-0{m}-01" for n in range(30) for m in range(1, 4)]
    path = shop.write(
        *known, *[f"{guest},s{n % 9},2020-01-0{n % 9 + 1}" for n in range(99)], header="Customer ID,sku,at"
    )
    columns = COLUMNS.replace("user", "Customer ID")
    notes = shop.prepare(path, columns)[1].notes
    (where,) = [shlex.split(note.partition(" --where ")[2])[0] for note in notes if "of one customer" in note]
    summary = shop.prepare(path, columns, reading=Reading(parse_columns(columns), where=(where,)))[1]
    assert (summary.purchases, summary.clients) == (90, 30)
    assert not [note for note in summary.notes if "of one customer" in note]


def test_a_quantity_that_may_be_of_thousands_is_told(shop: Shop) -> None:
    path = shop.write("u,s,2020-01-01,12", "u,t,2020-01-02,1.000", "u,v,2020-02-03,3", header=HEADER + ",n")
    summary = shop.prepare(path, COLUMNS + ",quantity=n", split="leave-one-out")[1]
    assert summary.pieces == 16
    assert "shop.csv: n 1.000 is read as 1, beside 12: where the point marks thousands, write 1000" in summary.notes


@pytest.mark.parametrize(
    "one, other, told",
    [
        ("2020-01-01 10:30", "2020-01-01 10:30Z", True),
        ("2020-01-01 10:30", "1577874600", True),
        ("2020-01-01 10:30", "2020-01-01 12:30", False),
        ("2020-01-01 10:30Z", "1577874600", False),
        ("2020-01-01 10:30Z", "2020-01-01", False),
    ],
)
def test_files_of_which_some_say_their_zone_are_told(shop: Shop, one: str, other: str, told: bool) -> None:
    """Where the others are of another zone than UTC, rows in common are not found, and the order is another."""
    paths = (shop.write(f"u,s,{one}", name="a.csv"), shop.write(f"u,t,{other}", name="b.csv"))
    raw = source.read(Request(paths, 0, reading=Reading(parse_columns(COLUMNS))))
    said = (
        "times of some files say their zone, and of others not: these are in UTC; where that is wrong, write all alike"
    )
    assert (said in raw.notes) == told


@pytest.mark.parametrize("more, told", [([], True), (["u,more,2020-01-09"], False)])
def test_a_source_that_was_put_together_twice_is_told(shop: Shop, more: list[str], told: bool) -> None:
    rows = [f"u{n % 10},s{n % 7},2020-0{n % 9 + 1}-01" for n in range(40)]
    summary = shop.prepare(shop.write(*rows, *rows, *more), split="leave-one-out")[1]
    said = "every purchase is there 2 times or more: where the source was put together twice, keep half of it"
    assert (said in summary.notes) == told
