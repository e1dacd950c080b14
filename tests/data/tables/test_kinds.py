import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.tables.kinds import CATEGORY, CHANNEL, DAY, PRICE, QUANTITY, SECOND, Kind, ids

KINDS = {"day": DAY, "second": SECOND, "price": PRICE, "quantity": QUANTITY, "channel": CHANNEL}
ODD = ["", " ", "5", " 5 ", "+5", "-5", "-0", "5.0", "1e3", "0x10", "007", "1_0", "٣", "nan", "inf", "1e400", "3.5e38"]
ODD += [
    "2020-09-22",
    " 2020-09-22",
    "0000-01-01",
    "9999-12-31",
    "2020-9-2",
    "20200922",
    '"',
    "1,5",
    "32768",
    "2147483648",
]


def by_pyarrow(text: str, kind: Kind) -> bool:
    """Whether a block with this value alone is taken."""
    escaped = text.replace('"', '""')
    try:
        column = pyarrow.csv.read_csv(
            pa.BufferReader(f'"{escaped}",x\n'.encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=["value", "x"]),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(column_types={"value": kind.arrow}, null_values=[""]),
        ).column("value")
    except pa.ArrowInvalid:
        return False
    assert kind.numbers is not None
    return kind.numbers(column.combine_chunks()) is not None


@pytest.mark.parametrize("name", KINDS)
@given(text=st.sampled_from(ODD) | st.text(st.sampled_from("0123456789.-+eExX _"), max_size=12))
@example(text="2020-02-30")
def test_the_slow_reading_takes_what_the_fast_one_takes(name: str, text: str) -> None:
    kind = KINDS[name]
    assert kind.holds(text) == by_pyarrow(text, kind)
    if kind.fits(text):
        assert by_pyarrow(text, kind)


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("day", ["2020-09-22", "0001-01-01", "9999-12-31"], ["", "2020-02-30", "0000-01-01", "20200922"]),
        ("second", ["0", "2147483647"], ["", "-1", "2147483648", "1.5", "noon"]),
        ("price", ["", "0", "1e5", "0.05", "3e38"], ["-1", "nan", "inf", "4e38", "dear"]),
        ("quantity", ["1", "2147483647"], ["", "0", "2147483648", "-1", "two"]),
        ("channel", ["", "0", "127"], ["128", "-1", "web"]),
    ],
)
def test_what_each_kind_holds(name: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good + bad if KINDS[name].holds(text)] == good


def test_texts_and_ids() -> None:
    article, customer = ids(FORMS["article"]), ids(FORMS["customer"])
    assert [text for text in ("", "1", "663713001.0", "1e5", "1\n", "٣") if article.holds(text)] == ["1", "663713001.0"]
    assert [n for n in (0, 63, 64, 65) if customer.holds("a" * n)] == [64]
    assert not customer.holds("a" * 64 + "\n")
    assert CATEGORY.holds("")


def test_numbers_have_their_types() -> None:
    empty = {name: kind.numbers(pa.array([], kind.arrow)) for name, kind in KINDS.items() if kind.numbers}
    types = {name: array.dtype for name, array in empty.items() if array is not None}
    assert types == {
        "day": np.int32, "second": np.int32, "price": np.float32, "quantity": np.int32, "channel": np.int8
    }  # fmt: skip
    assert PRICE.numbers is not None
    prices = PRICE.numbers(pa.array([None, 0.5]))
    assert prices is not None
    assert np.isnan(prices[0])
