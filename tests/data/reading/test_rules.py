import csv
import operator
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.reading.rules import rules
from spfedrec_cli.data.sources import table as source
from spfedrec_cli.errors import InputError

COLUMNS = {"customer": "user", "item": "sku", "time": "at", "quantity": "n"}


def kept(condition: str, *values: str) -> list[str]:
    """The values that meet it."""
    (rule,) = rules(Reading(where=(condition,)), {})
    assert rule.column == "x"
    keeps = rule.keeps(pa.array(values, pa.string())).fill_null(False).to_pylist()
    return [value for value, one in zip(values, keeps, strict=True) if one]


@pytest.mark.parametrize(
    "condition, values, right",
    [
        ("x=UK", ["UK", "uk", "UK ", " UK", "U", ""], ["UK"]),
        ("x = UK", ["UK", "= UK", " UK"], ["UK"]),
        ("x!=UK", ["UK", "uk", ""], ["uk", ""]),
        ("x=", ["", " ", "a"], [""]),
        ("x!=", ["", " ", "a"], [" ", "a"]),
        ("x=5", ["5", "5.0", "05", "+5", " 5", "5x", "", "50", "5e0"], ["5", "5.0", "05", "+5", " 5", "5e0"]),
        ("x!=5", ["5", "5.0", "6", "", "x"], ["6", "", "x"]),
        ("x>0", ["0", "0.01", "-1", "1e-9", "", "nan", "x", "10", ".5"], ["0.01", "1e-9", "10", ".5"]),
        ("x>=0", ["0", "-0", "-0.1", "1"], ["0", "-0", "1"]),
        ("x<10", ["9", "10", "100", "-5", "", "9.99"], ["9", "-5", "9.99"]),
        ("x<=10", ["9", "10", "10.01", "1e1"], ["9", "10", "1e1"]),
        ("x>-1.5", ["-2", "-1.5", "-1", "0"], ["-1", "0"]),
        ("x>=2020-02-01", ["2020-01-31", "2020-02-01", "2020-02-01 10:00"], ["2020-02-01", "2020-02-01 10:00"]),
        ("x<b", ["a", "b", "B", "c"], ["a", "B"]),
        ("x~^[0-9]{5}", ["12345", "12345A", "1234", "A12345", "DOT"], ["12345", "12345A"]),
        ("x~a", ["banana", "A", ""], ["banana"]),
        ("x~a=b", ["a=b", "ab"], ["a=b"]),
        ("x!~^C", ["C5", "5C", "", "c"], ["5C", "", "c"]),
        ("x=a=b", ["a=b", "a", "b"], ["a=b"]),
        ("x=a,b", ["a,b", "a"], ["a,b"]),
        ("x=<5", ["<5", "4"], ["<5"]),
        ("x=two\nlines", ["two\nlines", "two"], ["two\nlines"]),
        ("x=é", ["é", "e"], ["é"]),
        ("x=9007199254740993", ["9007199254740992", "9007199254740993"], ["9007199254740993"]),
        ("x=True", ["true", "True", "TRUE", "false", "1", ""], ["true", "True", "TRUE"]),
        ("x!=false", ["true", "False", ""], ["true", ""]),
        ("x<2038", ["2020-09-22", "2038-01-01", "2039", "7", "", "nan", "9999-12-31"], ["2020-09-22", "7"]),
        ("x<=2020-09-22", ["2020-09-22 00:00", "2020-09-22T00:01", ""], ["2020-09-22 00:00"]),
        ("x=2020-09-22T10:00", ["2020-09-22 10:00:00", "2020-09-22"], ["2020-09-22 10:00:00"]),
        ("x=2020-09-22", ["2020-09-22 02:00+02", "2020-09-22T00:00Z"], ["2020-09-22 02:00+02", "2020-09-22T00:00Z"]),
        ("x!=2020-09-22", ["2020-09-22 00:00", "2020-09-23", "", "soon"], ["2020-09-23", "", "soon"]),
        ("x>=2020-09", ["2020-08-31", "2020-09-01", "2020-10"], ["2020-09-01", "2020-10"]),
        ("x<2020-06-15", ["2020-03-01", "20200301", "03/01/2020", "1583020800", "soon", ""], ["2020-03-01"]),
    ],
)  # fmt: skip
def test_conditions(condition: str, values: list[str], right: list[str]) -> None:
    assert kept(condition, *values) == right


def test_one_condition_may_stand_alone() -> None:
    (rule,) = rules(Reading(where="country=UK"), {})  # type: ignore[arg-type]
    assert rule.column == "country"


@pytest.mark.parametrize("value", ["01/01/2020", "01.01.2020", "1,000", "$4", "9:00", "b", "2020Q1"])
def test_an_order_of_letters_is_told(tmp_path: Path, value: str) -> None:
    """By letters 10/01/2019 comes behind 01/01/2020, and 9 behind 10."""
    (tmp_path / "t.csv").write_text("user,sku,at,n,x\nu,s,2020-01-01,1,zz\nu,t,2020-01-02,1,")
    raw, _ = read(tmp_path / "t.csv", where=(f"x>={value}",))
    assert raw.notes == (f"1 row of t.csv left out: --where x>={value}, which compares letter by letter",)


def test_what_is_no_date_stands_in_no_order_with_one(tmp_path: Path) -> None:
    rows = ["2020-03-01", "20200301", "03/01/2020", "", "2019-01-01"]
    (tmp_path / "t.csv").write_text("\n".join(["user,sku,at,n,x", *(f"u,s,2020-01-01,1,{row}" for row in rows)]))
    raw, _ = read(tmp_path / "t.csv", where=("x>=2020-01-01",))
    assert raw.notes == (
        "2 rows of t.csv left out: --where x>=2020-01-01",
        "2 rows of t.csv left out: --where x>=2020-01-01, where x is no date",
    )


def test_a_column_with_blanks_in_its_name() -> None:
    (rule,) = rules(Reading(where=("Customer ID > 5",)), {})
    assert (rule.column, rule.name) == ("Customer ID", "--where Customer ID > 5")


@pytest.mark.parametrize("name", ["Price (GBP)", "a=b", "x>=y", "a ~ b"])
def test_a_column_with_a_sign_in_its_name_stands_in_quotes(name: str) -> None:
    (rule,) = rules(Reading(where=(f'"{name}">5',)), {})
    assert rule.column == name


@pytest.mark.parametrize("text", ["", "x", "=5", "x!5", "x>", "x<= ", "x<>5", "x>>5", "x<==5"])
def test_what_is_no_condition(text: str) -> None:
    hint = r"write it as country=UK, price>0 or code~\^\[0-9\]\{5\}"
    with pytest.raises(InputError, match=rf"^'{text}' is no condition on a column \(--where\); {hint}"):
        rules(Reading(where=(text,)), {})


def test_what_is_no_regular_expression() -> None:
    with pytest.raises(InputError, match=r"^'x~\(' holds no regular expression \(--where\); write a regular"):
        rules(Reading(where=("x~(",)), {})


OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
VALUE = st.sampled_from(["", "5", "5.0", "-5", " 5 ", "0", "nan", "inf", "1e3", "a", "A", "b", "é", "10", "9"])


def reference(text: str, sign: str, value: str) -> bool:
    if sign not in ("=", "!=") and text in ("", "nan"):
        return False
    if not re.fullmatch(NUMBER, value):
        return bool(OPERATORS[sign](text.encode(), value.encode()))
    number = float(text) if re.fullmatch(NUMBER, text.strip()) else None
    if number is None:
        return sign == "!="
    return bool(OPERATORS[sign](number, float(value)))


@settings(max_examples=100)
@given(texts=st.lists(VALUE, min_size=1, max_size=6), sign=st.sampled_from(list(OPERATORS)), value=VALUE)
@example(texts=["10", "9"], sign="<", value="9")
def test_conditions_are_what_python_says(texts: list[str], sign: str, value: str) -> None:
    value = value.strip()
    assume(value or sign in ("=", "!="))
    assert kept(f"x{sign}{value}", *texts) == [text for text in texts if reference(text, sign, value)]


@settings(max_examples=60)
@given(
    texts=st.lists(st.text("ab1 \n", max_size=4), min_size=1, max_size=6),
    pattern=st.sampled_from(["a", "^b", "1$", "a.b", "[a1]{2}", ""]),
)
def test_expressions_are_what_python_says(texts: list[str], pattern: str) -> None:
    found = [bool(re.search(pattern.replace("$", r"\Z"), text)) for text in texts]
    assert kept(f"x~{pattern}", *texts) == [text for text, one in zip(texts, found, strict=True) if one]
    assert kept(f"x!~{pattern}", *texts) == [text for text, one in zip(texts, found, strict=True) if not one]


def test_rules_of_other_options() -> None:
    columns = {"customer": "user", "item": "sku", "quantity": "n"}
    found = rules(Reading(where=("x=1",), drop_missing=True, returns="drop"), columns)
    assert [(rule.name, rule.column) for rule in found] == [
        ("--where x=1", "x"), ("--drop-missing", "user"), ("--drop-missing", "sku"), ("--returns drop", "n")
    ]  # fmt: skip
    *_, missing, returns = found
    assert missing.keeps(pa.array(["", "NaN", "null", " ", "0", "x"])).to_pylist() == [False] * 4 + [True] * 2
    quantities = pa.array(["1", "0", "-6.0", "-2147483649", "two", "", "1.5"])
    assert returns.keeps(quantities).to_pylist() == [True, False, False, False, True, True, True]
    with pytest.raises(InputError, match=r"^--returns needs quantities \(--returns\); add quantity=… to --columns"):
        rules(Reading(returns="drop"), {"customer": "user"})
    assert rules(Reading(), columns) == ()


TIMES = {
    "moments": "%Y-%m-%d %H:%M:%S",
    "with a T": "%Y-%m-%dT%H:%M:%S",
    "with a zone": "%Y-%m-%d %H:%M:%S UTC",
    "seconds": "%s",
    "digits": "%Y%m%d%H%M%S",
    "told": "%d/%m/%Y %H:%M",
}
VALUES = ["2020-01-15", "2020-02", "2020", "2020-01-15 12:00", "2020-01-15T12:00:00Z"]


@pytest.mark.parametrize("form", TIMES)
@pytest.mark.parametrize("sign", OPERATORS)
@pytest.mark.parametrize("value", VALUES)
def test_times_are_compared_as_moments_however_they_are_written(
    tmp_path: Path, form: str, sign: str, value: str
) -> None:
    days = pd.date_range("2019-12-28", periods=60, freq="12h", tz="UTC")
    shown = [str(int(day.timestamp())) for day in days] if form == "seconds" else days.strftime(TIMES[form])
    lines = [f"u,s{n},{day},1,x" for n, day in enumerate(shown)]
    (tmp_path / "t.csv").write_text("\n".join(["user,sku,at,n,x", *lines]))
    moment = pd.Timestamp(value) if value.endswith("Z") else pd.Timestamp(value, tz="UTC")
    right = [f"s{n}" for n, day in enumerate(days) if OPERATORS[sign](day, moment)]
    format = TIMES[form] if form == "told" else None
    raw, _ = read(tmp_path / "t.csv", where=(f"at{sign}{value}",), time_format=format)
    assert raw.item.to_pylist() == right
    own = shown[30] if form != "digits" else shown[30][:8]
    raw, _ = read(tmp_path / "t.csv", where=(f"at{sign}{own}",), time_format=format)
    assert raw.item.to_pylist() == [f"s{n}" for n, day in enumerate(days) if OPERATORS[sign](day, days[30])]


@pytest.mark.parametrize("value", ["2020-01-15 12:00", "2020-01-15T11:00Z", "2020-01-15 12:00 +0100", "1579086000"])
def test_a_moment_may_say_its_zone_where_the_clocks_of_a_zone_are_read(tmp_path: Path, value: str) -> None:
    (tmp_path / "t.csv").write_text("user,sku,at,n,x\nu,s,2020-01-15T11:59,1,x\nu,t,2020-01-15T12:00,1,x")
    raw, _ = read(tmp_path / "t.csv", where=(f"at>={value}",), timezone="Europe/Stockholm")
    assert raw.item.to_pylist() == ["t"]


def test_a_moment_is_on_the_clocks_of_the_zone_however_the_column_is_written(tmp_path: Path) -> None:
    """Times are told as days first, and the condition is written in ISO form."""
    (tmp_path / "t.csv").write_text("user,sku,at,n,x\nu,s,15/01/2020 11:59,1,x\nu,t,15/01/2020 12:00,1,x")
    raw, _ = read(
        tmp_path / "t.csv",
        where=("at>=2020-01-15 12:00",),
        timezone="Europe/Stockholm",
        time_format="%d/%m/%Y %H:%M",
    )
    assert raw.item.to_pylist() == ["t"]


def test_times_are_compared_with_times_alone(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,sku,at,n,x\nu,s,2020-01-01,1,x\nu,t,,1,x\nu,v,2020-01-09,1,x")
    with pytest.raises(
        InputError, match=r"'at>soon' compares times with something else .*; write it as at>=2020-09-22"
    ):
        read(tmp_path / "t.csv", where=("at>soon",))
    assert read(tmp_path / "t.csv", where=("at<2020-01-05",))[0].item.to_pylist() == ["s"]
    assert read(tmp_path / "t.csv", where=("at!=soon",), drop_missing=True)[0].item.to_pylist() == ["s", "v"]


def test_what_conditions_leave_out_is_said_of_all_parts_at_once(tmp_path: Path) -> None:
    for name, price in (("a.csv", "5"), ("b.csv", '"1,200.5"'), ("c.csv", "")):
        (tmp_path / name).write_text(f"user,sku,at,n,x\nu,s,2020-01-01,1,{price}\nu,t,2020-01-01,1,7")
    raw, _ = read(tmp_path, where=("x>6", "sku!=other"))
    assert raw.notes == (
        "2 rows of 3 files left out: --where x>6",
        "no row of 3 files left out: --where sku!=other",
        "1 row of 3 files left out: --where x>6, where x is no number",
    )


def test_rows_of_several_lines_are_told_of_all_parts_at_once(tmp_path: Path) -> None:
    for name, value in (("a.csv", '"5\n6"'), ("b.csv", '"5\n\n6"'), ("c.csv", "5")):
        (tmp_path / name).write_text(f"user,sku,at,n,x\nu,s,2020-01-01,1,1\nu,s,2020-01-02,1,{value}")
    raw, _ = read(tmp_path, where=())
    assert raw.notes == ("2 rows go over several lines, the longest from line 3 to 5 of b.csv",)


def test_conditions_that_leave_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,sku,at,n,x\nu,s,2020-01-01,1,UK")
    hint = "1 row of t.csv left out: --where x==UK"
    reading = Reading(COLUMNS, where=("x==UK",))
    with pytest.raises(InputError, match=rf"The input holds no purchases \(.*t.csv\); {hint}"):
        prepare("table", tmp_path / "t.csv", tmp_path / "out", reading=reading)


def read(path: Path, skip: bool = False, **how: object) -> tuple[Raw, Rejects]:
    rejects = Rejects(skip)
    return source.read(Request((path,), 0, rejects=rejects, reading=Reading(COLUMNS, **how))), rejects  # type: ignore[arg-type]


def test_rows_that_are_not_meant_cannot_be_wrong(tmp_path: Path) -> None:
    """Each is counted once, under the first rule that it does not meet."""
    path = tmp_path / "t.csv"
    rows = ["u,s,2020-01-01,1,x", "u,t,2020-01-02,-1,x", "u,v,soon,1,y", ",w,2020-01-04,1,y", ",w,2020-01-04,-3,x"]
    path.write_text("\n".join(["user,sku,at,n,c", *rows, "u,z,2020-01-05,6,x"]) + "\n")
    raw, _ = read(path, where=("c=x",), drop_missing=True, returns="drop")
    assert raw.item.to_pylist() == ["s", "z"]
    assert [note for note in raw.notes if "left out" in note] == [
        "2 rows of t.csv left out: --where c=x",
        "1 row of t.csv left out: --drop-missing",
        "1 row of t.csv left out: --returns drop",
    ]


def test_without_the_options_the_sentence_names_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at,n\nu,s,2020-01-01,1\nu,t,2020-01-02,-1\n")
    with pytest.raises(
        InputError, match=r"The n '-1' is not a quantity .*line 3\); leave returns out with --returns drop"
    ):
        read(path)
    path.write_text("user,sku,at,n\nu,s,2020-01-01,1\nNULL,t,2020-01-02,1\n")
    with pytest.raises(
        InputError, match=r"The user 'NULL' is not a text .*line 3\); leave such rows out with --drop-mis"
    ):
        read(path)


def test_a_condition_on_a_column_that_there_is_not(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("user,sku,at,n\nu,s,2020-01-01,1\n")
    with pytest.raises(
        InputError, match=r"The column country is missing \(.*line 1\); its columns are user, sku, at, n"
    ):
        read(path, where=("country=UK",))


USER = st.sampled_from(["u", "v", "", " ", "nan", "NULL", "NA"])
QUANTITY = st.sampled_from(["1", "6.0", "0", "-3", "x", ""])
ROW = st.tuples(USER, st.sampled_from(["s", "t", " "]), st.sampled_from(["2020-01-01", "", "soon"]), QUANTITY, VALUE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(
    rows=st.lists(ROW, max_size=8),
    where=st.sampled_from([(), ("c>0",), ("c!=a", "user=u"), ("sku~s",)]),
    missing=st.booleans(),
    drop=st.booleans(),
)
def test_rows_are_left_out_as_plain_python_does_it(
    tmp_path: Path, rows: list[tuple[str, ...]], where: tuple[str, ...], missing: bool, drop: bool
) -> None:
    """First what is not meant, then what is wrong."""
    path = tmp_path / "t.csv"
    rows = [("u", "s", "2020-01-01", "1", "5"), *rows]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("user", "sku", "at", "n", "c"), *rows])
    raw, rejects = read(path, skip=True, where=where, drop_missing=missing, returns="drop" if drop else "refuse")
    names = ("user", "sku", "at", "n", "c")
    tests = [re.fullmatch("(.*?)(!=|=|>|~)(.*)", one).groups() for one in where]  # type: ignore[union-attr]

    def none(text: str) -> bool:
        return text.strip().lower() in ("", "nan", "null", "na")

    meant = []
    for row in rows:
        cells = dict(zip(names, row, strict=True))
        fits = [bool(re.search(v, cells[c])) if sign == "~" else reference(cells[c], sign, v) for c, sign, v in tests]
        if all(fits) and not (missing and any(map(none, row[:3]))) and not (drop and row[3] in ("0", "-3")):
            meant.append(row)
    wrong = [
        row for row in meant if none(row[0]) or none(row[1]) or row[2] != "2020-01-01" or row[3] not in ("1", "6.0")
    ]
    right = [row for row in meant if row not in wrong]
    assert list(zip(raw.client.to_pylist(), raw.item.to_pylist(), strict=True)) == [row[:2] for row in right]
    assert rejects.count == len(wrong)
