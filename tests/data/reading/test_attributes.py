from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.reading.attributes import Described, read_attributes
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import ids
from spfedrec_cli.data.reading.layout import Shape
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.errors import InputError

KEY = ("article_id", ids(FORMS["article"]))
FREE = ("article_id", ids(FORMS["any"]))


def read(path: Path, content: str, skip: bool = False, columns: tuple[str, ...] = ("name", "colour")) -> Described:
    path.write_text("article_id,name,colour,text\n" + content)
    return read_attributes(RawFile(path), KEY, columns, Request((path,), 0, rejects=Rejects(skip)))


def plain(described: Described) -> dict[str, list[str]]:
    columns = {name: column.dictionary_decode().to_pylist() for name, column in described.columns.items()}
    return {"ids": described.ids.to_pylist(), **columns}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "articles.csv"


def test_ids_columns_and_what_is_lacking(path: Path) -> None:
    described = read(path, "1,Top,,x\n0000000020,Socks,Blue,\n", columns=("name", "size", "colour"))
    assert plain(described) == {"ids": ["0000000001", "0000000020"], "name": ["Top", "Socks"], "colour": ["", "Blue"]}
    assert described.notes == [
        "ids of articles.csv had lost their leading zeros: 1 restored",
        "articles.csv lacks size: left out",
    ]


def test_what_is_needed_is_not_left_out(path: Path) -> None:
    path.write_text("article_id,name\n1,Top\n")
    request = Request((path,), 0)
    with pytest.raises(InputError, match=r"The column size is missing \(.*articles.csv, line 1\)"):
        read_attributes(RawFile(path), KEY, ("name", "size"), request, needed=True)


@pytest.mark.parametrize(
    "more, note",
    [
        ("1,Top,,other\n", "1 row of articles.csv says the same of an id a second time: left out"),
        ("0000000001,Top,,\n1,Top,,\n", "2 rows of articles.csv say the same of an id a second time: left out"),
    ],
)
def test_second_rows_that_say_the_same(path: Path, more: str, note: str) -> None:
    described = read(path, "1,Top,,x\n2,Socks,,\n" + more)
    assert plain(described) == {"ids": ["0000000001", "0000000002"], "name": ["Top", "Socks"], "colour": ["", ""]}
    assert described.notes[-1] == note


CONTRADICTION = '1,Top,,"two\nlines"\n\n2,x,,\n0000000001.0,Top,Red,\n1,Top,,\n2,y,,\n'


def test_a_second_row_that_contradicts_the_first(path: Path) -> None:
    message = r"The article_id 0000000001 has a second row that says something else \(.*articles.csv, line 6\)"
    with pytest.raises(InputError, match=message):
        read(path, CONTRADICTION)


def test_with_skip_the_first_row_stays(path: Path) -> None:
    """Lines are right even behind rows that could not be read at all."""
    request = Request((path,), 0, rejects=Rejects(True))
    path.write_text("article_id,name,colour,text\nx,,,\n1,short\n" + CONTRADICTION)
    described = read_attributes(RawFile(path), KEY, ("name", "colour"), request)
    assert plain(described) == {"ids": ["0000000001", "0000000002"], "name": ["Top", "x"], "colour": ["", ""]}
    assert [one.line for one in request.rejects.listed] == [2, 3, 8, 10]
    assert described.notes[-1] == "1 row of articles.csv says the same of an id a second time: left out"


def test_in_a_parquet_file_the_row_is_told(tmp_path: Path) -> None:
    table = pa.table({"article_id": [1, -1, 2, 1], "name": ["a", "b", "c", "d"]})
    pq.write_table(table, tmp_path / "articles.parquet")
    request = Request((), 0, rejects=Rejects(True))
    read_attributes(RawFile(tmp_path / "articles.parquet"), KEY, ("name",), request)
    assert [one.line for one in request.rejects.listed] == [2, 4]
    pq.write_table(table.filter(pa.array([True, False, True, True])), tmp_path / "articles.parquet")
    with pytest.raises(InputError, match=r"second row that says something else \(.*articles.parquet, row 3\)"):
        read_attributes(RawFile(tmp_path / "articles.parquet"), KEY, ("name",), Request((), 0))


def test_restored_ids_are_distinct_again(path: Path) -> None:
    """Five rows of two articles, written in four ways."""
    described = read(path, "1,a,,\n0000000001,a,,\n2.0,b,,\n1.00,a,,\n2,b,,\n")
    assert plain(described) == {"ids": ["0000000001", "0000000002"], "name": ["a", "b"], "colour": ["", ""]}
    assert described.notes == [
        "ids of articles.csv had lost their leading zeros: 4 restored",
        "3 rows of articles.csv say the same of an id a second time: left out",
    ]


@pytest.mark.parametrize(
    "given, found, restored",
    [
        (["17850.0", "3"], ["17850", "3"], 1),
        (["17850.5", "3.0"], ["17850.5", "3.0"], 0),
        (["A.0", "3.0"], ["A.0", "3.0"], 0),
        (["-3.00", "017"], ["-3", "017"], 1),
    ],
)
def test_free_ids_are_restored_by_column(path: Path, given: list[str], found: list[str], restored: int) -> None:
    """Only where all of them are whole numbers: 3.0 beside A.0 is a name like any other."""
    path.write_text("article_id,name\n" + "".join(f"{one},x\n" for one in given))
    described = read_attributes(RawFile(path), FREE, ("name",), Request((), 0))
    assert described.ids.to_pylist() == found
    note = f"ids of articles.csv had become decimals, as 17850.0 for 17850: {restored} restored"
    assert described.notes == [note] * (restored > 0)


def test_a_shape_says_how_the_file_is_laid_out(path: Path) -> None:
    path.write_bytes("1::Misérables\n".encode("latin-1"))
    shape = Shape(("article_id", "name"), delimiter="::", quotes=False, encoding="latin-1")
    described = read_attributes(RawFile(path), KEY, ("name",), Request((), 0), shape)
    assert plain(described) == {"ids": ["0000000001"], "name": ["Misérables"]}
