import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.fields import UNKNOWN, age_buckets, encode


def test_whole_numbers_sort_as_numbers() -> None:
    codes, vocabulary = encode(pa.array(["10", "9", None, "10", "-1"]))
    assert vocabulary == ("-1", "9", "10")
    assert codes.tolist() == [3, 2, 0, 3, 1]


@pytest.mark.parametrize(
    "values, known",
    [
        (["36.0", "7", "36", "", "7.00"], ("7", "36")),
        (["36.0", "36.5", "-7"], ("-7", "36", "36.5")),
        (["36.0", "1.0", "7.0"], ("1.0", "36.0", "7.0")),
        (["36.0", "36a"], ("36.0", "36a")),
        (["36.0", "1e3", "v1.0"], ("1e3", "36.0", "v1.0")),
    ],
)
def test_numbers_that_became_decimals_are_what_they_were(values: list[str], known: tuple[str, ...]) -> None:
    codes, vocabulary = encode(pa.array(values))
    assert vocabulary == known
    assert [code > 0 for code in codes] == [value != "" for value in values]


def test_text_sorts_as_text_and_all_kinds_of_nothing_are_one() -> None:
    codes, vocabulary = encode(pa.array(["b", "NONE", "", "10", "None", "9", None, "nan", "NULL", "<NA>"]))
    assert vocabulary == ("10", "9", "b")
    assert codes.tolist() == [3, 0, 0, 1, 0, 2, 0, 0, 0, 0]


def test_nothing_known() -> None:
    codes, vocabulary = encode(pa.array([None, None], pa.string()))
    assert (codes.tolist(), vocabulary) == ([0, 0], ())


@given(st.lists(st.one_of(st.none(), st.sampled_from([*UNKNOWN, "1", "2", "a"])), max_size=20))
def test_a_code_leads_back_to_its_value(values: list[str | None]) -> None:
    codes, vocabulary = encode(pa.array(values, pa.string()))
    back = [vocabulary[code - 1] if code else None for code in codes]
    assert back == [None if value in UNKNOWN else value for value in values]


def test_age_buckets() -> None:
    ages = ["16.0", "19.9", "20", "24", "25", "30", "49", "59", "60", "99", None, "", "old", "-3", "nan"]
    buckets = age_buckets(pa.array(ages).dictionary_encode()).dictionary_decode()
    assert buckets.to_pylist() == [
        *("0-19", "0-19", "20-24", "20-24", "25-29", "30-39", "40-49", "50-59", "60+", "60+"),
        *(None, None, None, None, None),
    ]
