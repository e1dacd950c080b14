import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.spreadsheet import harmless, row


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@sum", "\tx", "\rx"])
def test_what_a_spreadsheet_would_compute_stands_behind_an_apostrophe(name: str) -> None:
    assert harmless(name) == f"'{name}"


@pytest.mark.parametrize("name", ["Socks", "", "3-pack", "a=b", " =1", "'quoted'"])
def test_other_names_stay(name: str) -> None:
    assert harmless(name) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2))
def test_a_row_is_read_as_it_was_written(cells: list[str]) -> None:
    line = io.StringIO(row(cells) + "\r\n", newline="")
    assert list(csv.reader(line, strict=True)) == [cells]


def test_a_row_with_line_ends_in_a_cell() -> None:
    assert row(["a\nb", 'say "so"', None, 0.5, 3]) == '"a\nb","say ""so""",,0.5,3'
    assert row(["a\rb", ","]) == '"a\rb",","'
