import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.layout import Layout, Shape, akin, text_layout
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.sources import table as source
from spfedrec_cli.errors import InputError

COLUMNS = {"customer": "user", "item": "sku", "time": "at"}
ANY = FORMS["any"].described


def layout(path: Path, content: str | bytes, needed: tuple[str, ...] = (), shape: Shape | None = None) -> Layout:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return text_layout(RawFile(path), shape or Shape(), needed)


def read(*paths: Path, skip: bool = False, columns: dict[str, str] = COLUMNS, **how: object) -> Raw:
    reading = Reading(columns, **how)  # type: ignore[arg-type]
    return source.read(Request(paths, 0, rejects=Rejects(skip), reading=reading))


def rows(raw: Raw) -> list[tuple[str, str, int]]:
    return list(zip(raw.client.to_pylist(), raw.item.to_pylist(), raw.time.tolist(), strict=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    "content, needed, names, delimiter, line",
    [
        ("a,b\n1,2\n", (), ("a", "b"), ",", 2),
        ("a,b\n", ("b",), ("a", "b"), ",", 2),
        ("a;b,c\n", ("a",), ("a", "b,c"), ";", 2),
        ("a\tb;c\n", ("a", "b;c"), ("a", "b;c"), "\t", 2),
        ("a|b\n", ("a", "b"), ("a", "b"), "|", 2),
        ("a;b\n", ("x",), ("a", "b"), ";", 2),
        (" a , b\t\n", ("a", "b"), ("a", "b"), ",", 2),
        ('"a, b",c\n', ("a, b",), ("a, b", "c"), ",", 2),
        ('"a;b";c\n', ("a;b", "c"), ("a;b", "c"), ";", 2),
        ('\n\r\n"a\nb",c\r\n1,2', (), ("a\nb", "c"), ",", 5),
        ("a,b", (), ("a", "b"), ",", 2),
        (" \n,\n\na,b\n", (), ("a", "b"), ",", 5),
        ("\ufeffa,b\n", ("a",), ("a", "b"), ",", 2),
        ("a\rb\r", (), ("a",), ",", 2),
    ],
)
def test_headers(
    path: Path, content: str, needed: tuple[str, ...], names: tuple[str, ...], delimiter: str, line: int
) -> None:
    assert layout(path, content, needed) == Layout("csv", names, delimiter, line=line)


def test_a_shape_is_not_guessed(path: Path) -> None:
    shape = Shape(("x", "y"), delimiter="::", quotes=False)
    assert layout(path, '"1::2\n', ("x",), shape) == Layout("csv", ("x", "y"), "::", quotes=False, line=1)
    assert layout(path, "a;b\n", ("a",), Shape(delimiter="|")).names == ("a;b",)


def test_without_a_header_columns_are_numbered(path: Path) -> None:
    assert layout(path, "u;s;9\n", ("1", "3"), Shape(numbered=True)) == Layout("csv", ("1", "2", "3"), ";", line=1)


@pytest.mark.parametrize("rest", ["\tToy Story, The", ";3,50", "|a, b", "::Toy Story, The|9, x; y"])
def test_without_a_header_a_comma_in_other_columns_divides_nothing(path: Path, rest: str) -> None:
    """By a comma too there are the two columns that are named, in every row."""
    sign = rest[:1] if rest[:2] != "::" else "::"
    path.write_text("".join(f"u{n}{sign}s{n}{rest}\n" for n in range(3)))
    raw = read(path, columns={"customer": "1", "item": "2"}, header=False)
    assert rows(raw) == [(f"u{n}", f"s{n}", n) for n in range(3)]


def test_without_a_header_what_divides_the_rows_evenly_divides_them(path: Path) -> None:
    """However early a comma stands in the first."""
    path.write_text("Doe, Ann;s1;x\nRoe;s2;y\nPoe;s3;z\n")
    assert rows(read(path, columns={"customer": "1", "item": "2"}, header=False))[0] == ("Doe, Ann", "s1", 0)


def test_two_colons_divide_as_those_of_movielens_do(path: Path) -> None:
    lines = "".join(f"u{n}::s,;{n}::5::{1600770600 + n}\n" for n in range(3))
    expected = [(f"u{n}", f"s,;{n}", 1600770600 + n) for n in range(3)]
    path.write_text(lines)
    assert rows(read(path, columns={"customer": "1", "item": "2", "time": "4"}, header=False)) == expected
    path.write_text("\nuser::sku::stars::at\n" + lines)
    assert rows(read(path)) == expected
    path.write_text(path.read_text() + 'u::"s::5::soon\n')
    with pytest.raises(InputError, match=r"The at 'soon' .*line 6\)"):
        read(path)


def test_json_is_told_by_its_beginning(path: Path) -> None:
    lines = [{"b": 1, "a": 2}, {"a": 3, "c": None}]
    content = "\n  " + "\n".join(map(json.dumps, lines)) + '\nnot json\n[1]\n"x"\n'
    found = layout(path, content, ("a",))
    assert (found.form, found.names, found.unit) == ("json", ("b", "a", "c"), "line")
    with pytest.raises(InputError, match=r"The file is JSON, but not one object a line \(.*t.csv\); write one"):
        layout(path, json.dumps(lines))
    for whole in (lines, {"rows": lines}):
        with pytest.raises(InputError, match=r"The file is JSON, but not one object a line"):
            layout(path, json.dumps(whole, indent=2))


def test_an_id_in_braces_is_no_json(path: Path) -> None:
    assert layout(path, "{3F2504E0-4F89},s\n", ("1", "2"), Shape(numbered=True)).names == ("1", "2")


@pytest.mark.parametrize("line", ["{'user': 'u', 'text': \"it's\"}", "{u'user': 'u'}", "[{'user': 'u'}]"])
def test_dicts_of_python_are_no_json(path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"The file holds Python's dicts, .* write each line as Python's json.dumps"):
        layout(path, f"{line}\n" * 2)


@pytest.mark.parametrize(
    "content, advice",
    [
        ("# Sales\n\nuser;sku;at\n", "line 3 names it: take away what stands above"),
        ('"user,sku,at"\n"u,s,1"\n', "line 1 names it, but not by itself: look at its quotes"),
        ('"user,sku,at\nu,s,1\n', "line 1 names it, but not by itself: look at its quotes"),
        ("user sku at\nu s 1\n", "its columns are user sku at; the first line has to hold the names of all"),
        ("a\tb\tc\n", "its columns are a, b, c; where another table has it, name that one or join the two"),
        ("u;s;2020-09-22T10:30:00Z\n", "its columns are u, s, 2020-09-22T10:30:00Z; say --no-header where"),
        (b"users,sku,gr\xf6\xdfe\n", "its columns are users, sku, gr..e; say which encoding the file has"),
        ("users,sku,at\nuser,sku,1\n", "did you mean users"),
        ('{"who": 1}\n', "its columns are who; where another table has it"),
    ],
)
def test_what_to_do_where_a_column_is_missing(path: Path, content: str | bytes, advice: str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"The column user is missing \(.*line 1\); {advice}"):
        read(path)


def test_a_key_that_only_late_objects_have_is_to_be_written_in_the_first(path: Path) -> None:
    """Who writes no key where there is nothing to say may do so for a thousand lines."""
    line, late = '{"user": "u", "sku": "s", "at": "2020-01-01"', ', "kind": "x"}\n'
    path.write_text(f"{line}}}\n" * 1000 + line + late)
    columns = COLUMNS | {"item.kind": "kind"}
    with pytest.raises(InputError, match="where later lines alone have it, write it in the first too, as null"):
        read(path, columns=columns)
    path.write_text(f'{line}, "kind": null}}\n' + f"{line}}}\n" * 1000 + line + late)
    assert read(path, columns=columns).items.fields["kind"].to_pylist() == ["x"]


def test_numbers_of_columns_are_no_names_that_a_row_could_hold(path: Path) -> None:
    path.write_text("22\t377\t3\n1\t2\t3\n")
    with pytest.raises(
        InputError, match=r"The column 1 is missing .*; its columns are 22, 377, 3; say --no-header where"
    ):
        read(path, columns={"customer": "1", "item": "2"})


def test_without_a_header_a_single_column_is_one_that_is_not_divided(path: Path) -> None:
    """As where a film stands above its ratings, or blanks between values."""
    path.write_text("1:\n2,3\n4,3\n")
    with pytest.raises(InputError, match=r"The column 2 is missing .*; its columns are 1; values have to stand beside"):
        read(path, columns={"customer": "1", "item": "2"}, header=False)


def test_an_empty_file(path: Path) -> None:
    for content in ("", "\n \n", "\ufeff"):
        with pytest.raises(InputError, match=r"The file is empty \(.*t.csv\)"):
            layout(path, content)


def test_names_with_commas_and_blanks(path: Path) -> None:
    path.write_text('"user, who" , sku ,"at"\nu,s,2020-01-01\n')
    raw = read(path, columns={"customer": "user, who", "item": "sku", "time": "at"})
    assert rows(raw) == [("u", "s", 18262)]
    assert source.parse_columns("customer=user, who,item=sku,time=at")["customer"] == "user, who"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_file_without_a_header_is_read_by_numbers(path: Path, delimiter: str) -> None:
    """Its first row counts."""
    path.write_text("".join(delimiter.join(("2020-01-01", f"u{n}", f"s{n}")) + "\n" for n in range(3)))
    raw = read(path, columns={"customer": "2", "item": "3", "time": "1"}, header=False)
    assert rows(raw) == [(f"u{n}", f"s{n}", 18262) for n in range(3)]
    assert read(path, columns={"customer": "2", "item": "3"}, header=False).time.tolist() == [0, 1, 2]


def test_without_a_header_numbers_are_all_the_names_there_are(path: Path) -> None:
    path.write_text("u,s,2020-01-01\n")
    for wrong in ("4", "0", "sku"):
        with pytest.raises(
            InputError, match=rf"The column {wrong} is missing \(.*line 1\); its columns are 1, 2, 3, the v"
        ):
            read(path, columns={"customer": "1", "item": wrong, "time": "3"}, header=False)


def test_values_of_json(path: Path) -> None:
    """Numbers keep their digits; ids of many digits would lose some as floats."""
    lines = [
        '{"at": "2020-01-01", "user": 12345678901234567890, "sku": "a", "more": [1]}',
        "",
        '{"user": "é\\u00e9", "sku": true, "at": "2020-01-02"}',
        '{"user": 1e3, "sku": 0.10, "at": "2020-01-03"}\r',
    ]
    path.write_text("\n".join(lines) + "\n", newline="")
    found = [("12345678901234567890", "a", 18262), ("éé", "true", 18263), ("1e3", "0.10", 18264)]
    assert rows(read(path)) == found


@pytest.mark.parametrize(
    "line, problem",
    [
        ("[1]", "The line is not one JSON object"),
        ("1", "The line is not one JSON object"),
        ('{"user": "u"', "The line is not one JSON object"),
        ('{"user": "u"} {}', "The line is not one JSON object"),
        ("[" * 100_000, "The line is not one JSON object"),
        ('{"user": "u", "sku": {"x": 1}, "at": "2020-01-01"}', "The sku is no single value"),
        ('{"user": ["u"], "sku": "s", "at": "2020-01-01"}', "The user is no single value"),
        ('{"sku": "s", "at": "2020-01-01"}', f"The user '' is not {ANY}"),
        ('{"user": null, "sku": "s", "at": "2020-01-01"}', f"The user '' is not {ANY}"),
        ('{"user": "u", "sku": NaN, "at": "2020-01-01"}', f"The sku 'NaN' is not {ANY}"),
        ('{"user": "u", "sku": "\\ud800", "at": "2020-01-01"}', "The sku is not UTF-8 text"),
        (b'{"user": "u", "sku": "caf\xe9", "at": "2020-01-01"}', "The sku is not UTF-8 text"),
    ],
)
def test_a_bad_line_of_json(path: Path, line: str | bytes, problem: str) -> None:
    good = b'{"user": "u", "sku": "s", "at": "2020-01-01"}\n'
    path.write_bytes(good + b"\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n" + good)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{problem} ({path}, line 3);")
    assert rows(read(path, skip=True)) == [("u", "s", 18262)] * 2


def test_where_all_values_of_json_are_nested_none_is_to_be_left_out(path: Path) -> None:
    path.write_text('{"user": "u", "sku": "s", "at": {"$date": "2020-01-01"}}\n' * 2)
    with pytest.raises(InputError, match=r"The at is no single value .*line 1\); name another column, or write a row"):
        read(path)


@pytest.mark.parametrize(
    "names, name, found",
    [
        (["Price", "UnitPrice"], "Price", "Price"),
        (["a", "UnitPrice"], "Price", "UnitPrice"),
        (["CustomerID", "Customer"], "Customer ID", "CustomerID"),
        (["customer_id", "Country"], "Customer ID", "customer_id"),
        (["InvoiceNo", "InvoiceDate"], "Invoice", None),
        (["InvoiceNo", "Date"], "Invoice", "InvoiceNo"),
        (["Prix"], "Price", None),
        (["user id", "user-id"], "UserID", None),
        (["id"], "Customer ID", None),
        (["at", "that"], "At", "at"),
        (["n", "quantity sold"], "Quantity", "quantity sold"),
        ([], "x", None),
        (["PREIS", "Größe"], "GRÖSSE", "Größe"),
    ],
)
def test_columns_that_are_akin(names: list[str], name: str, found: str | None) -> None:
    assert akin(names, name) == found


def test_a_second_input_may_be_named_and_typed_a_little_differently(tmp_path: Path, path: Path) -> None:
    path.write_text("Customer ID,StockCode,InvoiceDate\n7,s,2020-01-01\n")
    pq.write_table(
        pa.table(
            {"CustomerID": [7.0, 8.0], "Stock_Code": ["t", "s"], "invoicedate": pa.array([18263, 18264], pa.date32())}
        ),
        tmp_path / "u.parquet",
    )
    columns = {"customer": "Customer ID", "item": "StockCode", "time": "InvoiceDate"}
    raw = read(path, tmp_path / "u.parquet", columns=columns)
    assert rows(raw) == [("7", "s", 18262), ("7", "t", 18263), ("8", "s", 18264)]
    assert [note for note in raw.notes if "is read as" in note] == [
        "u.parquet: CustomerID is read as Customer ID",
        "u.parquet: Stock_Code is read as StockCode",
        "u.parquet: invoicedate is read as InvoiceDate",
    ]
    with pytest.raises(InputError, match="The column Customer ID is missing"):
        read(tmp_path / "u.parquet", path, columns={**columns, "item": "Stock_Code", "time": "invoicedate"})


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_second_input_may_have_another_delimiter(tmp_path: Path, path: Path, delimiter: str) -> None:
    other = tmp_path / "u.csv"
    for first in (",", delimiter):
        path.write_text(f"user{first}sku{first}at\nu{first}s{first}2020-01-01\n")
        other.write_text(f"user{delimiter}SKU{delimiter}at\nu{delimiter}t{delimiter}2020-01-02\n")
        assert rows(read(path, other)) == [("u", "s", 18262), ("u", "t", 18263)]


def test_a_second_input_with_another_unit_of_time(tmp_path: Path, path: Path) -> None:
    path.write_text("user,sku,at\nu,s,2020-01-01\n")
    (tmp_path / "u.csv").write_text("user,sku,at\nu,t,2020-01-01T00:01\n")
    raw = read(path, tmp_path / "u.csv")
    assert (rows(raw), raw.time_unit) == ([("u", "s", 18262 * 86400), ("u", "t", 18262 * 86400 + 60)], "second")


def test_a_second_input_without_rows_does_not_say_what_time_is(tmp_path: Path, path: Path) -> None:
    path.write_text("user,sku,at\nu,s,2020-01-01\n")
    (tmp_path / "u.csv").write_text("user,sku,at\n")
    assert read(path, tmp_path / "u.csv").time_unit == "day"


def test_a_date_that_seconds_do_not_reach_is_not_another_one(tmp_path: Path, path: Path) -> None:
    """2199 would come back in 1926."""
    path.write_text("user,sku,at\nu,s,2199-01-01\n")
    (tmp_path / "u.csv").write_text("user,sku,at\nu,t,2020-01-01T00:01\n")
    with pytest.raises(
        InputError, match=r"A date beyond 1902 to 2037 .*\(.*t.csv\); mend such dates, or leave them out"
    ):
        read(path, tmp_path / "u.csv")
    found = read(path, tmp_path / "u.csv", where=("at<2038-01-01",))
    assert rows(found) == [("u", "t", 18262 * 86400 + 60)]


NAME = st.text(st.sampled_from('ab ,;"|é\t'), min_size=1, max_size=6).filter(lambda one: one == one.strip() != "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(names=st.lists(NAME, min_size=3, max_size=5, unique=True), delimiter=st.sampled_from([",", ";", "\t", "|"]))
def test_whatever_columns_are_called_they_are_found(tmp_path: Path, names: list[str], delimiter: str) -> None:
    """Quoted as CSV has it."""
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([name.join("  ") if delimiter not in name and '"' not in name else name for name in names])
        writer.writerow(["u", "s", "2020-01-01", *names[3:]])
    columns = dict(zip(("customer", "item", "time"), names, strict=False))
    assert rows(read(path, columns=columns)) == [("u", "s", 18262)]
