"""JSON lines at once say what they say one by one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.reading import text
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import CATEGORY
from spfedrec_cli.data.reading.objects import objects_at_once, values_of
from spfedrec_cli.data.reading.scan import Wanted, scan

NAMES = ["a", "b"]
PLAIN = [
    '{"a":1,"b":"x"}',
    '{"a":2}',
    '{"b":"y"}',
    '{"a":null,"b":"caf\\u00e9"}',
    '{"b":"2020-01-01T00:00:00","c":{"a":7}}',
]
ODD = [
    "null",
    "[1]",
    '{"a":1.0}',
    '{"a":1e3}',
    '{"a":12345678901234567890}',
    '{"a":true}',
    '{"a":"1"}',
    '{"a":[1]}',
    '{"a":1,"a":2}',
    '{"a":1}{"a":2}',
    '{"a":1} null',
    '{"a":\n5}',
    '{"a":1}\r{"a":2}',
    '{"a":1,}',
    '{"c":NaN,"a":3}',
    '{"c":[{"a":9}]}',
    '{"b":"\\ud800"}',
    '{"b":"a\tb"}',
    '{"b":"\\n{"}',
    '{"\\u0061":5}',
    "{",
    "}",
    "",
]
LINES = st.lists(st.sampled_from(PLAIN), max_size=5).flatmap(
    lambda lines: st.lists(st.sampled_from(PLAIN + ODD), max_size=2).map(lambda more: lines + more)
)


def one_by_one(data: bytes) -> list[tuple[str, ...] | str]:
    read = [values_of(line.decode("utf-8", "surrogateescape"), NAMES) for line in data.splitlines()]
    return [values if isinstance(values, str) else tuple(values) for values in read]


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), spoilt=st.none() | st.tuples(st.integers(0, 99), st.binary()))
def test_at_once_is_as_one_by_one(lines: list[str], end: str, spoilt: tuple[int, bytes] | None) -> None:
    data = end.join(lines).encode()
    if spoilt:
        data = data[: spoilt[0]] + spoilt[1] + data[spoilt[0] :]
    found = objects_at_once(data, len(data.splitlines()), NAMES)
    if found is not None:
        assert list(zip(*(found[name].to_pylist() for name in NAMES), strict=True)) == one_by_one(data)


@pytest.mark.parametrize("lines", [PLAIN, PLAIN * 2000, ['{"a":true}', '{"a":false}'], ['{"b":"x"}', "{}"]])
def test_plain_lines_are_read_at_once(lines: list[str]) -> None:
    """Of any number, also where what tells the types ends within a line."""
    data = "\n".join(lines).encode()
    found = objects_at_once(data, len(lines), NAMES)
    assert found is not None
    assert list(zip(*(found[name].to_pylist() for name in NAMES), strict=True)) == one_by_one(data)


@pytest.mark.parametrize(
    "line", [line for line in ODD if not line.startswith(('{"c"', '{"b":"\\n', '{"\\u', '{"a":true'))]
)
def test_what_is_odd_is_left_to_reading_one_by_one(line: str) -> None:
    data = "\n".join([PLAIN[0], line, PLAIN[1]]).encode()
    assert objects_at_once(data, len(data.splitlines()), NAMES) is None


@pytest.mark.parametrize("number", ["1.0", "1e3", "0.10", "12345678901234567890", "[1]", "{}"])
def test_what_would_lose_digits_is_left_too_where_it_comes_first(number: str) -> None:
    assert objects_at_once(f'{{"a":{number}}}\n{{"a":{number}}}'.encode(), 2, NAMES) is None


def test_files_of_plain_lines_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.json").write_text("\n".join(PLAIN))
    monkeypatch.setattr(text, "values_of", None)
    wanted = Wanted({name: (name, CATEGORY) for name in NAMES})
    found = scan(RawFile(tmp_path / "t.json"), wanted, Request((), 0))
    assert found.texts("b").to_pylist() == ["x", "", "y", "café", "2020-01-01T00:00:00"]


def test_digits_are_kept() -> None:
    """Whole numbers of 64 bits cross as they stand."""
    data = "\n".join(json.dumps({"a": value}) for value in (-(2**63), 2**53 + 1, 2**63 - 1)).encode()
    found = objects_at_once(data, 3, ["a"])
    assert found is not None
    assert found["a"].to_pylist() == [str(-(2**63)), str(2**53 + 1), str(2**63 - 1)]
