import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.reading.kinds import (
    CATEGORY,
    CHANNEL,
    COUNT,
    PRICE,
    QUANTITY,
    Kind,
    ids,
    missing,
    thousands,
    watched,
)

MOST = 2**31 - 1
KINDS = {
    "price": PRICE,
    "quantity": QUANTITY,
    "count": COUNT,
    "channel": CHANNEL,
    "free": ids(FORMS["any"]),
    "article": ids(FORMS["article"]),
    "customer": ids(FORMS["customer"]),
}
WORDS = ["", " ", "nan", "NaN", "NULL", "null", "None", "<NA>", "#N/A", "na", "N/A", "nil", "-"]
ODD = ["5", " 5 ", "+5", "-5", "-0", "5.0", "5.", ".5", "5.00 ", "1e3", "0x10", "007", "1_0", "٣", "inf", "1e400"]
ODD += ["3.4e38", "3.5e38", "2147483647", "2147483648", "2147483647.0", "1e-400", "--5", "+-5", "1,5", '"', "1 0"]


def values(kind: Kind, *texts: str) -> list[object]:
    return kind.read(pa.array(texts, pa.string())).to_pylist()  # type: ignore[no-any-return]


def right(kind: Kind, texts: list[str]) -> list[str]:
    return [text for text, value in zip(texts, values(kind, *texts), strict=True) if value is not None]


@pytest.mark.parametrize(
    "name, good, bad",
    [
        (
            "price",
            ["", "nan", "NULL", "0", "1e5", "0.05", "3e38", "+5", ".5", "1."],
            ["-1", "inf", "4e38", "dear", "1,5"],
        ),
        (
            "quantity",
            ["1", "6.0", "6.", "80995", "2147483647", "1e+05", "1.5E7"],
            ["", "0", "2147483648", "-1", "two", "1.5", "1.25e1", "1e30", "0x1", "1,000"],
        ),
        ("count", ["0", "2147483647", "0.0"], ["", "-1", "2147483648", "1.6"]),
        ("channel", ["", "0", "127", "2.0"], ["128", "-1", "web", "nan"]),
        (
            "free",
            ["a b, c", " t ", "x" * 5000, "naNa", "-", "0", "n"],
            ["", " ", "nan", " nan", "NULL", "none", "NA", "n/a", "<NA>", "\\N"],
        ),
        ("article", ["1", "663713001.0"], ["", "1e5", "1\n", "٣", "663713001.5", "12345678901", "-1"]),
        ("customer", ["a" * 64], ["", "a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n"]),
    ],
)
def test_what_each_kind_holds(name: str, good: list[str], bad: list[str]) -> None:
    assert right(KINDS[name], good + bad) == good


def test_a_text_may_be_any() -> None:
    assert values(CATEGORY, "", "nan", " x\n") == ["", "nan", " x\n"]


def test_ids_are_kept_exactly_as_they_are() -> None:
    assert values(KINDS["free"], " t ", "10,5", "17850.0", "\tx") == [" t ", "10,5", "17850.0", "\tx"]


def test_what_values_say() -> None:
    assert values(QUANTITY, "6.0", "+6", " 6 ", "2147483647") == [6, 6, 6, MOST]
    assert values(CHANNEL, "", "2") == [0, 2]
    prices = PRICE.read(pa.array(["", "nan", "0.25"])).to_numpy()
    assert np.isnan(prices[:2]).all()
    assert prices[2] == 0.25


@pytest.mark.parametrize(
    "texts, told",
    [
        (["12", "1.000", "3"], True),
        (["3", " 120.000 "], True),
        (["12", "3"], False),
        (["1.000", "12.000"], False),  # all have three decimals, as SAP and decimals of databases write them
        (["12", "1.000", "2.0"], False),  # the point is one of decimals
        (["12", "6.0"], False),
        (["-12", "x", "1.000"], False),
    ],
)
def test_a_point_that_may_mark_thousands_is_told(texts: list[str], told: bool) -> None:
    seen = dict[str, str]()
    for text in texts:
        assert watched(QUANTITY, seen).read(pa.array([text])) == QUANTITY.read(pa.array([text]))
    assert bool(thousands(seen, "n")) == told
    if told:
        assert re.match(
            r"n (\d+)\.000 is read as \1, beside \d+: where .* thousands, write \d+000$", thousands(seen, "n")[0]
        )


def whole(text: str) -> int | None:
    """The plain reference: `6`, `6.0` and `6e+05`, nothing else; at most 18 digits."""
    found = re.fullmatch(r"\+?(-?[0-9]{1,18})(\.0*)?", text.strip())
    short = re.fullmatch(r"-?[0-9](\.[0-9]{1,15})?[eE]\+?[0-9]{1,2}", text.strip())
    number = float(text) if short else 0.5
    return int(found[1]) if found else int(number) if number.is_integer() and abs(number) < 2**53 else None


def price(text: str) -> float | None:
    """NaN where it is unknown; None where it is no price."""
    bare = text.strip()
    if bare in ("NA", "NaT") or bare.lower() in ("", "nan", "null", "none", "<na>", "n/a", "#n/a", "\\n"):
        return float("nan")
    found = re.fullmatch(r"\+?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?", text.strip())
    number = float(text) if found else float("inf")
    return number if number <= float(np.finfo(np.float32).max) else None


TEXTS = st.sampled_from(ODD + WORDS) | st.text(st.sampled_from("0123456789.-+eExX _"), max_size=12)


@given(text=TEXTS)
@example(text="1.6")
def test_whole_numbers_are_what_python_takes_them_for(text: str) -> None:
    number = whole(text)
    assert values(QUANTITY, text) == [number if number is not None and 1 <= number <= MOST else None]
    assert values(COUNT, text) == [number if number is not None and 0 <= number <= MOST else None]
    if text:
        assert values(CHANNEL, text) == [number if number is not None and 0 <= number <= 127 else None]


@given(text=TEXTS)
def test_prices_are_what_python_takes_them_for(text: str) -> None:
    found, expected = values(PRICE, text)[0], price(text)
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_equal(found, expected)


@pytest.mark.parametrize("name", KINDS)
@given(texts=st.lists(TEXTS, min_size=2, max_size=6))
def test_values_do_not_depend_on_their_neighbours(name: str, texts: list[str]) -> None:
    together = values(KINDS[name], *texts)
    alone = [values(KINDS[name], text)[0] for text in texts]
    np.testing.assert_equal(together, alone)


def test_what_stands_for_nothing() -> None:
    """What pandas, R (NA), SQL (\\N, NULL), its clients ((null), [NULL], <null>), spreadsheets, JavaScript and Google
    Analytics write; Nat and Na are names."""
    texts = ["", "nan", "NaN", "NULL", "None", "<NA>", "#N/A", "N/A", "NA", "NaT", "\\N", " ", " nan", "NA "]
    texts += ["(null)", "[NULL]", "<null>", "(not set)", "undefined"]
    others = ["banana", "0", "-", "nil", "Na", "Nat", "N"]
    assert missing(pa.array(texts + others)).to_pylist() == [True] * len(texts) + [False] * len(others)


@pytest.mark.parametrize(
    "name, value, hint",
    [
        ("quantity", "0", "leave returns out with --returns drop"),
        ("quantity", "-3.0", "leave returns out with --returns drop"),
        ("quantity", "two", None),
        ("quantity", "2147483648", None),
        ("free", "nan", "leave such rows out with --drop-missing"),
        (
            "quantity",
            "1,000",
            "write quantities as 1234, or leave quantity= out of --columns: each row is one piece then",
        ),
        (
            "quantity",
            "0.565",
            "write quantities as 1234, or leave quantity= out of --columns: each row is one piece then",
        ),
        ("quantity", "", None),
        ("free", " ", "leave such rows out with --drop-missing"),
        ("customer", "", "leave such rows out with --drop-missing"),
        ("price", "-1", None),
        ("price", "$1.5", "write prices as 1234.5, or leave price= out of --columns, which takes --source table"),
        ("price", "1,50", "write prices as 1234.5, or leave price= out of --columns, which takes --source table"),
    ],
)
def test_hints_name_the_option_that_mends_it(name: str, value: str, hint: str | None) -> None:
    assert KINDS[name].hint(value) == hint


def test_numbers_have_their_types() -> None:
    types = {name: kind.numbers for name, kind in KINDS.items()}
    numbers = {"price": np.float32, "quantity": np.int32, "count": np.int32, "channel": np.int8}
    assert types == {name: np.dtype(numbers[name]) if name in numbers else None for name in KINDS}
    assert all(len(kind.read(pa.array([], pa.string()))) == 0 for kind in KINDS.values())
