from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tabular import GOOD, NAMES, WANTED, read, rows_of

from spfedrec_cli.data.tables import parquet as module
from spfedrec_cli.data.tables.files import RawFile
from spfedrec_cli.data.tables.rejects import Rejects
from spfedrec_cli.data.tables.scan import lines_of, scan
from spfedrec_cli.errors import InputError

EXPECTED = [(18527, "a" * 64, "663713001", 0.5, ""), (18527, "b" * 64, "1", None, "n")]


def table(**columns: pa.Array) -> pa.Table:
    plain = {
        "t_dat": pa.array([GOOD[0]] * 2),
        "customer_id": pa.array(["a" * 64, "b" * 64]),
        "article_id": pa.array(["663713001", "1"]),
        "price": pa.array([0.5, None]),
        "note": pa.array(["", "n"]),
        "extra": pa.array([None, None]),
    }
    return pa.table({**plain, **columns})


def written(folder: Path, content: pa.Table) -> RawFile:
    pq.write_table(content, folder / "t.parquet", row_group_size=3, compression="none")
    return RawFile(folder / "t.parquet")


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"customer_id": pa.array(["a" * 64, "b" * 64], pa.large_string()), "note": pa.array([None, "n"])},
        {"customer_id": pa.array(["a" * 64, "b" * 64]).dictionary_encode()},
        {"article_id": pa.array([663713001, 1])},
        {"article_id": pa.array([663713001.0, 1.0])},
        {"article_id": pa.array([663713001, 1], pa.int32()).dictionary_encode()},
        {"article_id": pa.array([Decimal(663713001), Decimal(1)])},
        {"t_dat": pa.array([date(2020, 9, 22)] * 2)},
        {"t_dat": pa.array([datetime(2020, 9, 22, 13)] * 2, pa.timestamp("us"))},
        {"t_dat": pa.array([GOOD[0]] * 2).dictionary_encode()},
        {"price": pa.array([0.5, float("nan")], pa.float32())},
        {"price": pa.array([Decimal("0.50"), None])},
        {"price": pa.array(["0.5", ""])},
    ],
)
def test_columns_of_any_type(tmp_path: Path, columns: dict[str, pa.Array]) -> None:
    assert read(written(tmp_path, table(**columns)))[0] == EXPECTED


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"t_dat": pa.array([date(2020, 9, 22), None])}, r"The t_dat '' is not a date .*t.parquet, row 2\)"),
        ({"t_dat": pa.array([20200922] * 2, pa.int32())}, r"The t_dat '20200922' is not a date .*row 1\)"),
        ({"article_id": pa.array([1.5, 1.0])}, r"The article_id '1.5' is not 10 digits .*row 1\)"),
        ({"article_id": pa.array([1.0, None])}, r"The article_id '' is not 10 digits .*row 2\)"),
        ({"article_id": pa.array([1.0, float("inf")])}, r"The article_id 'inf' is not 10 digits .*row 2\)"),
        ({"customer_id": pa.array([1, 2])}, r"The customer_id '1' is not 64 hex.*row 1\)"),
        ({"price": pa.array([0.5, -0.5])}, r"The price '-0.5' is not a price .*row 2\)"),
        ({"price": pa.array([0.5, float("inf")])}, r"The price 'inf' is not a price .*row 2\)"),
        ({"note": pa.array([["x"], []])}, r"The file cannot be read: the column note holds list"),
    ],
)
def test_a_mistake_is_told_with_its_row(tmp_path: Path, columns: dict[str, pa.Array], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, table(**columns)))


def test_bad_rows_are_skipped_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In several batches; a moment is still its day where something else is wrong."""
    monkeypatch.setattr(module, "_BATCH", 4)
    moments = pa.array([datetime(2020, 9, 22, 13)] * 10, pa.timestamp("us"))
    prices = pa.array([1.0, -1.0, None, 4.0, -5.0, -6.0, 7.0, 8.0, 9.0, float("inf")])
    columns = {"t_dat": moments, "price": prices, "customer_id": pa.array(["a" * 64] * 10)}
    file = written(tmp_path, pa.table({**columns, "article_id": range(10), "note": [""] * 10}))
    rejects = Rejects(skip=True)
    found = scan(file, WANTED, rejects)
    assert [row[2:4] for row in rows_of(found)] == [
        ("0", 1.0), ("2", None), ("3", 4.0), ("6", 7.0), ("7", 8.0), ("8", 9.0)
    ]  # fmt: skip
    assert [one.line for one in rejects.listed] == [2, 5, 6, 10]
    assert lines_of(file, WANTED, found, [0, 1, 3, 5]) == [1, 3, 7, 9]


def test_columns_that_are_missing_or_come_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column price is missing \(.*t.parquet\); its columns are t_dat"):
        read(written(tmp_path, table().drop_columns(["price"])))
    twice = pa.Table.from_arrays(table().columns, names=[*NAMES[:5], "price"])
    with pytest.raises(InputError, match=r"column price occurs twice \(.*t.parquet\)"):
        read(written(tmp_path, twice))


def test_no_rows(tmp_path: Path) -> None:
    assert read(written(tmp_path, table().slice(0, 0)))[0] == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short(tmp_path: Path, share: float) -> None:
    file = written(tmp_path, table())
    content = file.path.read_bytes()
    file.path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"The file cannot be read: .*t.parquet"):
        read(file)


def test_texts_that_are_no_text(tmp_path: Path) -> None:
    """Parquet does not check what it says is UTF-8."""
    file = written(tmp_path, table(note=pa.array(["", "nn" * 30])))
    file.path.write_bytes(file.path.read_bytes().replace(b"n" * 60, b"\xff" * 60))
    with pytest.raises(InputError, match=r"The file cannot be read: .*UTF"):
        read(file)
