from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from spfedrec_cli.data.tables.arrows import as_arrow, as_text
from spfedrec_cli.data.tables.kinds import CATEGORY, DAY, PRICE, QUANTITY, SECOND

NOON = datetime(2020, 9, 22, 12, tzinfo=UTC)
DATE = date(2020, 9, 22)


@pytest.mark.parametrize(
    "values, kind",
    [
        (pa.array(["a", "b", "a", None]), pa.string()),
        (pa.array(["a", "b", "a", None], pa.large_string()), pa.large_string()),
        (pa.array(["a", "b", "a", ""]).dictionary_encode(), None),
        (pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3]), pa.array(["a", "b", "a", None])), None),
        (pa.array([b"a", b"b", b"a", b""]), pa.binary()),
    ],
)
def test_texts_are_distinct_and_never_null(values: pa.Array, kind: pa.DataType) -> None:
    found = as_arrow(values, CATEGORY)
    assert found.dictionary_decode().to_pylist() == ["a", "b", "a", ""]
    assert sorted(found.dictionary.to_pylist()) == ["", "a", "b"]


@pytest.mark.parametrize(
    "values, texts",
    [
        (pa.array([663713001, None]), ["663713001", None]),
        (pa.array([663713001.0, float("nan"), float("inf"), 1e300]), ["663713001", None, "inf", "1e+300"]),
        (pa.array([1.5, None], pa.float32()), ["1.5", None]),
        (pa.array([Decimal("663713001")]), ["663713001"]),
        (pa.array([True]), ["true"]),
        (pa.array([DATE]), ["2020-09-22"]),
    ],
)
def test_values_as_text(values: pa.Array, texts: list[str | None]) -> None:
    assert as_text(values).to_pylist() == texts


def test_texts_that_are_no_text() -> None:
    wrong = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")]
    )
    with pytest.raises(pa.ArrowInvalid):
        as_text(wrong)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([DATE], pa.date32()),
        pa.array([DATE], pa.date64()),
        pa.array([NOON], pa.timestamp("ns")),
        pa.array([NOON], pa.timestamp("us", "Europe/Stockholm")),
        pa.array(["2020-09-22"]),
        pa.array([" 2020-09-22"]).dictionary_encode(),
    ],
)
def test_days(values: pa.Array) -> None:
    assert as_arrow(values, DAY).to_pylist() == [DATE]


def test_a_day_is_one_of_utc() -> None:
    late = pa.array([datetime(2020, 9, 22, 23, tzinfo=UTC)], pa.timestamp("s", "Europe/Stockholm"))
    assert as_arrow(late, DAY).to_pylist() == [DATE]


@pytest.mark.parametrize("values", [pa.array([20200922], pa.int32()), pa.array([18527]), pa.array([18527.0])])
def test_a_number_is_no_day(values: pa.Array) -> None:
    with pytest.raises(pa.ArrowNotImplementedError):
        as_arrow(values, DAY)


def test_numbers() -> None:
    seconds = int(NOON.timestamp())
    assert as_arrow(pa.array([NOON], pa.timestamp("ms", "UTC")), SECOND).to_pylist() == [seconds]
    assert as_arrow(pa.array([2.0, float("nan")]), QUANTITY).to_pylist() == [2, None]
    assert as_arrow(pa.array([Decimal("0.50"), None]), PRICE).to_pylist() == [0.5, None]
    assert as_arrow(pa.array(["", "0.5"]), PRICE).to_pylist() == [None, 0.5]
    with pytest.raises(pa.ArrowInvalid):
        as_arrow(pa.array([2.5]), QUANTITY)
