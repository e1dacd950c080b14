"""The same rows are read alike however they are read and whatever they are in."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tabular import asked, packed

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.reading import text as module
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import CATEGORY, PRICE, QUANTITY, ids
from spfedrec_cli.data.reading.layout import Shape
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.reading.scan import Wanted, scan
from spfedrec_cli.data.reading.times import time_form

Row = tuple[str, str, int, float | None, str]

NAMES = ("user", "at", "n", "p", "note")
KINDS = (ids(FORMS["any"]), time_form(["2020-09-22"]).kind, QUANTITY, PRICE, CATEGORY)
WANTED = Wanted({name: (name, kind) for name, kind in zip(NAMES, KINDS, strict=True)})
MISSING = ("", "nan", "null", "none", "na", "n/a", "<na>", "#n/a")
USER = st.text(st.sampled_from("ab, é0'"), min_size=1, max_size=5) | st.sampled_from(["17850", "a.0"])
ROW = st.tuples(
    USER.filter(lambda text: text.strip().lower() not in MISSING),
    st.dates().map(lambda day: day.isoformat()),
    st.integers(1, 2**31 - 1),
    st.none() | st.floats(0, 2.0**100, width=32),
    st.text(st.sampled_from('ab",\n\r é;\t'), max_size=6),
)


def read(file: RawFile, wanted: Wanted = WANTED, skip: bool = False) -> tuple[list[tuple[object, ...]], Rejects]:
    rejects = Rejects(skip)
    table = scan(file, wanted, asked(rejects))
    columns = [table.columns[name] for name in wanted.columns]
    plain = [one.to_pylist() if isinstance(one, pa.DictionaryArray) else one.tolist() for one in columns]
    return [tuple(None if value != value else value for value in row) for row in zip(*plain, strict=True)], rejects


def expected(rows: list[Row]) -> list[tuple[object, ...]]:
    days = np.array([row[1] for row in rows], "datetime64[D]").astype(int).tolist()
    return [(row[0], day, *row[2:]) for row, day in zip(rows, days, strict=True)]


def as_csv(rows: list[Row], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")  # type: ignore[arg-type]
    writer.writerows([NAMES, *[["" if value is None else value for value in row] for row in rows]])
    return text.getvalue().encode()


@pytest.mark.parametrize("packing", ["", "gz", "bz2", "zst", "zip"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    rows=st.lists(ROW, max_size=10),
    size=st.integers(1, 200),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_arrow_and_row_by_row_agree(
    tmp_path: Path, packing: str, rows: list[Row], size: int, delimiter: str, quoting: int
) -> None:
    """In blocks of any size."""
    file = packed(as_csv(rows, delimiter, quoting), tmp_path / "t", packing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", size)
        at_once = read(file)[0]
        patch.setattr(module, "_at_once", lambda *given: None)
        row_by_row = read(file)[0]
    assert at_once == row_by_row == expected(rows)


ODD = st.lists(st.text(st.sampled_from('a,"\n\r 1\0;é'), max_size=30), max_size=4).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(text=ODD, size=st.integers(1, 60), names=st.sampled_from(["x,y", "x", "x,y,z"]))
def test_they_agree_on_whatever_stands_there(tmp_path: Path, text: str, size: int, names: str) -> None:
    """Quotes in the midst of values, lines of any length: the same rows, and the same lines are wrong."""
    path = tmp_path / "t"
    path.write_text(f"{names}\n{text}", newline="")
    wanted = Wanted({name: (name, CATEGORY) for name in names.split(",")})
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", size)
        for _ in range(2):
            rows, rejects = read(RawFile(path), wanted, skip=True)
            found.append((rows, [(one.line, one.problem, one.text) for one in rejects.listed]))
            patch.setattr(module, "_at_once", lambda *given: None)
        patch.setattr(module, "BLOCK", 1 << 20)
        rows, rejects = read(RawFile(path), wanted, skip=True)
        found.append((rows, [(one.line, one.problem, one.text) for one in rejects.listed]))
    assert found[0] == found[1] == found[2]
    assert not any(text.endswith(("\n", "\r")) for _, _, text in found[0][1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(ROW, min_size=1, max_size=10), size=st.integers(1, 200))
def test_json_parquet_and_a_table_say_what_csv_says(tmp_path: Path, rows: list[Row], size: int) -> None:
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    table = pa.table({**columns, "p": pa.array(columns["p"], pa.float32())})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    lines = [json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=len(row[4]) % 2 == 0) for row in rows]
    (tmp_path / "t.json").write_text("\n".join(lines))
    (tmp_path / "t.csv").write_bytes(as_csv(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", size)
        forms = [RawFile(tmp_path / f"t.{end}") for end in ("csv", "json", "parquet")]
        found = [read(file)[0] for file in (*forms, RawFile(Path("t"), table=table))]
    assert found == [expected(rows)] * 4


VALUE = st.text(st.sampled_from("ab: é\t;"), max_size=4).filter(lambda text: "::" not in f"{text}:")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(st.tuples(VALUE, VALUE, VALUE), max_size=8), size=st.integers(1, 60))
def test_a_delimiter_of_two_letters(tmp_path: Path, rows: list[tuple[str, str, str]], size: int) -> None:
    """Which stands in no value; a tab or a quote may."""
    rows = [row for row in rows if not any(value.startswith(":") or value.endswith(":") for value in row)]
    path = tmp_path / "t.dat"
    path.write_text("".join("::".join(row) + "\n" for row in [("q", '"', "q"), *rows]))
    wanted = Wanted(
        {name: (name, CATEGORY) for name in "xyz"}, shape=Shape(("x", "y", "z"), delimiter="::", quotes=False)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", size)
        assert read(RawFile(path), wanted)[0] == [("q", '"', "q"), *rows]
