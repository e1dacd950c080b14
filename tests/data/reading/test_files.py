import errno
import gzip
import io
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tabular import PACK

from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Reading, Request
from spfedrec_cli.data.reading import files, layout
from spfedrec_cli.data.reading.files import RawFile, find, is_archive, members, refusals, unpack
from spfedrec_cli.data.reading.parts import parts
from spfedrec_cli.data.sources import SOURCES
from spfedrec_cli.data.sources import table as source
from spfedrec_cli.errors import InputError

Zip = Callable[..., Path]
COLUMNS = {"customer": "user", "item": "sku", "time": "at"}
HEADER = "user,sku,at\n"
ROWS = [(f"u{row}", f"s{row * 7919 % 1000}", row % 28) for row in range(1500)]
CSV = (HEADER + "".join(f"{user},{item},2020-01-{day + 1:02}\n" for user, item, day in ROWS)).encode()
DAY = 18262  # 1 January 2020
DAMAGED = r"The file is cut short or damaged \(.*\); copy or download it again"


@pytest.fixture
def archive(tmp_path: Path) -> Zip:
    def write(*names: str, at: str = "all.zip") -> Path:
        with zipfile.ZipFile(tmp_path / at, "w", zipfile.ZIP_DEFLATED) as made:
            for name in names:
                made.writestr(name, name * 100)
        return tmp_path / at

    return write


def content(file: RawFile) -> bytes:
    with file.open() as stream:
        return stream.text.read(-1)


def zipped(content: bytes, name: str = "t.csv") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def parquet(rows: list[tuple[str, str, int]] = ROWS) -> bytes:
    user, item, day = zip(*rows, strict=True)
    table = pa.table(
        {"user": user, "sku": item, "at": pa.array([DAY + one for one in day], pa.int32()).cast(pa.date32())}
    )
    made = pa.BufferOutputStream()
    pq.write_table(table, made)
    return made.getvalue().to_pybytes()  # type: ignore[no-any-return]


PACKINGS = {**PACK, "zip": zipped}


def read(*inputs: Path, **reading: object) -> list[tuple[str, str, int]]:
    raw = source.read(Request(inputs, 0, reading=Reading(COLUMNS, **reading)))  # type: ignore[arg-type]
    return list(zip(raw.client.to_pylist(), raw.item.to_pylist(), (raw.time - DAY).tolist(), strict=True))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_packing_of_every_form(tmp_path: Path, packing: str, form: str) -> None:
    """Told by what the bytes are, whatever the name; what was unpacked beside the output is gone afterwards."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = tmp_path / "misnamed.txt"
    path.write_bytes(PACKINGS[packing](CSV if form == "csv" else parquet()))
    request = Request((path,), 0, reading=Reading(COLUMNS), scratch=scratch)
    raw = source.read(request)
    assert list(zip(raw.client.to_pylist(), raw.item.to_pylist(), (raw.time - DAY).tolist(), strict=True)) == ROWS
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("packing", PACK)
def test_a_member_of_an_archive_may_be_packed_itself(tmp_path: Path, packing: str) -> None:
    for place, content in enumerate((CSV, parquet())):
        path = tmp_path / f"{place}.zip"
        path.write_bytes(zipped(PACK[packing](content), f"table.{packing}"))
        assert read(path) == ROWS


def test_parts_that_were_packed_one_after_another_are_one_file(tmp_path: Path) -> None:
    """What `cat a.gz b.gz` makes."""
    path = tmp_path / "t"
    for packing in ("gz", "bz2", "zst"):
        path.write_bytes(PACK[packing](CSV[:5000]) + PACK[packing](CSV[5000:]))
        assert read(path) == ROWS


@pytest.mark.parametrize("packing", ["gz", "bz2", "zst", "zip"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_cut_short_anywhere(tmp_path: Path, packing: str, form: str) -> None:
    path = tmp_path / "t"
    whole = PACKINGS[packing](CSV if form == "csv" else parquet())
    for cut in (5, 20, len(whole) // 3, len(whole) - 40, len(whole) - 9, len(whole) - 5, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=DAMAGED):
            read(path)


@pytest.mark.parametrize("packing", ["gz", "bz2", "zip"])
def test_one_damaged_bit_anywhere(tmp_path: Path, packing: str) -> None:
    """All of these have a checksum."""
    path = tmp_path / "t"
    whole = PACKINGS[packing](CSV)
    for place in range(60, len(whole) - 130, len(whole) // 25):
        raw = bytearray(whole)
        raw[place] ^= 4
        path.write_bytes(raw)
        with pytest.raises(InputError, match=DAMAGED):
            read(path)


# `printf 'user,sku,at\n1,a,2020-01-01\n' | zstd --check`; Arrow writes no checksum.
CHECKED = bytes.fromhex("28b52ffd0458d90000757365722c736b752c61740a312c612c323032302d30312d30310a2e3f3df3")


def test_the_checksum_of_zstandard(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.zst"
    path.write_bytes(CHECKED)
    assert read(path) == [("1", "a", 0)]
    for letter in (b"1,a", b"-01\n"):
        path.write_bytes(CHECKED.replace(letter, letter.replace(b"a", b"b").replace(b"01", b"02")))
        with pytest.raises(InputError, match=DAMAGED):
            read(path)


@pytest.mark.parametrize("packing", ["gz", "bz2", "zst"])
@pytest.mark.parametrize("junk", [b"x", b"junk" * 9, b"\0", b"first three"])
def test_what_stands_behind_the_end(tmp_path: Path, packing: str, junk: bytes) -> None:
    whole = PACK[packing](CSV)
    path = tmp_path / "t"
    path.write_bytes(whole + (whole[:3] if junk == b"first three" else junk))
    with pytest.raises(InputError, match=DAMAGED):
        read(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_plain_parquet_cut_short(tmp_path: Path, share: float) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(parquet()[: int(len(parquet()) * share)])
    with pytest.raises(InputError, match=r"The file cannot be read: .*t.parquet\); copy or download it again"):
        read(path)


def part(folder: Path, name: str, *days: int) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [("u", f"s{day}", day) for day in days]
    text = HEADER + "".join(f"u,{item},2020-01-{day + 1:02}\n" for _, item, day in rows)
    end = path.suffix.removeprefix(".")
    path.write_bytes(parquet(rows) if end == "parquet" else PACKINGS.get(end, bytes)(text.encode()))


def test_a_folder_of_parts(tmp_path: Path) -> None:
    """As Spark, dask and others write them: in the order of their names, hidden and other files passed over."""
    folder = tmp_path / "parts"
    for place, name in enumerate(["c/part-2.parquet", "part-1.csv.gz", "part-0.csv", "part-3.csv.zip", "b=1/x.tsv"]):
        part(folder, name, place, place + 10)
    for name in (
        "_SUCCESS",
        ".part-0.csv.crc",
        "._part-0.csv",
        ".hidden/part.csv",
        "_delta_log/0.json",
        "notes.pdf",
        "README.txt",
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\xff junk")
    notes: list[str] = []
    names = [file.name for file in parts(folder, notes)]
    assert names == ["x.tsv", "part-2.parquet", "part-0.csv", "part-1.csv", "t.csv"]
    assert notes == [
        "parts is a Delta table: what it has deleted or replaced counts too; export it",
        "not read in parts, since tables end in .csv and the like: notes.pdf",
    ]
    assert [day for _, _, day in read(folder)] == [4, 14, 0, 10, 2, 12, 1, 11, 3, 13]


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_parts_stand_in_the_order_of_their_numbers(tmp_path: Path, packing: str) -> None:
    """Dask and Arrow write part.10 behind part.9; without times the order of rows is time."""
    names = [f"shop/{name}.csv" for name in ("2", "part.0", "part.1", "part.01", "part.9", "part.10", "part.100", "x")]
    for place, name in enumerate(names):
        part(tmp_path, name, place)
    if packing == "zip":
        shutil.make_archive(str(tmp_path / "shop"), "zip", tmp_path / "shop")
    shop = tmp_path / ("shop.zip" if packing == "zip" else "shop")
    days = [day for _, _, day in read(shop)]
    assert sorted(days[2:4]) == [2, 3]
    assert [*days[:2], *days[4:]] == [0, 1, 4, 5, 6, 7]


def test_names_of_parts_may_be_in_large_letters_or_without_an_ending(tmp_path: Path) -> None:
    for place, name in enumerate(["large/A.CSV.GZ", "large/B.CSV", "none/part-00000", "none/part-00001"]):
        part(tmp_path, name, place)
    (tmp_path / "large/A.CSV.GZ").write_bytes(gzip.compress((tmp_path / "large/A.CSV.GZ").read_bytes()))
    assert [day for _, _, day in read(tmp_path / "large")] == [0, 1]
    assert [day for _, _, day in read(tmp_path / "none")] == [2, 3]
    path = find(tmp_path / "large", "b.csv")
    assert path is not None
    assert path.name == "B.CSV"


@pytest.mark.parametrize("names", [("a.csv", "a.csv.gz"), ("a.csv", "a.parquet"), ("x/a.CSV.gz", "x/a.csv.zst")])
def test_a_table_is_not_read_twice(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        part(tmp_path, f"shop/{name}", 0)
    with pytest.raises(
        InputError, match=r"One table is there twice, as .*a.* and .*a.* \(.*shop\); take one of the two"
    ):
        read(tmp_path / "shop")
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as made:
        made.writestr("a.csv", CSV)
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("a.csv", CSV)
    with pytest.raises(InputError, match=r"One table is there twice, as a.csv and a.csv \(.*shop.zip\)"):
        read(tmp_path / "shop.zip")


def test_a_part_that_is_elsewhere_is_missed(tmp_path: Path) -> None:
    part(tmp_path, "a.csv", 0)
    (tmp_path / "b.csv").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"The file does not exist \(.*b.csv\)"):
        read(tmp_path)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    part(tmp_path, "a.csv", 0)
    for name in ("b.xlsx", "c.csv.xz", "d.feather", "e.7z", "LICENSE"):
        (tmp_path / name).write_bytes(b"x")
    raw = source.read(Request((tmp_path,), 0, reading=Reading(COLUMNS)))
    said = "since tables end in .csv and the like: b.xlsx, c.csv.xz, d.feather and 1 more"
    assert raw.notes == (f"not read in {tmp_path.name}, {said}",)


@pytest.mark.parametrize("empty", [b"", gzip.compress(b"")], ids=["plain", "gz"])
def test_an_empty_part_holds_no_rows(tmp_path: Path, empty: bytes) -> None:
    """As Spark writes them where it writes no header. Where all are empty, that is the error."""
    (tmp_path / "part-0.csv").write_bytes(empty)
    with pytest.raises(InputError, match=r"The file is empty \(.*part-0.csv\)"):
        read(tmp_path)
    part(tmp_path, "part-1.csv", 0)
    raw = source.read(Request((tmp_path,), 0, reading=Reading(COLUMNS)))
    assert len(raw.client) == 1
    assert raw.notes == (f"not read in {tmp_path.name}, since they are empty: part-0.csv",)


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_folders_may_say_what_all_their_rows_have_in_common(tmp_path: Path, packing: str) -> None:
    """As Hive and Spark lay tables out. What a file says itself counts."""
    for at in (1, 2):
        for sku in ("a b", "é/1"):
            path = tmp_path / f"shop/at=2020-01-0{at}/sku={quote(sku, safe='')}/part-0.csv"
            path.parent.mkdir(parents=True)
            path.write_text("user,kind\n" + f"u{at},x\n" * at)
    if packing == "zip":
        shutil.make_archive(str(tmp_path / "shop"), "zip", tmp_path / "shop")
    shop = tmp_path / ("shop.zip" if packing == "zip" else "shop")
    right = [("u1", "a b", 0), ("u1", "é/1", 0), *2 * [("u2", "a b", 1)], *2 * [("u2", "é/1", 1)]]
    assert sorted(read(shop)) == right
    assert sorted(read(shop, where=("sku=a b",))) == [row for row in right if row[1] == "a b"]
    path = tmp_path / "sku=none/own.csv"
    path.parent.mkdir()
    path.write_text(HEADER + "u,own,2020-01-01\n")
    assert read(path) == [("u", "own", 0)]
    path = tmp_path / "user=__HIVE_DEFAULT_PARTITION__/missing.csv"
    path.parent.mkdir()
    path.write_text("sku,at\na,2020-01-01\n")
    with pytest.raises(
        InputError, match=r"The user '' is not .*missing.csv, line 2\); leave such rows out with --drop"
    ):
        read(path)


def test_a_folder_may_be_called_like_a_table(tmp_path: Path) -> None:
    """Spark writes the folder 2020.csv."""
    part(tmp_path, "shop/2020.csv/part-0.csv", 0)
    part(tmp_path, "shop/2021.csv/part-0.csv", 1)
    assert [day for _, _, day in read(tmp_path / "shop")] == [0, 1]


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_a_copy_among_parts_is_told(tmp_path: Path, packing: str) -> None:
    """Header alone twice is no copy, nor is another input that says the same."""
    for name in ("a.csv", "a (1).csv", "other.csv"):
        part(tmp_path, f"shop/{name}", name == "other.csv")
    for name in ("none.csv", "nothing.csv"):
        (tmp_path / "shop" / name).write_text(HEADER)
    if packing == "zip":
        shutil.make_archive(str(tmp_path / "shop"), "zip", tmp_path / "shop")
    shop = tmp_path / ("shop.zip" if packing == "zip" else "shop")
    raw = source.read(Request((shop, tmp_path / "shop/a.csv"), 0, reading=Reading(COLUMNS)))
    assert raw.notes[0] == (
        f"{shop}/a.csv says the same as {shop}/a (1).csv: its rows count twice; if it is a copy, take it away"
    )
    assert len(raw.time) == 3


def test_a_dataset_among_parts_is_none_of_them(tmp_path: Path) -> None:
    """Somebody prepares into the folder that the parts lie in, and does so again."""
    (tmp_path / "a.csv").write_bytes(CSV)
    for _ in range(2):
        assert prepare("table", tmp_path, tmp_path / "made", columns=COLUMNS).purchases == len(ROWS)


def test_an_archive_is_opened_once_however_many_parts_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[object]()
    original = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *path: opened.append(path) or original(*path))
    for rows in (1, 2):
        with original(tmp_path / "all.zip", "w") as made:
            for name in range(rows):
                made.writestr(f"{name}.csv", HEADER + f"u,{name},2020-01-01\n")
        assert len(read(tmp_path / "all.zip")) == len(opened) == rows


def test_parts_of_one_input_are_no_overlap(tmp_path: Path) -> None:
    """The same purchase in two parts was made twice; in two inputs it is told twice."""
    for name in ("a/0.csv", "a/1.csv", "b/0.csv"):
        part(tmp_path, name, 1)
    assert len(read(tmp_path / "a")) == 2
    assert len(read(tmp_path / "a", tmp_path / "b")) == 2


def test_an_archive_of_parts(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("x/1.csv", HEADER + "u,b,2020-01-02\n")
        made.writestr("x/0.parquet", parquet([("u", "a", 0)]))
        made.writestr("x/README.md", "# no table")
        made.writestr("__MACOSX/x/._1.csv", "\0")
    assert read(path) == [("u", "a", 0), ("u", "b", 1)]


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "notes.pdf").write_bytes(b"x")
    with pytest.raises(InputError, match=r"There is no table in it \(.*\); tables end in .csv, .tsv"):
        read(tmp_path)
    with pytest.raises(InputError, match="The input does not exist"):
        read(tmp_path / "nowhere")


def tar(content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("t.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


FOREIGN = {
    "tar": (tar(CSV), "an archive", "unpack it, and name what it holds"),
    "tar.gz": (gzip.compress(tar(CSV)), "an archive", "unpack it, and name what it holds"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "an archive", "unpack it, and name what it holds"),
    "zip in gz": (gzip.compress(zipped(CSV)), "an archive", "unpack it, and name what it holds"),
    "gz in gz": (gzip.compress(gzip.compress(CSV)), "packed twice, or in a way that is not read", "unpack it"),
    "xz": (lzma.compress(CSV), "packed twice, or in a way that is not read", "unpack it"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", "save it as CSV, and name that"),
    "xlsx in gz": (gzip.compress(zipped(b"", "[Content_Types].xml")), "an Excel workbook", "save it as CSV"),
    "ods": (zipped(b"", "content.xml"), "an Excel workbook", "save it as CSV, and name that"),
    "mysqldump": (b"-- MySQL dump 10.13\n--\nCREATE TABLE `s`", "SQL", "save the table as CSV"),
    "mariadb-dump": (b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump", "SQL", "save the table as CSV"),
    "pg_dump": (b"--\n-- PostgreSQL database dump\n", "SQL", "save the table as CSV"),
    "copy": (b"COPY public.s (user, sku) FROM stdin;\nu\ts\n\\.\n", "SQL", "save the table as CSV"),
    "insert": (b"INSERT INTO `s` VALUES (1,'a');\n", "SQL", "save the table as CSV"),
    "html": (b"\n<html><table><tr><td>user</td></tr></table>", "HTML or XML", "save the table as CSV"),
    "html of Excel": (b"\xef\xbb\xbf<table><tr><td>user</td></tr></table>", "HTML or XML", "save the table as CSV"),
    "feather": (b"ARROW1\0\0", "neither text nor Parquet", "write it as CSV or Parquet"),
    "pickle": (b"\x80\4\x95", "neither text nor Parquet", "write it as CSV or Parquet"),
    "zeros": (b"\0" * 999, "neither text nor Parquet", "write it as CSV or Parquet"),
    "noise": (b"\xee\1\0\xf9\0x", "neither text nor Parquet", "write it as CSV or Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_table_is_told_with_what_to_do(tmp_path: Path, kind: str) -> None:
    """It is never called text in another encoding."""
    content, what, hint = FOREIGN[kind]
    (tmp_path / "shop").write_bytes(content)
    with pytest.raises(InputError, match=rf"The file is {what} \(.*shop.*\); {hint}"):
        read(tmp_path / "shop")


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_without_a_mark_is_told_with_its_option(tmp_path: Path, order: str) -> None:
    (tmp_path / "t.csv").write_bytes(CSV.decode().encode(f"utf-16-{order}"))
    with pytest.raises(
        InputError, match=f"not UTF-8 text .*; say which encoding it has with --encoding utf-16-{order}"
    ):
        read(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv", encoding=f"utf-16-{order}") == ROWS


@pytest.mark.parametrize("filler", [b"\n", b"user,"])
def test_a_first_line_is_read_whole_unless_it_has_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filler: bytes
) -> None:
    """Not to the end of the file, which may be far behind what there is memory for."""
    monkeypatch.setattr(layout, "_HEAD", 1 << 10)
    monkeypatch.setattr(layout, "_FAR", 1 << 12)
    (tmp_path / "t.csv").write_bytes(b"\n" * (1 << 11) + CSV)
    assert read(tmp_path / "t.csv") == ROWS
    (tmp_path / "t.csv").write_bytes(filler * (1 << 14) + CSV)
    with pytest.raises(InputError, match=r"The first 0 MiB hold no whole line \(.*t.csv\)"):
        read(tmp_path / "t.csv")


def test_a_name_far_behind_is_a_column_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_HEAD", 8)
    (tmp_path / "t.csv").write_bytes(CSV)
    assert read(tmp_path / "t.csv") == ROWS


def test_a_file_that_was_marked_as_utf_8_twice(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(2 * b"\xef\xbb\xbf" + b'"user",sku,at\nu,s,2020-01-01\n')
    assert read(tmp_path / "t.csv") == [("u", "s", 0)]


def test_frames_that_hold_nothing_come_first(tmp_path: Path) -> None:
    """As pzstd begins."""
    (tmp_path / "t.csv.zst").write_bytes(b"\x50\x2a\x4d\x18\4\0\0\0\1\2\3\4" + PACK["zst"](CSV))
    assert read(tmp_path / "t.csv.zst") == ROWS


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_checksums_of_parquet(tmp_path: Path, share: float) -> None:
    """Where the writer left them, as Spark does."""
    table = pa.table({"user": [row[0] for row in ROWS], "sku": [row[1] for row in ROWS]})
    pq.write_table(table, tmp_path / "t", write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray((tmp_path / "t").read_bytes())
    content[int(len(content) * share)] ^= 1
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(InputError, match=DAMAGED):
        source.read(Request((tmp_path / "t",), 0, reading=Reading({"customer": "user", "item": "sku"})))


def test_a_disk_that_is_full_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"There is no room to unpack the file \(.*\); make room"),
        refusals(RawFile(tmp_path)),
    ):
        raise OSError(errno.EFBIG, "File too large")


@pytest.mark.parametrize("name", ["shop.xlsx", "shop.csv"])
def test_a_workbook_is_to_be_saved_as_csv(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as made:
        for member in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            made.writestr(member, "<x/>")
    with pytest.raises(InputError, match=rf"The file is an Excel workbook \(.*{name}\); save it as CSV, and name that"):
        read(path)


TEXT = HEADER + "é,naïve €,2020-01-02\n"
EXPECTED = [("é", "naïve €", 1)]


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_utf_16_is_told_by_its_mark(tmp_path: Path, mark: bytes, packing: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(PACKINGS[packing](mark + TEXT.encode("utf-16-le" if mark == b"\xff\xfe" else "utf-16-be")))
    assert read(path) == EXPECTED


@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-15", "utf-16-le", "utf-8", "UTF-8-SIG", "mac-roman"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    assert read(path, encoding=encoding) == EXPECTED


def test_encodings_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode("cp1252"))
    for name in ("klingon", "hex", "rot13"):
        with pytest.raises(InputError, match=rf"no encoding '{name}' \(--encoding\); write one as utf-8, cp1252"):
            read(path, encoding=name)
    with pytest.raises(InputError, match=r"The file is not text of that encoding \(.*t.csv\); .* --encoding"):
        read(path, encoding="ascii")
    with pytest.raises(InputError, match=r"The user is not UTF-8 text \(.*t.csv, line 2\)"):
        read(path, encoding="utf-8")


def test_text_that_is_not_utf_8_is_told_with_the_option_that_reads_it(tmp_path: Path) -> None:
    """All such rows would be left out; the encoding is what is wrong."""
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode("cp1252"))
    with pytest.raises(InputError, match=r"--encoding cp1252") as caught:
        read(path)
    assert "--skip-bad-rows" not in str(caught.value)


def test_an_encoding_that_not_all_files_have_is_told(tmp_path: Path) -> None:
    """What is UTF-8 has a text in cp1252 too, in which each é is two letters."""
    for name, encoding in (("a.csv", "utf-8"), ("b.csv", "cp1252"), ("c.parquet", "")):
        text = "user,sku,at\né,s,2020-01-01\n"
        (tmp_path / name).write_bytes(text.encode(encoding) if encoding else parquet([("é", "s", 0)]))
    raw = source.read(Request((tmp_path,), 0, reading=Reading(COLUMNS, encoding="cp1252")))
    assert raw.client.to_pylist() == ["Ã©", "é", "é"]
    how = "leave --encoding out, or where other files are cp1252, write all as UTF-8"
    assert [note for note in raw.notes if "UTF-8" in note] == [f"a.csv is UTF-8, but was read as cp1252: {how}"]
    for name, encoding in (("b.csv", "cp1252"), ("a.csv", "utf-8"), ("a.csv", "utf-8-sig")):
        raw = source.read(Request((tmp_path / name,), 0, reading=Reading(COLUMNS, encoding=encoding)))
        assert (raw.client.to_pylist(), raw.notes) == (["é"], ())


def test_a_row_that_was_damaged_among_others_in_utf_8_is_no_other_encoding(tmp_path: Path) -> None:
    """Read as cp1252, each ü of the others would be another letter; and no encoding mends half a letter of JSON."""
    rows = [HEADER.encode().strip(), *(b"%s,s,2020-01-01" % user for user in ("ü".encode(), "é".encode(), b"\xff"))]
    objects = [b'{"user": "%s", "sku": "s", "at": "2020-01-01"}' % user for user in (b"u", b"v", b"w", b"\\ud800")]
    for lines in (rows, objects):
        (tmp_path / "t").write_bytes(b"\n".join([*lines, b""]))
        with pytest.raises(InputError, match=r"The user is not UTF-8 text \(.*line 4\); mend or remove that line"):
            read(tmp_path / "t")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_told_with_the_option_that_reads_it(
    tmp_path: Path, encoding: str, header: bool
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    with pytest.raises(InputError, match=rf"The first line is not UTF-8 text \(.*t.csv\); .* --encoding {encoding}\."):
        read(path, header=header)


def test_a_header_that_is_not_utf_8_is_told_with_the_option_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.replace("user", "kündé").encode("cp1252"))
    with pytest.raises(InputError, match=r"The column user is missing .*; say which .* --encoding cp1252, which is a"):
        read(path)


def test_a_file_in_every_packing_is_found(tmp_path: Path, archive: Zip) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"b"))
    (tmp_path / "c.parquet").write_bytes(b"PAR1c")
    archive("d.csv", at="d.csv.zip")
    (tmp_path / "f.csv.zst").write_bytes(PACK["zst"](b"f"))
    (tmp_path / "g.parquet.bz2").write_bytes(PACK["bz2"](b"PAR1g"))
    found = {stem: find(tmp_path, f"{stem}.csv") for stem in "abcdefg"}
    assert found["e"] is None
    assert {stem: content(file)[:4] for stem, file in found.items() if file} == {
        "a": b"a", "b": b"b", "c": b"PAR1", "d": b"d.cs", "f": b"f", "g": b"PAR1"
    }  # fmt: skip
    names = [file.name for file in found.values() if file]
    assert names == ["a.csv", "b.csv", "c.parquet", "d.csv", "f.csv", "g.parquet"]
    assert [file.is_parquet for file in found.values() if file] == [False, False, True, False, False, True]
    assert str(found["d"]) == f"{tmp_path}/d.csv.zip/d.csv"


def test_in_an_archive_folders_do_not_matter(archive: Zip) -> None:
    path = archive("x/deep/a.csv", "x/a.csv", "x/b.csv", "__MACOSX/x/._a.csv", "x/")
    assert find(path, "a.csv") == RawFile(path, "x/a.csv")
    assert RawFile(path, "x/a.csv").sibling("b.csv") == RawFile(path, "x/b.csv")
    assert find(path, "c.csv") is None
    assert len(members(path)) == 3


def test_what_the_archive_lacks_may_lie_beside_it(archive: Zip, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("b")
    file = unpack(archive("a.csv"))
    assert file.sibling("b.csv") == RawFile(tmp_path / "b.csv")
    assert file.sibling("c.csv") is None


def test_only_members_of_macos_beside_one(archive: Zip) -> None:
    path = archive("a.csv", "__MACOSX/._a.csv")
    assert unpack(path) == RawFile(path, "a.csv")
    with pytest.raises(InputError, match=r"The archive holds 2 files instead of one \(.*all.zip\); unpack it"):
        unpack(archive("a.csv", "b.csv"))


@pytest.mark.parametrize("name", ["table", "hm", "movielens"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(
        InputError, match=r"The input is neither a file nor a folder \(.*fifo\); write it to a file fir"
    ):
        SOURCES[name].read(Request((tmp_path / "fifo",), 0, reading=Reading(COLUMNS)))
    with pytest.raises(InputError, match=r"The file does not exist"):
        content(RawFile(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"The file cannot be read \(.*\); Is a directory"):
        content(RawFile(tmp_path))


@pytest.mark.parametrize("cut", [3, 60, -30])
def test_archives_cut_short(archive: Zip, cut: int) -> None:
    path = archive("a.csv", "b.csv")
    path.write_bytes(path.read_bytes()[:cut])
    if cut == 3:
        assert not is_archive(path)
    else:
        with pytest.raises(InputError, match=r"cut short or damaged \(.*all.zip\); copy or download it again"):
            find(path, "a.csv")


def test_a_damaged_member(archive: Zip) -> None:
    path = archive("a.csv")
    raw = bytearray(path.read_bytes())
    raw[40] ^= 255
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"cut short or damaged \(.*all.zip/a.csv\)"):
        content(unpack(path))


def test_a_flag_that_the_unpacker_does_not_know(archive: Zip) -> None:
    """zipfile raises NotImplementedError, which is a RuntimeError as that of an encrypted archive is."""
    path = archive("a.csv")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 32
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"cut short or damaged \(.*all.zip/a.csv\)"):
        content(unpack(path))


@pytest.mark.parametrize("packing", ["deflate64", "zstd --long=31", "zstd -D dictionary"])
def test_what_this_unpacker_alone_cannot_do_is_to_be_unpacked(archive: Zip, packing: str) -> None:
    """To download it again would not help: Windows packs what is larger than 2 GiB as deflate64."""
    path = archive("a.csv")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 10] = 9
    window = b"\x00\xa8" if "long" in packing else b"\x01\x58\x07"
    frame = b"\x28\xb5\x2f\xfd" + window + (len(CSV) << 3 | 1).to_bytes(3, "little") + CSV
    path.write_bytes(raw if packing == "deflate64" else frame)
    with pytest.raises(InputError, match=r"damaged, or packed in a way that is not read \(.*\); unpack it"):
        content(unpack(path))


def test_an_encrypted_archive(archive: Zip) -> None:
    path = archive("a.csv")
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"The archive is encrypted \(.*\); unpack it"):
        content(unpack(path))


def test_too_little_memory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks for more memory than there is"), refusals(RawFile(tmp_path)):
        raise MemoryError


def test_an_archive_that_unpacks_to_more_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bomb of zeros: its Parquet has to be unpacked, and is not unpacked without bounds."""
    monkeypatch.setattr(files, "_LARGEST", 1 << 21)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"PAR1" + bytes(1 << 23)))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(InputError, match=r"The file unpacks to more than .*bomb.gz\)"):
        source.read(Request((path,), 0, reading=Reading(COLUMNS), scratch=scratch))
    assert list(scratch.iterdir()) == []
