import gzip
import io
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tabular import PACK

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.sources import hm
from spfedrec_cli.data.subset import Subset
from spfedrec_cli.errors import InputError

WriteHm = Callable[..., Path]
GOOD = ("2020-09-22", "a", "0000000010", "0.5")


def read(path: Path) -> Raw:
    return hm.read(Request((path,), 0))


def texts(column: pa.DictionaryArray) -> list[str]:
    return column.dictionary_decode().to_pylist()  # type: ignore[no-any-return]


def test_a_small_folder(hm_folder: Path, tmp_path: Path) -> None:
    summary = prepare("hm", hm_folder, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (summary.purchases, summary.clients, summary.items) == (6, 3, 4)
    assert summary.splits == {"train": 3, "validation": 1, "test": 2}
    assert dataset.client_ids == ["a" * 64, "b" * 64, "c" * 64]  # b never bought
    assert dataset.item_ids == ["0000000010", "0000000020", "0000000030", "0000000099"]  # 30 never sold, 99 unknown
    train = dataset.purchases("train")
    assert (train.client.tolist(), train.item.tolist(), train.purchases.tolist()) == ([0, 2], [0, 3], [2, 1])
    assert train.price[0] == pytest.approx(0.4)
    assert np.isnan(train.price[1])
    assert summary.notes == [
        "1 row goes over several lines, from line 2 to 3 of articles.csv",
        "articles.csv lacks product_group_name, graphical_appearance_no, perceived_colour_master_id, department_no, "
        "index_code, section_no, garment_group_no: left out",
        "purchases from 2020-08-01 to 2020-09-22",
        "3 purchases from 2020-09-10 to 2020-09-22, behind a gap of 38 days: "
        "validation holds 1 and test 2 purchases; --to 2020-08-02 ends before it, "
        "but leaves too little to split",
        "25.0% of pairs of customer and item, a single one, were bought again: bought items leave the ranking "
        "(--repeats overrules it)",
        "1 item sold but not in the catalogue: kept, features unknown",
        "1 client not in the table of customers: kept, features unknown",
        "validation is of 1 client, too few to tell models apart: prepare more customers or more time",
        "test is of 2 clients, too few to tell models apart: prepare more customers or more time",
    ]


def test_features_and_labels(hm_folder: Path, tmp_path: Path) -> None:
    prepare("hm", hm_folder, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    fields = {entry.name: entry for entry in dataset.manifest.item_fields}
    assert [field.name for field in dataset.item_fields] == ["product_type", "colour"]
    assert fields["product_type"].vocabulary == ("-1", "253", "302")
    assert fields["colour"].vocabulary == ("09", "10")
    assert dataset.item_codes.tolist() == [[2, 1], [3, 2], [1, 1], [0, 0]]
    names = [field.name for field in dataset.client_fields]
    assert names == ["age_bucket", "club_status", "news_frequency", "fn", "active"]
    assert dataset.client_codes.tolist() == [[1, 1, 0, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]
    assert dataset.item_labels([0, 2, 3]) == [
        {"name": "Strap top", "type": "Vest top", "colour": "Black"},
        {"type": "Unknown", "colour": "Black"},
        {},
    ]


def test_lost_zeros_come_back_once_noted(write_hm: WriteHm) -> None:
    raw = read(write_hm([("2020-09-22", "a", "10", "0.5"), ("2020-09-22", "a", "0000000010", "0.5"), GOOD]))
    assert texts(raw.item) == ["0000000010"] * 3
    notes = [note for note in raw.notes if "restored" in note]
    assert notes == ["ids of transactions_train.csv had lost their leading zeros: 1 restored"]


def test_articles_and_customers_may_be_absent(write_hm: WriteHm) -> None:
    raw = read(write_hm([GOOD], articles=None, customers=None))
    assert len(raw.items.ids) == len(raw.clients.ids) == 0
    assert raw.notes == (
        "articles.csv is absent: items have ids only, no features",
        "customers.csv is absent: clients have ids only, no features",
    )


def test_a_transactions_file_finds_the_others_beside_it(write_hm: WriteHm) -> None:
    folder = write_hm([GOOD])
    (folder / "transactions_train.csv").rename(folder / "mine.csv")
    raw = read(folder / "mine.csv")
    assert len(raw.items.ids) == 3
    assert len(raw.clients.ids) == 2


def test_bad_rows_of_all_files_are_skipped_and_listed_in_their_order(write_hm: WriteHm, tmp_path: Path) -> None:
    folder = write_hm([GOOD, ("2020-09-22", "a", "10", "dear"), ("2020-08-01", "a", "10", "1")])
    for name, key in (("customers.csv", "nobody"), ("articles.csv", "nothing")):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join([lines[0], ",".join([key, *lines[-1].split(",")[1:]]), *lines[1:]]))
    summary = prepare("hm", folder, tmp_path / "out", skip_bad_rows=True)
    listed = pyarrow.csv.read_csv(tmp_path / "out" / "skipped-rows.csv").to_pylist()
    assert [(row["file"], row["line"]) for row in listed] == [
        ("transactions_train.csv", 3),
        ("articles.csv", 2),
        ("customers.csv", 2),
    ]
    assert summary.skipped_rows == 3


def test_gzip_is_told_by_content(write_hm: WriteHm) -> None:
    folder = write_hm([GOOD])
    plain = folder / "transactions_train.csv"
    (folder / "transactions_train.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    expected = texts(read(folder).client)
    plain.unlink()
    assert texts(read(folder).client) == expected


def test_the_price_column_may_be_absent(write_hm: WriteHm) -> None:
    folder = write_hm([f"2020-09-22,{'a' * 64},10"], header="t_dat,customer_id,article_id")
    assert np.isnan(read(folder).price).all()


def test_a_price_that_is_missing_is_unknown(write_hm: WriteHm) -> None:
    raw = read(write_hm([("2020-09-22", "a", "10", text) for text in ("nan", "", "0.5")]))
    np.testing.assert_array_equal(raw.price, np.array([np.nan, np.nan, 0.5], np.float32))


@pytest.mark.parametrize(
    "form", ["2020-09-22 00:00", "2020-09-22 23:59:59", "20200922", "1600819199", "2020-09-22T23:59:59Z"]
)
def test_times_of_other_forms_are_days(write_hm: WriteHm, tmp_path: Path, form: str) -> None:
    """t_dat is a day, however it is written."""
    assert read(write_hm([(form, "a", "10", "1"), (form, "a", "20", "1")])).time.tolist() == [18527] * 2
    folder = write_hm([("22/09/2020", "a", "10", "1")] * 2)
    raw = hm.read(Request((folder,), 0, reading=Reading(time_format="%d/%m/%Y")))
    assert raw.time.tolist() == [18527] * 2
    with pytest.raises(InputError, match=r"'22/09/2020' is not a date .*; say .* --time-format '%d/%m/%Y'") as caught:
        read(folder)
    assert "--skip-bad-rows" not in str(caught.value)


@pytest.mark.parametrize("numbers", [range(1, 5), range(18_001, 18_005), range(202_001, 202_005)])
def test_numbers_that_tell_the_order_alone_keep_it(write_hm: WriteHm, tmp_path: Path, numbers: range) -> None:
    """As weeks do, or days since 1970: what the error about a temporal split advises then."""
    folder = write_hm([(str(number), "a", str(90 - place), "1") for place, number in enumerate(numbers)][::-1])
    with pytest.raises(InputError, match="or use --split leave-one-out where they tell the order alone"):
        prepare("hm", folder, tmp_path / "out")
    prepare("hm", folder, tmp_path / "out", split="leave-one-out")
    dataset = Dataset.open(tmp_path / "out")
    assert [dataset.item_id(int(dataset.truth(split).values[0]))[-2:] for split in ("validation", "test")] == [
        "88",
        "87",
    ]


@pytest.mark.parametrize(
    "values, day",
    [
        (pa.array([18527], pa.int32()).cast(pa.date32()), 18527),
        (pa.array([1600819199], pa.int64()).cast(pa.timestamp("s")), 18527),
        (pa.array([1600819199000], pa.timestamp("ms", "UTC")), 18527),
        (pa.array([-1], pa.timestamp("s")), -1),
    ],
)
def test_times_of_parquet_are_days(tmp_path: Path, values: pa.Array, day: int) -> None:
    table = pa.table({"t_dat": values, "customer_id": ["a" * 64], "article_id": [10]})
    pq.write_table(table, tmp_path / "transactions_train.parquet")
    raw = read(tmp_path)
    assert (raw.time.tolist(), texts(raw.item)) == ([day], ["0000000010"])


def test_times_that_are_coarse_floats_are_refused(tmp_path: Path) -> None:
    table = pa.table(
        {"t_dat": pa.array([1.6e9] * 2, pa.float32()), "customer_id": ["a" * 64] * 2, "article_id": [1, 2]}
    )
    pq.write_table(table, tmp_path / "transactions_train.parquet")
    with pytest.raises(InputError, match="The column t_dat holds 32-bit floats"):
        read(tmp_path)


def test_conditions_and_encodings(write_hm: WriteHm) -> None:
    folder = write_hm([GOOD, ("2020-09-22", "b", "10", "0.1")])
    raw = hm.read(Request((folder,), 0, reading=Reading(where=("price>=0.5",))))
    assert [one[0] for one in texts(raw.client)] == ["a"]
    for name in ("transactions_train.csv", "articles.csv", "customers.csv"):
        (folder / name).write_bytes((folder / name).read_text().replace("Strap", "Überwurf").encode("utf-16-le"))
    raw = hm.read(Request((folder,), 0, reading=Reading(encoding="utf-16-le")))
    assert texts(raw.items.display["name"])[0] == "Überwurf top"


@pytest.mark.parametrize("packing", ["gz", "bz2", "zst"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_transactions_in_every_packing(write_hm: WriteHm, packing: str, form: str) -> None:
    folder = write_hm([GOOD])
    plain = folder / "transactions_train.csv"
    content = plain.read_bytes()
    plain.unlink()
    path = folder / f"transactions_train.{form}.{packing}"
    path.write_bytes(PACK[packing](content if form == "csv" else as_parquet(content)))
    for place in (folder, path):
        raw = read(place)
        assert (texts(raw.item), len(raw.items.ids), len(raw.clients.ids)) == (["0000000010"], 3, 2)


@pytest.mark.parametrize(
    "row, message",
    [
        (("2020-02-30", "a", "10", "1"), r"t_dat '2020-02-30' is not a date like 2020-09-22 \(.*line 4\)"),
        (("2020-W01-1", "a", "10", "1"), r"t_dat '2020-W01-1' is not a date .*line 4"),
        (("22/09/2020", "a", "10", "1"), r"t_dat '22/09/2020' is not a date .*line 4"),
        (("", "a", "10", "1"), r"t_dat '' is not a date .*line 4"),
        (("2020-09-22", "x", "10", "1"), r"customer_id 'x{64}' is not 64 hexadecimal digits .*line 4"),
        (("2020-09-22", "ab", "10", "1"), r"customer_id '(ab){50}' is not 64 hexadecimal digits .*line 4"),
        (("2020-09-22", "a", "10.5", "1"), r"article_id '10.5' is not 10 digits .*line 4"),
        (("2020-09-22", "a", "", "1"), r"article_id '' is not 10 digits .*line 4"),
        (("2020-09-22", "a", "10", "dear"), r"price 'dear' is not a price .*line 4"),
        (("2020-09-22", "a", "10", "-1"), r"price '-1' is not a price .*line 4"),
        (("2020-09-22", "a", "10", "1e60"), r"price '1e60' is not a price .*line 4"),
        (("2020-09-22", "a", "10", "inf"), r"price 'inf' is not a price .*line 4"),
        (("2020-09-22", "", "10", "1"), r"customer_id '' is not 64 hexadecimal digits .*line 4\); .* --drop-missing"),
        ("2020-09-22,too,short", r"line has 3 columns where the first has 5 .*line 4"),
    ],
)
def test_a_bad_value_is_named_with_its_line(write_hm: WriteHm, row: object, message: str) -> None:
    folder = write_hm([GOOD, GOOD, row, GOOD, row])
    with pytest.raises(InputError, match=message):
        read(folder)


@pytest.mark.parametrize("column", ["t_dat", "customer_id", "article_id"])
def test_a_missing_column_is_named(write_hm: WriteHm, column: str) -> None:
    folder = write_hm([GOOD], header="t_dat,customer_id,article_id,price,sales_channel_id".replace(column, "other"))
    with pytest.raises(InputError, match=rf"column {column} is missing .*line 1\); its columns are .*other"):
        read(folder)


def test_channels_by_name_are_chosen_as_the_error_advises(write_hm: WriteHm, tmp_path: Path) -> None:
    rows = [f"2020-0{1 + place}-01,{'a' * 64},{place},1,{name}" for place, name in enumerate(["web", "shop"] * 4)]
    with pytest.raises(InputError, match=r"leave --channel out, .* --where sales_channel_id=NAME"):
        prepare("hm", write_hm(rows), tmp_path / "out", subset=Subset(channel=2))
    how = Reading(where=("sales_channel_id=web",))
    assert prepare("hm", write_hm(rows), tmp_path / "out", reading=how).purchases == 4


def test_a_file_without_a_header_is_not_advised_what_its_source_cannot_do(write_hm: WriteHm) -> None:
    folder = write_hm([GOOD], header=",".join(GOOD))
    with pytest.raises(InputError, match=r"column t_dat is missing .*; put a line with their names in front where its"):
        read(folder)


def test_articles_without_ids_are_refused(write_hm: WriteHm) -> None:
    with pytest.raises(InputError, match=r"column article_id is missing \(.*articles.csv, line 1\)"):
        read(write_hm([GOOD], articles=["prod_name", "Top"]))
    with pytest.raises(InputError, match=r"article_id 'x' is not 10 digits \(.*articles.csv, line 2\)"):
        read(write_hm([GOOD], articles=["article_id", "x"]))


def test_missing_and_empty_inputs(tmp_path: Path, write_hm: WriteHm) -> None:
    with pytest.raises(InputError, match="input does not exist"):
        read(tmp_path / "nowhere")
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match=r"folder is empty: it holds neither transactions_train.csv nor"):
        read(tmp_path / "void")
    folder = write_hm([GOOD])
    (folder / "transactions_train.csv").rename(folder / "other.csv")
    with pytest.raises(
        InputError, match=r"folder holds neither transactions_train.csv nor .*, the file of transactions itself"
    ):
        read(folder)
    assert texts(read(folder / "other.csv").item) == ["0000000010"]


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_an_empty_file(write_hm: WriteHm, content: bytes) -> None:
    folder = write_hm([])
    (folder / "transactions_train.csv").write_bytes(content)
    with pytest.raises(InputError, match="file is empty"):
        read(folder)


def test_a_header_alone_holds_no_purchases(write_hm: WriteHm, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no purchases"):
        prepare("hm", write_hm([]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_gzip_cut_short(write_hm: WriteHm, share: float) -> None:
    random = np.random.default_rng(0).integers(10**9, size=(3000, 2))
    folder = write_hm([("2020-09-22", "a", str(a), f"0.{b}") for a, b in random])
    plain = folder / "transactions_train.csv"
    packed = gzip.compress(plain.read_bytes())
    plain.with_suffix(".csv.gz").write_bytes(packed[: max(3, int(len(packed) * share))])
    plain.unlink()
    with pytest.raises(InputError, match=r"cut short or damaged \(.*csv.gz\)"):
        read(folder)


def test_a_file_that_is_not_text(write_hm: WriteHm) -> None:
    folder = write_hm([GOOD])
    with (folder / "transactions_train.csv").open("ab") as file:
        file.write(b"2020-09-22,\xff\xfe,1,1,1\n")
    with pytest.raises(InputError, match=r"customer_id is not UTF-8 text \(.*csv, line 3\)"):
        read(folder)


@pytest.mark.parametrize("folder", ["", "h-and-m/"])
def test_the_archive_that_kaggle_serves(write_hm: WriteHm, tmp_path: Path, folder: str) -> None:
    plain = write_hm([GOOD])
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in plain.iterdir():
            archive.write(path, folder + path.name)
        archive.writestr(folder + "images/010/0108775015.jpg", b"")
    raw = read(tmp_path / "all.zip")
    assert (texts(raw.item), len(raw.items.ids), len(raw.clients.ids)) == (["0000000010"], 3, 2)


def test_a_folder_of_several_forms(write_hm: WriteHm, tmp_path: Path) -> None:
    folder = write_hm([GOOD])
    for name in ("transactions_train.csv", "customers.csv"):
        with ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.write(folder / name, name)
    articles = pa.table({"article_id": [10, 20], "prod_name": ["Top", "Socks"], "colour_group_code": [9, 10]})
    pq.write_table(articles, folder / "articles.parquet")
    for path in folder.glob("*.csv"):
        path.unlink()
    for place in (folder, folder / "transactions_train.csv.zip"):
        raw = read(place)
        assert raw.items.ids.to_pylist() == ["0000000010", "0000000020"]
        assert texts(raw.items.fields["colour"]) == ["9", "10"]
        assert len(raw.clients.ids) == 2


def test_an_archive_of_something_else(tmp_path: Path, write_hm: WriteHm) -> None:
    folder = write_hm([GOOD])
    with ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(folder / "transactions_train.csv", "mine.csv")
    assert texts(read(tmp_path / "one.zip").item) == ["0000000010"]
    with ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(InputError, match=r"archive holds neither transactions_train.csv nor .*two.zip"):
        read(tmp_path / "two.zip")
    with ZipFile(tmp_path / "halves.zip", "w") as archive:
        for half in ("a", "b"):
            archive.write(folder / "transactions_train.csv", f"{half}/transactions_train.csv")
    with pytest.raises(
        InputError, match=r"two tables of one name: a/transactions_train.csv and b/.*; unpack it, and name"
    ):
        read(tmp_path / "halves.zip")


def test_a_table_that_is_a_folder_of_parts(tmp_path: Path) -> None:
    """It is there, and must not be called absent."""
    (tmp_path / "transactions_train.parquet").mkdir()
    with pytest.raises(InputError, match=r"The table is a folder of parts \(.*train.parquet\); write it as one file"):
        read(tmp_path)


def test_ids_of_another_form_are_for_another_source(write_hm: WriteHm) -> None:
    rows = [f"2020-01-01,{customer},0000000010,0.1,2" for customer in range(3)]
    with pytest.raises(InputError, match=r"'0' is not 64 hexadecimal digits .*; read it with --source table"):
        read(write_hm(rows))


def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes changed, put in or taken out, or all behind a place cut off."""
    raw = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.sampled_from([start, start + 1, start + 10, len(raw)]))
        raw[start:end] = draw(st.binary(max_size=6) | st.sampled_from([b'"', b"\n", b"\r", b",", b"\0", b"\n,\n"]))
    return bytes(raw)


CSV = "\n".join(
    [
        "t_dat,customer_id,article_id,price,sales_channel_id",
        *(f"2020-0{n}-01,{n:064x},{n},0.{n},2" for n in range(1, 9)),
    ]
).encode()


def archived(content: bytes) -> bytes:
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        archive.writestr("transactions_train.csv", content)
    return made.getvalue()


def as_parquet(content: bytes) -> bytes:
    made = pa.BufferOutputStream()
    pq.write_table(pyarrow.csv.read_csv(pa.BufferReader(content)), made)
    return made.getvalue().to_pybytes()  # type: ignore[no-any-return]


FORMS_OF_FILES = {"csv": CSV, "zip": archived(CSV), "parquet": as_parquet(CSV)}
FORMS_OF_FILES |= {packing: PACK[packing](CSV) for packing in ("gz", "bz2", "zst")}
FORMS_OF_FILES |= {"parquet.zst": PACK["zst"](as_parquet(CSV)), "parquet.zip": archived(as_parquet(CSV))}


@pytest.mark.parametrize("form", [*FORMS_OF_FILES, "noise"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), skip=st.booleans())
def test_whatever_is_damaged_is_told_in_one_sentence(
    form: str, tmp_path: Path, data: st.DataObject, skip: bool
) -> None:
    path = tmp_path / "file"
    if form == "noise":
        path.write_bytes(data.draw(st.binary(max_size=200)))
    else:
        path.write_bytes(damaged(data.draw, FORMS_OF_FILES[form]))  # type: ignore[arg-type]
    problem = ""
    try:
        prepare("hm", path, tmp_path / "out", skip_bad_rows=skip)
    except InputError as error:
        problem = str(error)
    assert "\n" not in problem


@pytest.mark.realdata
def test_the_real_folder(real_data: Path, tmp_path: Path) -> None:
    summary = prepare("hm", real_data / "hm", tmp_path / "out")
    assert (summary.purchases, summary.clients, summary.items) == (24_594, 1_039, 105_542)
    dataset = Dataset.open(tmp_path / "out")
    split = dataset.manifest.split
    assert (split.validation_from, split.test_from, split.end) == ("2020-09-09", "2020-09-16", "2020-09-22")
    cardinality = {field.name: field.cardinality - 1 for field in dataset.item_fields}
    facts = {"department": 299, "product_type": 132, "section": 57, "colour": 50, "graphical_appearance": 30}
    facts |= {"garment_group": 21, "product_group": 19, "index": 10}
    assert cardinality | facts == cardinality
    assert dataset.manifest.counts.unknown_items == 0


@pytest.mark.realdata
def test_real_ids_that_lost_their_zero(real_data: Path) -> None:
    raw = read(real_data / "hm" / "transactions_intids_first10k.csv.gz")
    assert len(raw.item) == 10_000
    assert raw.item[0].as_py() == "0663713001"
    assert sum("restored" in note for note in raw.notes) == 1
    assert set(raw.item.dictionary.to_pylist()) <= set(raw.items.ids.to_pylist())


@pytest.mark.realdata
@pytest.mark.parametrize(
    "file, purchases, clients",
    [
        ("transactions_lastweek_3of16.csv.gz", 45_369, 13_028),
        ("transactions_intids_first10k.csv.gz", 10_000, None),
    ],
)
def test_the_other_real_files(real_data: Path, tmp_path: Path, file: str, purchases: int, clients: int | None) -> None:
    """They hold a week and a day: nothing is left to train on but by leave-one-out, which the refusal says."""
    with pytest.raises(
        InputError, match=r"none is left to train on; prepare more weeks or use --split leave-one-out\."
    ):
        prepare("hm", real_data / "hm" / file, tmp_path / "out")
    summary = prepare("hm", real_data / "hm" / file, tmp_path / "out", split="leave-one-out")
    assert (summary.purchases, summary.items) == (purchases, 105_542)
    rows = Dataset.open(tmp_path / "out")
    buyers = {int(client) for split in ("train", "validation", "test") for client in rows.purchases(split).client}
    assert clients is None or len(buyers) == clients
